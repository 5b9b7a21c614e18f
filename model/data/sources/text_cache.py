"""Texts that take long to find out, kept in the catalogue's cache: written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path


def cached_text(find: Callable[[], str], *, cache: str, kind: str, key: Sequence[str | int]) -> str:
    """Return what was found out before under this key, or find it out.

    Args:
        find: finds it out.
        cache: folder; empty keeps nothing.
        kind: of text, a folder in the cache.
        key: whatever decides what is found.
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
