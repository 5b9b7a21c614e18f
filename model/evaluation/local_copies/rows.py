"""Read the rows of a local copy (JSON lines, JSON lists, parquet) without their images, which are opened on request.

- Files are read in the order of their names. A row knows its file and number, and every error has them.
- An image is a path below the copy's folder, or bytes in a parquet file, as in data sets on the hub.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from model.config.fields import did_you_mean
from model.config.stages import Orientation
from model.images.decode import decode_image, open_image

SUFFIXES = (".jsonl", ".json", ".parquet")
_PART = re.compile(r"[-_.]?\d*(?:-of-\d+)?$")
"""The number of a file among several."""
JUDGE = "judge"
"""Folder of a copy with the judge's instructions; it contains no rows."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Where an image is: its row, its column, and its place in a column of several."""

    row: Row
    column: str
    place: int = 0

    @property
    def name(self) -> str:
        """Path of the image file, or of the file of rows with row and column."""
        cell = self.row.cells.get(self.column)
        cell = cell[self.place] if isinstance(cell, list) else cell
        return str(self.row.table.root / cell) if isinstance(cell, str) else f"{self.row.where}, {self.column}"

    def open(self, orientation: Orientation = "stored") -> Image.Image:
        """Decode the image as RGB, rotated as its EXIF data say or not.

        Raises:
            ValueError: it cannot be read, or is too large; the message has its name.
        """
        return self.row.table.picture(self, orientation)


@dataclass(frozen=True, slots=True)
class Row:
    """One row without its images."""

    table: RowTable
    number: int
    """Its number in the file, from 0; for messages."""
    cells: dict[str, Any]
    place: int = 0
    """Its number in the series of files to which its file belongs, from 0; for names, because a split may have several
    files.
    """
    series: str = ""
    """The series of its file: the path in the copy without the part number, such as `val` or `data/val`."""
    is_alone: bool = True
    """Whether the copy has only one series."""

    @property
    def key(self) -> str:
        """Identifies the row within the copy."""
        return str(self.place) if self.is_alone else f"{self.series}/{self.place}"

    @property
    def where(self) -> str:
        """File and number, for messages."""
        return f"{self.table.path}: row {self.number}"

    def __getitem__(self, column: str) -> Any:
        """Return a cell.

        Raises:
            ValueError: there is no such column, or it is empty in this row.
        """
        if self.cells.get(column) is None:
            hint = "it is empty in this row" if column in self.cells else did_you_mean(column, self.cells)
            raise ValueError(f"{self.where}: no {column!r}; {hint}")
        return self.cells[column]

    def get(self, column: str, default: Any = "") -> Any:
        """Return a cell, or the default if it is empty or missing."""
        found = self.cells.get(column)
        return default if found is None else found

    def text(self, column: str, default: object = None) -> str:
        """Return a cell (a text, a number or a truth value) as text without outer white space.

        Args:
            column: the column's name.
            default: replaces a cell that is empty or missing; None raises instead.

        Raises:
            ValueError: there is no such cell, or it holds something else (a list, a number that is not finite).
        """
        cell = self[column] if default is None else self.get(column, default)
        return plain_text(cell, f"{self.where}: {column}")

    def pictures(self, *columns: str) -> tuple[Picture, ...]:
        """Return the images of some columns; each column has one image, several or none.

        Raises:
            ValueError: there is no image at all.
        """
        found = [Picture(self, column, place) for column in columns for place in range(self._count(column))]
        if not found:
            raise ValueError(f"{self.where}: no image in {', '.join(columns)}; its columns: {', '.join(self.cells)}")
        return tuple(found)

    def _count(self, column: str) -> int:
        cell = self.cells.get(column)
        return 0 if cell is None else len(cell) if isinstance(cell, list) else 1


class RowTable:
    """The rows of one file.

    Args:
        path: the file.
        root: the folder to which paths of images are relative.
    """

    def __init__(self, path: Path, root: Path) -> None:
        self.path, self.root = path, root
        self._parquet = pq.ParquetFile(path) if path.suffix == ".parquet" else None
        self._group, self._columns = -1, dict[str, list[Any]]()

    def rows(self) -> Iterator[Row]:
        """Yield all rows.

        Raises:
            ValueError: the file does not have the format of its suffix.
        """
        cells = self._parquet_cells() if self._parquet else self._json_cells()
        for number, each in enumerate(cells):
            if not isinstance(each, dict):
                raise ValueError(f"{self.path}: row {number} is {type(each).__name__}; allowed: a mapping of columns")
            yield Row(self, number, each)

    def picture(self, picture: Picture, orientation: Orientation = "stored") -> Image.Image:
        """Open an image of one of the rows."""
        name = f"{picture.row.where}, {picture.column}"
        cell = self._bytes_of(picture) if self._parquet else picture.row.cells[picture.column]
        cell = cell[picture.place] if isinstance(cell, list) else cell
        if isinstance(cell, dict) and cell.get("bytes"):
            return decode_image(cell["bytes"], name, orientation=orientation)
        path = cell.get("path") if isinstance(cell, dict) else cell
        if not isinstance(path, str):
            raise ValueError(
                f"{name}: {type(cell).__name__} is no image; allowed: a path below {self.root}, or bytes in parquet"
            )
        full = (self.root / path).resolve()
        if not full.is_relative_to(self.root.resolve()):
            raise ValueError(f"{name}: {path!r} leaves {self.root}; allowed: a path below it")
        return open_image(full, orientation=orientation)

    def _json_cells(self) -> Iterator[Any]:
        where = str(self.path)
        try:
            if self.path.suffix == ".json":
                rows = json.loads(self.path.read_text(encoding="utf-8-sig"))
                if not isinstance(rows, list):
                    raise ValueError(f"it holds {type(rows).__name__}, not a list of rows")
                yield from rows
                return
            with self.path.open(encoding="utf-8-sig") as file:
                for number, line in enumerate(file, start=1):
                    where = f"{self.path}:{number}"
                    if line.strip():
                        yield json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f"{where}: not JSON ({error}); allowed: {self.path.suffix.removeprefix('.')} in UTF-8"
            ) from error

    def _parquet_cells(self) -> Iterator[Any]:
        assert self._parquet is not None
        columns = [_without_bytes(field) for field in self._parquet.schema_arrow]
        for batch in self._parquet.iter_batches(columns=columns):
            yield from batch.to_pylist()

    def _bytes_of(self, picture: Picture) -> Any:
        """Return a cell with its bytes.

        The columns of the row group that was read last are kept, because neighbouring rows are read in turn, and an
        item may have images in several columns.
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
            self._columns[picture.column] = (
                self._parquet.read_row_group(group, columns=[picture.column]).column(0).to_pylist()
            )
        return self._columns[picture.column][picture.row.number - start]


def rows_of(folder: Path, stem: str = "") -> list[Row]:
    """Read the rows of all files in a folder, or of those whose name starts with `stem`.

    Raises:
        ValueError: there is no such folder or file, or one cannot be read.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder; allowed: a local copy of the benchmark")
    files = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.name.startswith(stem)
                   and path.is_file() and path.parent != folder / JUDGE)
    if not files:
        raise ValueError(f"{folder}: no {stem or '*'}*.jsonl, .json or .parquet; allowed: one or more")
    names = {path: _series(path.relative_to(folder)) for path in files}
    is_one = len(set(names.values())) == 1
    counts: Counter[str] = Counter()
    found = []
    for path in files:
        for row in _rows_of(path, folder):
            found.append(replace(row, place=counts[names[path]], series=names[path], is_alone=is_one))
            counts[names[path]] += 1
    return found


def _rows_of(path: Path, folder: Path) -> Iterator[Row]:
    try:
        yield from RowTable(path, folder).rows()
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path}: {error}") from error


def _series(path: Path) -> str:
    """Return the series of a file: `val-00000-of-00004.parquet` and `val/0000.parquet` belong to `val`."""
    stem = _PART.sub("", path.name.removesuffix(path.suffix))
    return (path.parent / stem if stem else path.parent).as_posix()


def plain_text(cell: object, where: str) -> str:
    """Return a cell as text without outer white space.

    Raises:
        ValueError: it is no text, number or truth value. Otherwise Python's text of a list would be compared with
            answers.
    """
    is_number = isinstance(cell, int) or (isinstance(cell, float) and math.isfinite(cell))
    if not isinstance(cell, str) and not is_number:
        raise ValueError(f"{where} is {str(cell)[:40]!r} ({type(cell).__name__}); allowed: text or a number")
    return str(cell).strip()


def _without_bytes(field: pa.Field) -> str:
    """Return the column's name, or its leaf that shows whether there is an image without reading the image."""
    name, kind = field.name, field.type
    if pa.types.is_list(kind) and _is_picture(kind.value_type):
        return f"{name}.list.element.path"
    return f"{name}.path" if _is_picture(kind) else str(name)


def _is_picture(kind: pa.DataType) -> bool:
    return pa.types.is_struct(kind) and {each.name for each in kind} == {"bytes", "path"}
