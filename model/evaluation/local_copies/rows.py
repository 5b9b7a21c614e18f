"""Rows of a local copy: JSON lines, JSON lists and parquet, read without their pictures; a picture is opened when it is asked for.

- Files are read in the order of their names; a row knows its file and number, and every error names them.
- A picture is a path below the copy's folder, or bytes in a parquet file, as data sets on the hub hold them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from model.config.fields import did_you_mean
from model.config.stages import Orientation
from model.images.decode import decode_image, open_image

SUFFIXES = (".jsonl", ".json", ".parquet")
JUDGE = "judge"
"""Folder of a copy that holds what its judge is told, and no rows."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Where a picture is: its row, its column, and its place in a column of several."""

    row: Row
    column: str
    place: int = 0

    def open(self, orientation: Orientation = "stored") -> Image.Image:
        """Decode it, RGB, turned as its EXIF data say or not.

        Raises:
            ValueError: it cannot be read, or is too large; the message names it.
        """
        return self.row.table.picture(self, orientation)


@dataclass(frozen=True, slots=True)
class Row:
    """One row without its pictures."""

    table: RowTable
    number: int
    """In its file, from 0."""
    cells: dict[str, Any]

    @property
    def where(self) -> str:
        """File and number, for messages."""
        return f"{self.table.path}: row {self.number}"

    def __getitem__(self, column: str) -> Any:
        """Return a cell.

        Raises:
            ValueError: there is no such column, or it is empty here.
        """
        if self.cells.get(column) is None:
            hint = "it is empty here" if column in self.cells else did_you_mean(column, self.cells)
            raise ValueError(f"{self.where}: no {column!r}; {hint}")
        return self.cells[column]

    def get(self, column: str, default: Any = "") -> Any:
        """Return a cell, or the default where it is empty or there is none."""
        found = self.cells.get(column)
        return default if found is None else found

    def text(self, column: str) -> str:
        """Return a cell as text without outer white space."""
        return str(self[column]).strip()

    def pictures(self, *columns: str) -> tuple[Picture, ...]:
        """Return the pictures of columns, each with one picture, several or none.

        Raises:
            ValueError: there is no picture at all.
        """
        found = [Picture(self, column, place) for column in columns for place in range(self._count(column))]
        if not found:
            raise ValueError(f"{self.where}: no picture in {', '.join(columns)}; it has {', '.join(self.cells)}")
        return tuple(found)

    def _count(self, column: str) -> int:
        cell = self.cells.get(column)
        return 0 if cell is None else len(cell) if isinstance(cell, list) else 1


class RowTable:
    """The rows of one file."""

    def __init__(self, path: Path, root: Path) -> None:
        """Name a file of a copy.

        Args:
            path: the file.
            root: folder that paths of pictures start from.
        """
        self.path, self.root = path, root
        self._parquet = pq.ParquetFile(path) if path.suffix == ".parquet" else None
        self._group, self._columns = -1, dict[str, list[Any]]()

    def rows(self) -> Iterator[Row]:
        """Yield all rows.

        Raises:
            ValueError: the file is not what its name says.
        """
        cells = self._parquet_cells() if self._parquet else self._json_cells()
        for number, each in enumerate(cells):
            if not isinstance(each, dict):
                raise ValueError(f"{self.path}: row {number} is {type(each).__name__}; allowed: a mapping of columns")
            yield Row(self, number, each)

    def picture(self, picture: Picture, orientation: Orientation = "stored") -> Image.Image:
        """Open a picture of one of the rows."""
        name = f"{picture.row.where}, {picture.column}"
        cell = self._bytes_of(picture) if self._parquet else picture.row.cells[picture.column]
        cell = cell[picture.place] if isinstance(cell, list) else cell
        if isinstance(cell, dict) and cell.get("bytes"):
            return decode_image(cell["bytes"], name, orientation=orientation)
        path = cell.get("path") if isinstance(cell, dict) else cell
        if not isinstance(path, str):
            raise ValueError(f"{name}: {type(cell).__name__} is no picture; allowed: a path below {self.root}, or bytes in parquet")
        full = (self.root / path).resolve()
        if not full.is_relative_to(self.root.resolve()):
            raise ValueError(f"{name}: {path!r} leaves {self.root}; allowed: a path below it")
        return open_image(full, orientation=orientation)

    def _json_cells(self) -> Iterator[Any]:
        try:
            if self.path.suffix == ".json":
                yield from json.loads(self.path.read_text(encoding="utf-8"))
                return
            with self.path.open(encoding="utf-8") as file:
                for line in file:
                    if line.strip():
                        yield json.loads(line)
        except ValueError as error:
            raise ValueError(f"{self.path}: not JSON ({error}); allowed: {self.path.suffix.removeprefix('.')} in UTF-8") from error

    def _parquet_cells(self) -> Iterator[Any]:
        assert self._parquet is not None
        columns = [_without_bytes(field) for field in self._parquet.schema_arrow]
        for batch in self._parquet.iter_batches(columns=columns):
            yield from batch.to_pylist()

    def _bytes_of(self, picture: Picture) -> Any:
        """Return a cell with its bytes.

        Of the row group that was read last each column is kept: neighbours follow each other, and an item has pictures in several.
        """
        assert self._parquet is not None
        start = 0
        for group in range(self._parquet.num_row_groups):
            count = self._parquet.metadata.row_group(group).num_rows
            if picture.row.number < start + count:
                break
            start += count
        if self._group != group:
            self._group, self._columns = group, {}
        if picture.column not in self._columns:
            self._columns[picture.column] = self._parquet.read_row_group(group, columns=[picture.column]).column(0).to_pylist()
        return self._columns[picture.column][picture.row.number - start]


def rows_of(folder: Path, stem: str = "") -> list[Row]:
    """Read the rows of all files of a folder, or of those whose name starts with `stem`.

    Raises:
        ValueError: there is no such folder or file, or one cannot be read.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder; allowed: a local copy of the benchmark")
    files = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.name.startswith(stem)
                   and path.is_file() and path.parent != folder / JUDGE)
    if not files:
        raise ValueError(f"{folder}: no {stem or '*'}*.jsonl, .json or .parquet; allowed: one or more")
    try:
        return [row for path in files for row in RowTable(path, folder).rows()]
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{folder}: {error}") from error


def _without_bytes(field: pa.Field) -> str:
    """Name the column, or the leaf of it that tells whether there is a picture without reading it."""
    name, kind = field.name, field.type
    if pa.types.is_list(kind) and _is_picture(kind.value_type):
        return f"{name}.list.element.path"
    return f"{name}.path" if _is_picture(kind) else str(name)


def _is_picture(kind: pa.DataType) -> bool:
    return pa.types.is_struct(kind) and {each.name for each in kind} == {"bytes", "path"}
