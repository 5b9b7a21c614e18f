"""Rows of parquet, local or of the hub, by number. The door of `pyarrow` in `model.data`.

- Each file is turned into an Arrow file once, in the operator's cache, and mapped into memory: any row at once, no
  copy.
- Cells are what the file's columns hold, and nothing that the file says of them: what `datasets` keeps in the metadata
  (this column is a picture, decode it from that address) is text of whoever made the file. Pictures stay bytes or
  names, which the one opener of the source turns into pictures, within the rules of the catalogue.
- Files of one data set have the same columns: a shard of another kind is named, not read as if it had empty cells.
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
"""Raised when the converted rows of the same file would be others."""
BATCH_ROWS = 64
"""Rows that are converted and found together."""
OPEN_FILES = 128
"""Converted files that a process keeps mapped."""
_ALIKE = (("large_", ""), ("uint", "int"), ("int8", "int"), ("int16", "int"), ("int32", "int"), ("int64", "int"), ("halffloat", "float"),
          ("double", "float"))
"""Widths of one kind, which writers choose by what a file happens to hold."""


class ParquetRows:
    """The rows of a source."""

    def __init__(self, config: SourceConfig, files: list[FileVersion], remote: RemoteConfig, cache: str) -> None:
        """Find the rows; the first time, fetch the files from the hub if that is where they are, and convert them.

        Raises:
            ValueError: a file cannot be read as parquet, or has other columns than the others.
        """
        if config.image_prefix:
            raise ValueError("image_prefix is for JSON files")
        if not cache:
            raise ValueError("parquet needs a cache folder for what it is converted to")
        files = hub_files(config, remote, cache) if config.hub else files
        self._files, self._config = files, config
        self._converted = [_converted(file, remote, cache) for file in files]
        tables = [_opened(path) for path in self._converted]
        _check_columns(
            [(file.name, table.columns) for file, table in zip(files, tables, strict=True) if table.num_rows]
        )
        self._ends = running_totals([table.num_rows for table in tables])

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._ends[-1] if self._ends else 0

    def where(self, row: int) -> str:
        """Return file and row; of a file of the hub, its place there."""
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
    """Rows up to the end of each batch."""

    @property
    def num_rows(self) -> int:
        return self.ends[-1] if self.ends else 0

    @property
    def columns(self) -> dict[str, str]:
        """Name to kind of what a column holds, whatever its width."""
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
    """Return the file's rows as an Arrow file of the cache, written whole or not at all."""
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
    """Refuse a file whose columns differ from those that most of the files have."""
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
