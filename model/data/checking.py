"""Open some samples of every data set and report the broken ones. Torch-free."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from model.config.catalogue import CatalogueConfig, SourceConfig
from model.data.shuffle import permuted
from model.data.sources.boxes import boxes_in
from model.data.sources.dataset import BrokenSample, Source
from model.samples import Sample
from model.workbench import make_sample, sample_makers

WORKBENCH = "workbench"
Use = Callable[[Sample], None]
"""What a stage makes of a sample; a ValueError says why it cannot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """One sample that cannot be used."""

    where: str
    """File and index."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The result of opening samples of one data set."""

    category: str
    name: str
    size: int
    """Samples in the data set; 0 if it has no end or could not be opened."""
    num_opened: int
    num_images: int
    broken: tuple[Broken, ...]
    most_broken: float
    """The share of samples that the catalogue allows to be broken."""
    error: str
    """Why the data set could not be opened at all, or ""."""
    seconds: float
    num_boxes: int = 0
    """Boxes in the texts of the opened samples, in any spelling."""
    boxes: str = ""
    """The unit that the catalogue declares for boxes; `none` leaves them unchanged."""

    @property
    def is_ok(self) -> bool:
        """Whether training may draw from it: it opens, and no larger share is broken than allowed."""
        return not self.error and len(self.broken) <= self.most_broken * self.num_opened


def check_workbench(num_samples: int) -> Iterator[Checked]:
    """Generate samples of every category."""
    for category in sample_makers():
        yield _checked(category, WORKBENCH, 0, 0.0, [_maker(category, index) for index in range(num_samples)])


def check_catalogue(
    catalogue: CatalogueConfig, num_samples: int, uses: Mapping[str, Sequence[Use]] | None = None
) -> Iterator[Checked]:
    """Open samples of every data set, spread over its files, as training would.

    Args:
        catalogue: of the operator.
        num_samples: of each data set; 0 opens all.
        uses: category -> the checks of the stages that draw from it, such as `Lengths.refuse`.
    """
    for config in catalogue.sources:
        yield _check_source(config, catalogue, num_samples, (uses or {}).get(config.category, ()))


def _check_source(config: SourceConfig, catalogue: CatalogueConfig, num_samples: int, uses: Sequence[Use]) -> Checked:
    try:
        source = Source(config, catalogue)
    except ValueError as error:
        return Checked(category=config.category, name=config.name, size=0, num_opened=0, num_images=0, broken=(),
                       most_broken=config.broken, error=str(error), seconds=0.0)
    size = len(source)
    count = min(num_samples, size) if num_samples else size
    rows = (permuted(position, size=size, key="check") for position in range(count))
    return _checked(
        config.category, config.name, size, config.broken, [_opener(source, row, uses) for row in rows], boxes=config.boxes
    )


def _opener(source: Source, row: int, uses: Sequence[Use]) -> Callable[[], Sample]:
    def opened() -> Sample:
        sample = source.sample(row)
        try:
            for use in uses:
                use(sample)
        except ValueError as error:
            raise source.broken(row, str(error)) from error
        return sample

    return opened


def _maker(category: str, index: int) -> Callable[[], Sample]:
    return lambda: make_sample(category, "train", index)


def _checked(
    category: str, name: str, size: int, most_broken: float, makers: list[Callable[[], Sample]], *, boxes: str = ""
) -> Checked:
    began, broken, num_images, num_boxes = time.monotonic(), [], 0, 0
    for make in makers:
        try:
            sample = make()
            num_images += len(sample.images)
            num_boxes += sum(boxes_in(turn.question) + boxes_in(turn.answer) for turn in sample.turns)
        except BrokenSample as error:
            broken.append(Broken(where=error.where, reason=error.reason))
    return Checked(category=category, name=name, size=size, num_opened=len(makers), num_images=num_images, broken=tuple(broken),
                   most_broken=most_broken, error="", seconds=time.monotonic() - began, num_boxes=num_boxes, boxes=boxes)
