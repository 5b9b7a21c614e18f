"""What names the content of a local copy: hashes of its rows and of what its judge is told, never their places. Torch-free, Pillow-free.

Pictures beside the rows count by name and size, as those of training data do: there may be many.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from model.config.catalogue import CatalogueConfig
from model.data.sources.files import expand
from model.data.sources.fingerprints import kept_hash

ROWS = (".jsonl", ".json", ".parquet", ".txt")


def copy_fingerprint(catalogue: CatalogueConfig, benchmark: str) -> str:
    """Return 64 hex digits that change exactly when the items of a benchmark's copy can.

    Raises:
        ValueError: the catalogue names no copy, or its folder is not there.
    """
    folder = catalogue.copy_of(benchmark)
    if folder is None or not folder.is_dir():
        raise ValueError(
            f"benchmark {benchmark!r}: {folder or 'no copy'} is not there; allowed: a folder that the catalogue names"
        )
    content = [
        [str(path.relative_to(folder)), _content(path, catalogue)]
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
    return hashlib.sha256(json.dumps(["copy", benchmark, content]).encode()).hexdigest()


def _content(path: Path, catalogue: CatalogueConfig) -> list[object]:
    if path.suffix not in ROWS:
        return [path.stat().st_size]
    return [kept_hash(file, catalogue) for file in expand(str(path), catalogue.remote)]
