"""An index of where each record of a data set is: file, offset and size of its parts, as arrays.

- A record of JSON has one part; a sample in a tar has one for each of its members. Reading a row is one read a part.
- An index is made once for each version of the files. It is stored in the operator's cache folder under a name that
  contains the versions of all files; it is written to a temporary name and renamed when complete.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.config.catalogue import RemoteConfig
from model.data.sources.files import FileVersion, read

FORM = 2
"""Raised by hand when the same files would give another index."""


@dataclass(frozen=True, slots=True)
class IndexPart:
    """One piece of a record."""

    kind: str
    """Suffix of its name, without the dot."""
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Located:
    """One record as a scan found it."""

    ordinal: int
    """The record's number in its file."""
    parts: tuple[IndexPart, ...]


Scan = Callable[[FileVersion], Iterable[Located]]


@dataclass(frozen=True, slots=True)
class RecordIndex:
    """The records of several files, concatenated. Row r has the parts `first[r]` to `first[r + 1]`."""

    files: tuple[FileVersion, ...]
    kinds: tuple[str, ...]
    file: NDArray[np.int32]
    ordinal: NDArray[np.int64]
    first: NDArray[np.int64]
    kind: NDArray[np.int16]
    offset: NDArray[np.int64]
    size: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.file)

    def where(self, row: int) -> str:
        """Return file and number of a record, for messages."""
        return f"{self.files[self.file[row]].name}:{self.ordinal[row]}"

    def parts(self, row: int, remote: RemoteConfig) -> list[tuple[str, bytes]]:
        """Read the parts of a record, each with its kind."""
        file = self.files[self.file[row]]
        return [
            (self.kinds[self.kind[part]], read(file, remote, offset=int(self.offset[part]), size=int(self.size[part])))
            for part in range(self.first[row], self.first[row + 1])
        ]


class IndexedRows:
    """Records by number, read with an index. Shared by the file formats."""

    def __init__(self, index: RecordIndex, remote: RemoteConfig) -> None:
        self._index, self._remote = index, remote

    def __len__(self) -> int:
        return len(self._index)

    def where(self, row: int) -> str:
        """Return file and number of a record."""
        return self._index.where(row)

    def _parts(self, row: int) -> list[tuple[str, bytes]]:
        return self._index.parts(row, self._remote)


def indexed(files: Sequence[FileVersion], scan: Scan, *, cache: str, salt: str) -> RecordIndex:
    """Return the index of these files, from the cache if it was made before.

    Args:
        files: the files in the order of their records.
        scan: lists the records of one file.
        cache: folder; "" stores nothing.
        salt: everything else that decides which records the scan lists.
    """
    if not cache:
        return _built(files, scan)
    versions = json.dumps([FORM, salt, [[file.name, file.size, file.version] for file in files]])
    path = Path(cache) / "indices" / f"{hashlib.sha256(versions.encode()).hexdigest()}.npz"
    if not path.exists():
        _save(_built(files, scan), path)
    return _loaded(path, files)


def _built(files: Sequence[FileVersion], scan: Scan) -> RecordIndex:
    kinds: dict[str, int] = {}
    of_file, ordinals, firsts, parts = [], [], [0], []
    for number, file in enumerate(files):
        for located in scan(file):
            of_file.append(number)
            ordinals.append(located.ordinal)
            parts += [(kinds.setdefault(part.kind, len(kinds)), part.offset, part.size) for part in located.parts]
            firsts.append(len(parts))
    table = np.array(parts, dtype=np.int64).reshape(-1, 3)
    return RecordIndex(tuple(files), tuple(kinds), np.array(of_file, np.int32), np.array(ordinals, np.int64), np.array(firsts, np.int64),
                 table[:, 0].astype(np.int16), table[:, 1].copy(), table[:, 2].copy())


def _save(index: RecordIndex, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex}.npz")
    with temporary.open("wb") as file:
        np.savez(file, kinds=np.array(index.kinds, dtype=np.str_), of_file=index.file, ordinal=index.ordinal, first=index.first,
                 kind=index.kind, offset=index.offset, size=index.size)
    os.replace(temporary, path)


def _loaded(path: Path, files: Sequence[FileVersion]) -> RecordIndex:
    with np.load(path, allow_pickle=False) as arrays:
        return RecordIndex(tuple(files), tuple(map(str, arrays["kinds"])), arrays["of_file"], arrays["ordinal"],
                           arrays["first"], arrays["kind"], arrays["offset"], arrays["size"])
