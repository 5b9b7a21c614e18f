"""From draws to samples: the one place where training meets its data. Torch-free.

- The k-th sample of a category is a function of (data, seed, category, k): nothing is remembered, so stop and resume,
  and any number of workers, see the same samples, none lost and none repeated.
- The workbench generates without end. A catalogue has a finite number of samples: a pass is a permutation of all of
  them, every pass another one, and passes are counted (`model.data.shuffle`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from model.config.catalogue import CatalogueConfig
from model.config.stages import DataConfig, Orientation
from model.config.taxonomy import EQUAL_SHARES
from model.data.mixture import Draw, sample_index
from model.data.shuffle import running_totals, shuffled, union
from model.data.sources.dataset import BrokenSample, Source, open_dataset
from model.samples import Replaced, Sample
from model.workbench import make_sample

MOST_REPLACED = 20
"""Broken samples in a row after which a data set counts as unusable."""
T = TypeVar("T")


class SampleSource(Protocol):
    """What turns draws into samples."""

    def sample(self, draw: Draw) -> Sample:
        """Open the sample of a draw.

        Raises:
            ValueError: the sample is broken; the message names file and index.
        """

    def used(self, draw: Draw, use: Callable[[Sample], T]) -> T:
        """Open the sample of a draw and return what is made of it; one that cannot be used is broken too.

        Raises:
            ValueError: the sample is broken; the message names file and index.
        """

    def sizes(self) -> dict[str, int]:
        """Return how many samples a pass over each data set has; a source without end is not listed."""

    def asked(self, categories: Mapping[str, float]) -> dict[str, float]:
        """Return how many samples of each source the numbers of samples of categories mean."""

    def most_broken(self) -> dict[str, int]:
        """Return how many samples of each data set may be broken and replaced; one that is not listed may have none."""


class Workbench:
    """The generated corpus."""

    def __init__(self, *, corpus_seed: int, seed: int) -> None:
        """Keep the seed of the corpus and that of the draws."""
        self._corpus_seed, self._seed = corpus_seed, seed

    def sample(self, draw: Draw) -> Sample:
        """Generate the sample of a draw."""
        return make_sample(
            draw.category, "train", sample_index(self._seed, draw.category, draw.k), seed=self._corpus_seed
        )

    def used(self, draw: Draw, use: Callable[[Sample], T]) -> T:
        """Generate the sample of a draw and return what is made of it."""
        return use(self.sample(draw))

    def sizes(self) -> dict[str, int]:
        """Return nothing: the corpus has no end."""
        return {}

    def asked(self, categories: Mapping[str, float]) -> dict[str, float]:
        """Return the same numbers: a category is its own source."""
        return dict(categories)

    def most_broken(self) -> dict[str, int]:
        """Return nothing: what is generated is whole."""
        return {}


@dataclass(frozen=True, slots=True)
class SampleLocation:
    """Where the sample of a draw lies."""

    source: Source
    row: int
    pass_number: int
    """How often what it is drawn from was gone through before, from 0."""


class Catalogue:
    """The operator's data sets; those of a category are one set, drawn by size, or have equal shares where the taxonomy says so."""

    def __init__(
        self, config: CatalogueConfig, categories: Iterable[str], *, seed: int, orientation: Orientation = "stored"
    ) -> None:
        """Open the data sets of these categories.

        Raises:
            ValueError: a category has none, or one cannot be opened.
        """
        self._seed = seed
        self._sources: dict[str, list[Source]] = {}
        for category in categories:
            found = config.of(category)
            if not found:
                raise ValueError(f"catalogue {config.name!r} has no data set of category {category!r}")
            self._sources[category] = [open_dataset(each, config, orientation) for each in found]
        self._ends = {
            category: running_totals([len(each) for each in sources]) for category, sources in self._sources.items()
        }

    def place(self, draw: Draw) -> SampleLocation:
        """Say which sample a draw takes, without opening it."""
        sources, key = self._sources[draw.category], f"{self._seed}/{draw.category}"
        if draw.category in EQUAL_SHARES:
            k, which = divmod(draw.k, len(sources))
            row, number = shuffled(k, size=len(sources[which]), key=f"{key}/{sources[which].config.name}")
            return SampleLocation(sources[which], row, number)
        ends = self._ends[draw.category]
        index, number = shuffled(draw.k, size=ends[-1], key=key)
        which, row = union(index, ends)
        return SampleLocation(sources[which], row, number)

    def sample(self, draw: Draw) -> Sample:
        """Open the sample of a draw, or the one that stands in for it, as `used` does."""
        return self.used(draw, lambda sample: sample)

    def used(self, draw: Draw, use: Callable[[Sample], T]) -> T:
        """Open the sample of a draw and return what is made of it.

        Where the data set declares that some may be broken, another one stands in for it. One that can be opened and not used (it is
        longer than the context) is broken as well: whether it was read or encoded when that showed is nothing to the user.

        Raises:
            BrokenSample: the sample is broken and none may be, or nothing whole was found.
        """
        place = self.place(draw)
        row, broken = place.row, list[Replaced]()
        while True:
            try:
                return _used(place.source, row, use, tuple(broken))
            except BrokenSample as error:
                broken.append(Replaced(error.place, error.reason))
                if not place.source.config.broken or len(broken) > MOST_REPLACED:
                    raise
                row = sample_index(self._seed, f"{place.source.config.title}/{place.row}/instead", len(broken)) % len(
                    place.source
                )

    def sizes(self) -> dict[str, int]:
        """Return how many samples each data set has."""
        return {each.config.title: len(each) for sources in self._sources.values() for each in sources}

    def asked(self, categories: Mapping[str, float]) -> dict[str, float]:
        """Divide the samples of each category over its data sets."""
        found: dict[str, float] = {}
        for category, samples in categories.items():
            sources = self._sources[category]
            parts = [1 if category in EQUAL_SHARES else len(each) for each in sources]
            found |= {each.config.title: samples * part / sum(parts) for each, part in zip(sources, parts, strict=True)}
        return found

    def most_broken(self) -> dict[str, int]:
        """Return how many samples of each data set may be broken, at least one where any may."""
        return {each.config.title: max(1, int(each.config.broken * len(each)))
                for sources in self._sources.values() for each in sources if each.config.broken}


def _used(source: Source, row: int, use: Callable[[Sample], T], broken: tuple[Replaced, ...]) -> T:
    sample = source.sample(row)
    try:
        return use(replace(sample, replaces=broken) if broken else sample)
    except ValueError as error:
        raise source.broken(row, str(error).removeprefix(f"{sample.sample_id}: ")) from error


def sample_source(
    data: DataConfig, categories: Iterable[str], *, seed: int, orientation: Orientation = "stored"
) -> SampleSource:
    """Return the supply of a stage.

    Args:
        data: where samples come from.
        categories: that the stage draws from.
        seed: of the order; the trial's.
        orientation: whether photographs are turned as their EXIF data say.

    Raises:
        ValueError: the catalogue is missing, has no data of a category, or cannot be opened.
    """
    if data.source == "workbench":
        return Workbench(corpus_seed=data.seed, seed=seed)
    if data.catalogue is None:
        raise ValueError(
            "data.source is catalogue, and no catalogue is configured; allowed: a catalogue file (ABLATE_CATALOGUE)"
        )
    return Catalogue(data.catalogue, categories, seed=seed, orientation=orientation)
