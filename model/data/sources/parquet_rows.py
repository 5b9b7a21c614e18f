"""Read rows of parquet files, local or from the hub, by number. Only this module of `model.data` uses `pyarrow`.

- Each file is converted once to an Arrow file in the operator's cache, which is memory-mapped: any row is read at once,
  without a copy.
- Only the columns are read, not the file's metadata. What `datasets` stores there (this column is an image, load it
  from that URL) is untrusted text. Images stay bytes or names; the source's own opener turns them into images, within
  the rules of the catalogue.
- All files of a data set must have the same columns. A shard with other columns is an error; its cells do not count as
  empty.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from model.config.catalogue import RemoteConfig, SourceConfig
from model.data.shuffle import running_totals
from model.data.sources.files import FileVersion, open_stream
from model.data.sources.hub_files import hub_files
from model.data.sources.store_errors import UNREACHED

FORM = 1
"""Raised by hand when the same file would be converted to other rows."""
BATCH_ROWS = 64
"""Rows that are converted and read together."""
OPEN_FILES = 128
"""Converted files that a process keeps mapped."""
_ALIKE = (("large_", ""), ("uint", "int"), ("int8", "int"), ("int16", "int"), ("int32", "int"), ("int64", "int"), ("halffloat", "float"),
          ("double", "float"))
"""Widths of one kind of number; writers choose them by what a file happens to contain."""


class ParquetRows:
    """The rows of a source."""

    def __init__(self, config: SourceConfig, files: list[FileVersion], remote: RemoteConfig, cache: str) -> None:
        """Find the rows. The first time, fetch files from the hub if needed, and convert them.

        Raises:
            ValueError: a file cannot be read as parquet, or has other columns than the others.
        """
        if config.image_prefix:
            raise ValueError("image_prefix is for JSON files")
        if not cache:
            raise ValueError("parquet needs a cache folder for its converted files")
        files = hub_files(config, remote, cache) if config.hub else files
        self._files, self._config = files, config
        self._converted = [_converted(file, remote, cache) for file in files]
        tables = [_opened(path) for path in self._converted]
        _check_columns(
            [(file.name, table.columns) for file, table in zip(files, tables, strict=True) if table.num_rows]
        )
        self._ends = running_totals([table.num_rows for table in tables])

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def where(self, row: int) -> str:
        """Return file and row; for a file from the hub, its path there."""
        which, row = self._place(row)
        name, commit = self._files[which].name, self._config.revision
        if self._config.hub:
            name = f"{self._config.hub}@{commit[:8]}/{name.partition(f'/{commit}/')[2]}"
        return f"{name}:{row}"

    def record(self, row: int) -> Mapping[str, Any]:
        """Read a row."""
        which, row = self._place(row)
        return _opened(self._converted[which]).record(row)

    def _place(self, row: int) -> tuple[int, int]:
        which = bisect_right(self._ends, row)
        return which, row - (self._ends[which - 1] if which else 0)


@dataclass(frozen=True, slots=True)
class _Table:
    """A converted file, mapped into memory."""

    reader: Any
    ends: list[int]
    """Number of rows up to the end of each batch."""

    @property
    def num_rows(self) -> int:
        return self.ends[-1] if self.ends else 0

    @property
    def columns(self) -> dict[str, str]:
        """Name -> kind of a column's values, whatever their width."""
        return {field.name: _kind(field.type) for field in self.reader.schema}

    def record(self, row: int) -> dict[str, Any]:
        which = bisect_right(self.ends, row)
        batch = self.reader.get_batch(which)
        (record,) = batch.slice(row - (self.ends[which - 1] if which else 0), 1).to_pylist()
        return record  # type: ignore[no-any-return]


@lru_cache(maxsize=OPEN_FILES)
def _opened(path: Path) -> _Table:
    reader = pa.ipc.open_file(pa.memory_map(str(path)))
    return _Table(
        reader, running_totals([reader.get_batch(number).num_rows for number in range(reader.num_record_batches)])
    )


def _converted(file: FileVersion, remote: RemoteConfig, cache: str) -> Path:
    """Return the file's rows as an Arrow file in the cache.

    It is written to a temporary name and renamed when complete.
    """
    version = json.dumps([FORM, file.name, file.size, file.version])
    path = Path(cache) / "rows" / f"{hashlib.sha256(version.encode()).hexdigest()}.arrow"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex}")
    with open_stream(file, remote) as opened:
        try:
            _convert(opened, temporary)
        except (*UNREACHED, ValueError, pa.ArrowException) as error:
            temporary.unlink(missing_ok=True)
            raise ValueError(
                f"{file.name}: not readable as parquet ({type(error).__name__}: {str(error)[:200]})"
            ) from error
    os.replace(temporary, path)
    return path


def _convert(opened: Any, path: Path) -> None:
    parquet = pq.ParquetFile(opened, arrow_extensions_enabled=False)
    schema = parquet.schema_arrow.remove_metadata()
    with pa.ipc.new_file(str(path), schema) as writer:
        for batch in parquet.iter_batches(batch_size=BATCH_ROWS):
            writer.write_batch(batch.replace_schema_metadata(None))


def _check_columns(files: Sequence[tuple[str, dict[str, str]]]) -> None:
    """Refuse a file whose columns differ from those of most files."""
    if not files:
        return
    usual = dict(Counter(tuple(sorted(columns.items())) for _, columns in files).most_common(1)[0][0])
    for name, columns in files:
        for column in sorted(usual.keys() | columns.keys()):
            found, expected = columns.get(column, "not there"), usual.get(column, "not there")
            if found != expected and "null" not in (found, expected):
                raise ValueError(
                    f"{name}: column {column!r} is {found}; in the other files of the data set it is {expected}"
                )


def _kind(kind: pa.DataType) -> str:
    text = str(kind.value_type if pa.types.is_dictionary(kind) else kind)
    for width, plain in _ALIKE:
        text = text.replace(width, plain)
    return text
