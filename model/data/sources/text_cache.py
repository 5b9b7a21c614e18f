"""Cache texts that take long to compute. Each is written to a temporary name and renamed when complete."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path


def cached_text(find: Callable[[], str], *, cache: str, kind: str, key: Sequence[str | int]) -> str:
    """Return the text that is cached under this key, or compute and cache it.

    Args:
        find: computes the text.
        cache: folder; "" caches nothing.
        kind: kind of text, a folder in the cache.
        key: everything that determines the text.
    """
    if not cache:
        return find()
    path = Path(cache) / kind / hashlib.sha256(json.dumps(list(key)).encode()).hexdigest()
    if path.exists():
        return path.read_text(encoding="utf-8")
    found = find()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex}")
    temporary.write_text(found, encoding="utf-8")
    os.replace(temporary, path)
    return found
