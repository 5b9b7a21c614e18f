"""The fingerprint of a catalogue's data sets: hashes of contents, never of paths. Torch-free, Pillow-free.

- Annotations, shards and parquet files are identified by the SHA-256 of their content, cached under the file's version
  (size, modification time, inode), so that a terabyte is read once. Objects in a store are identified by size and the
  store's own tag.
- Images in a folder are identified by name and size, because there may be millions. Images behind https are identified
  by their URL alone.
- A hub data set is identified by its commit.
"""

from __future__ import annotations

import hashlib
from typing import Any

from model.config.catalogue import CatalogueConfig, RemoteConfig, SourceConfig, ending
from model.data.sources.files import FileVersion, content_hash, expand, listing
from model.data.sources.text_cache import cached_text

READING = {"tar": 2, "boxes": 2}
"""Version of each reader; raised by hand when it makes other samples from the same files (images in the order of their
numbers, boxes in spellings that were left unchanged before).
"""


def category_content(catalogue: CatalogueConfig, category: str) -> list[Any]:
    """Return plain values that change exactly when the samples of a category may change.

    Raises:
        ValueError: a file is missing or may not be opened.
    """
    return [_source_content(source, catalogue) for source in catalogue.of(category)]


def _source_content(source: SourceConfig, catalogue: CatalogueConfig) -> list[Any]:
    files = [file for name in source.files for file in expand(name, catalogue.remote)]
    hashes = [kept_hash(file, catalogue) for file in files]
    pictures = _pictures(source.images, catalogue.remote) if source.images else ""
    declared = [source.name, source.layout, source.boxes, source.image_prefix, source.take, source.hub, source.subset, source.split,
                source.revision]
    more = {"layout": source.layout_version, "repeat": source.repeat if source.repeat > 1 else 0}
    added = [f"{name} {value}" for name, value in more.items() if value]
    return [*declared, hashes, pictures, *_reading(source), *added]


def _reading(source: SourceConfig) -> list[Any]:
    """Return the versions of the readers of this source, if a change of a reader has changed its records."""
    changed = {
        "tar": any(ending(name) == ".tar" for name in source.files),
        "boxes": source.boxes not in ("none", "thousandths"),
    }
    return (
        [sorted(f"{name} {READING[name]}" for name, is_read in changed.items() if is_read)]
        if any(changed.values())
        else []
    )


def _pictures(root: str, remote: RemoteConfig) -> str:
    found = hashlib.sha256()
    for name, size in listing(root, remote):
        found.update(f"{name}\0{size}\n".encode())
    return found.hexdigest()


def kept_hash(file: FileVersion, catalogue: CatalogueConfig) -> str:
    """Return the hash of a file, cached in the catalogue's cache under the file's version."""
    return cached_text(lambda: content_hash(file, catalogue.remote), cache=catalogue.cache, kind="hashes",
                     key=(file.name, file.size, file.version))
