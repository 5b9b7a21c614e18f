"""The fingerprint of a local copy: hashes of its rows and of its judge's instructions, never of paths. Torch-free.

Images beside the rows are identified by name and size, as those of training data are, because there may be many.
Pillow-free.
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
    """Return 64 hex digits that change exactly when the items of a benchmark's copy may change.

    Raises:
        ValueError: the catalogue has no copy of it, or its folder does not exist.
    """
    folder = catalogue.copy_of(benchmark)
    if folder is None or not folder.is_dir():
        raise ValueError(
            f"benchmark {benchmark!r}: {folder or 'no copy'} does not exist; allowed: a folder that the catalogue lists"
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
