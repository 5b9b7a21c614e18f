"""The items of a held-out loss of the operator's own: records in a layout of training data, in their own folder."""

from __future__ import annotations

from pathlib import Path

from model.config.benchmark import HELD_OUT, Benchmark
from model.config.catalogue import CatalogueConfig, SourceConfig
from model.config.fields import FieldError
from model.config.stages import Orientation
from model.data.sources.dataset import open_dataset
from model.evaluation.held_out import sample_item
from model.samples import Item

SUFFIXES = (".json", ".jsonl", ".parquet")


def source_of(spec: Benchmark, folder: Path) -> SourceConfig:
    """Return the files of a copy as a data set.

    Raises:
        ValueError: there are no files, or they are of different kinds.
    """
    files = sorted(str(path) for path in folder.glob("*") if path.suffix in SUFFIXES)
    if not files:
        raise ValueError(f"{folder}: no file of records; allowed: one or more that end in {', '.join(SUFFIXES)}")
    try:
        return SourceConfig(category=HELD_OUT, name=spec.name, layout=spec.records, layout_version=spec.reader_version,
                            files=tuple(files), images=str(folder), boxes=spec.boxes)  # type: ignore[arg-type]
    except FieldError as error:
        raise ValueError(f"{folder}: {error.path}: {error.problem}") from error


class RecordItems:
    """The samples of a folder, opened one by one."""

    def __init__(self, spec: Benchmark, folder: Path, orientation: Orientation = "stored") -> None:
        """Find the records.

        Raises:
            ValueError: there are none, or a file cannot be read.
        """
        self.spec, self.folder = spec, folder
        self._source = open_dataset(source_of(spec, folder), CatalogueConfig(name=HELD_OUT, sources=()), orientation)

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Item:
        """Return a sample as an item, with its images.

        Raises:
            ValueError: the record cannot be used; the message has its file and number.
        """
        sample = self._source.sample(index)
        return sample_item(sample, item_id=f"{self.spec.name}/{index}", benchmark=self.spec.name)

    def where(self, index: int) -> str:
        """Return file and number of a record."""
        return self._source.where(index)

    def meta(self, index: int) -> dict[str, str]:  # noqa: ARG002 (as copies of other kinds have)
        """Return nothing: no record says more than its sample."""
        return {}

    def materials(self) -> dict[str, str]:
        """Return nothing: no judge is asked."""
        return {}
