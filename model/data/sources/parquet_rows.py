"""Rows of parquet, local or of the hub, by number, through `datasets`. The door of `datasets`.

- `datasets` turns parquet into Arrow files once, in the operator's cache, and maps them into memory: any row at once, no copy.
- Images stay bytes: they are decoded by `model.images.decode` alone. Scripts of a data set are never run (`datasets` 4 and
  later cannot).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import Any

import datasets
import pyarrow.parquet

from model.config.catalogue import RemoteConfig, SourceConfig
from model.data.shuffle import running_totals
from model.data.sources.files import FileVersion, open_stream
from model.data.sources.hub_files import hub_files
from model.data.sources.store_errors import UNREACHED


class ParquetRows:
    """The rows of a source."""

    def __init__(self, config: SourceConfig, files: list[FileVersion], remote: RemoteConfig, cache: str) -> None:
        """Open the rows; the first time, fetch them from the hub if that is where they are, and convert them."""
        if config.image_prefix:
            raise ValueError("image_prefix is for JSON files")
        if not cache:
            raise ValueError("parquet needs a cache folder for what it is converted to")
        datasets.disable_progress_bars()
        files = hub_files(config, remote, cache) if config.hub else files
        self._files, self._config = files, config
        self._ends = running_totals([_num_rows(file, remote) for file in files])
        self._table = _undecoded(_files(files, cache))

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._table)

    def where(self, row: int) -> str:
        """Return file and row; of a file of the hub, its place there."""
        which = bisect_right(self._ends, row)
        name, commit = self._files[which].name, self._config.revision
        if self._config.hub:
            name = f"{self._config.hub}@{commit[:8]}/{name.partition(f'/{commit}/')[2]}"
        return f"{name}:{row - (self._ends[which - 1] if which else 0)}"

    def record(self, row: int) -> Mapping[str, Any]:
        """Read a row."""
        record: dict[str, Any] = self._table[row]
        return record


def _num_rows(file: FileVersion, remote: RemoteConfig) -> int:
    with open_stream(file, remote) as opened:
        try:
            return int(pyarrow.parquet.read_metadata(opened).num_rows)
        except (*UNREACHED, ValueError) as error:
            raise ValueError(f"{file.name}: not readable as parquet ({_reason(error)})") from error


def _files(files: list[FileVersion], cache: str) -> datasets.Dataset:
    try:
        return datasets.load_dataset("parquet", data_files=[file.name for file in files], split="train", cache_dir=cache)
    except (*UNREACHED, ValueError, datasets.exceptions.DatasetsError) as error:
        raise ValueError(f"{files[0].name}: not readable as parquet ({_reason(error)})") from error


def _undecoded(table: datasets.Dataset) -> datasets.Dataset:
    """Return the table with images as bytes and paths."""
    for name, feature in table.features.items():
        if isinstance(feature, datasets.Image):
            table = table.cast_column(name, datasets.Image(decode=False))
        elif isinstance(getattr(feature, "feature", None), datasets.Image):
            table = table.cast_column(name, datasets.List(datasets.Image(decode=False)))
    return table


def _reason(error: BaseException) -> str:
    cause = error.__cause__ or error
    return f"{type(cause).__name__}: {str(cause)[:200]}"
