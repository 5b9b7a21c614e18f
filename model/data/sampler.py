"""From draws to samples: the only place where training meets its data. Torch-free.

- The k-th sample of a category is a function of (data, seed, category, k), and nothing is remembered. So after a stop
  and a resume, and with any number of workers, the same samples are seen; none is lost or repeated.
- The workbench generates samples without end. A catalogue has a finite number: a pass is a permutation of all samples,
  each pass has another one, and passes are counted (`model.data.shuffle`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from model.config.catalogue import CatalogueConfig
from model.config.stages import DataConfig, Orientation, Weight
from model.config.taxonomy import EQUAL_SHARES
from model.data.mixture import Draw, apportioned, sample_index
from model.data.shuffle import running_totals, shuffled, union
from model.data.sources.dataset import BrokenSample, Source, open_dataset
from model.samples import Replaced, Sample
from model.workbench import make_sample

MOST_REPLACED = 20
"""Broken samples in a row after which a data set counts as unusable."""
T = TypeVar("T")


class SampleSource(Protocol):
    """Turns draws into samples."""

    def sample(self, draw: Draw) -> Sample:
        """Open the sample of a draw.

        Raises:
            ValueError: the sample is broken; the message has file and index.
        """

    def used(self, draw: Draw, use: Callable[[Sample], T]) -> T:
        """Open the sample of a draw, and return the result of `use` on it. A sample that `use` refuses is broken too.

        Raises:
            ValueError: the sample is broken; the message has file and index.
        """

    def sizes(self) -> dict[str, int]:
        """Return the number of samples in a pass over each data set. A source without end is not listed."""

    def asked(self, categories: Mapping[str, float]) -> dict[str, float]:
        """Divide the number of samples of each category over its sources."""

    def most_broken(self) -> dict[str, int]:
        """Return how many samples of each data set may be broken and replaced.

        Data sets that allow none are not listed.
        """


class Workbench:
    """The generated corpus: `corpus_seed` identifies it, `seed` the order of the draws."""

    def __init__(self, *, corpus_seed: int, seed: int) -> None:
        self._corpus_seed, self._seed = corpus_seed, seed

    def sample(self, draw: Draw) -> Sample:
        """Generate the sample of a draw."""
        return make_sample(
            draw.category, "train", sample_index(self._seed, draw.category, draw.k), seed=self._corpus_seed
        )

    def used(self, draw: Draw, use: Callable[[Sample], T]) -> T:
        """Generate the sample of a draw, and return the result of `use` on it."""
        return use(self.sample(draw))

    def sizes(self) -> dict[str, int]:
        """Return an empty mapping: the corpus has no end."""
        return {}

    def asked(self, categories: Mapping[str, float]) -> dict[str, float]:
        """Return the same numbers: a category is its own source."""
        return dict(categories)

    def most_broken(self) -> dict[str, int]:
        """Return an empty mapping: generated samples are never broken."""
        return {}


@dataclass(frozen=True, slots=True)
class SampleLocation:
    """Where the sample of a draw is."""

    source: Source
    row: int
    pass_number: int
    """How many complete passes came before, from 0."""


class Catalogue:
    """The operator's data sets.

    The data sets of a category form one set, drawn in proportion to size. In categories of `EQUAL_SHARES` each has an
    equal share.
    """

    def __init__(
        self,
        config: CatalogueConfig,
        categories: Iterable[str],
        *,
        seed: int,
        orientation: Orientation = "stored",
        weights: Sequence[Weight] = (),
    ) -> None:
        """Open the data sets of these categories.

        Args:
            config: the catalogue.
            categories: that the stage draws from.
            seed: of the order; the trial's.
            orientation: whether photographs are turned as their EXIF data say.
            weights: of data sets by title, beside the others of their category.

        Raises:
            ValueError: a category has no data set, or one cannot be opened.
        """
        self._seed = seed
        self._sources: dict[str, list[Source]] = {}
        for category in categories:
            found = config.of(category)
            if not found:
                raise ValueError(f"catalogue {config.name!r} has no data set of category {category!r}")
            self._sources[category] = [open_dataset(each, config, orientation) for each in found]
        self._ends = {
            category: running_totals([len(each) * each.config.repeat for each in sources])
            for category, sources in self._sources.items()
        }
        given = {each.name: each.value for each in weights}
        self._weights = {
            category: {each.config.title: given.get(each.config.title, 1.0) for each in sources}
            for category, sources in self._sources.items() if any(each.config.title in given for each in sources)
        }
        self._sequences = {category: apportioned(each) for category, each in self._weights.items()}

    def place(self, draw: Draw) -> SampleLocation:
        """Return the location of a draw's sample, without opening it."""
        sources, key = self._sources[draw.category], f"{self._seed}/{draw.category}"
        if draw.category in self._sequences:
            of_set = self._sequences[draw.category].at(draw.k)
            (source,) = [each for each in sources if each.config.title == of_set.category]
            row, number = shuffled(of_set.k, size=len(source), key=f"{key}/{source.config.name}")
            return SampleLocation(source, row, number)
        if draw.category in EQUAL_SHARES:
            k, which = divmod(draw.k, len(sources))
            row, number = shuffled(k, size=len(sources[which]), key=f"{key}/{sources[which].config.name}")
            return SampleLocation(sources[which], row, number)
        ends = self._ends[draw.category]
        index, number = shuffled(draw.k, size=ends[-1], key=key)
        which, row = union(index, ends)
        return SampleLocation(sources[which], row % len(sources[which]), number)

    def sample(self, draw: Draw) -> Sample:
        """Open the sample of a draw, or its replacement, as `used` does."""
        return self.used(draw, lambda sample: sample)

    def used(self, draw: Draw, use: Callable[[Sample], T]) -> T:
        """Open the sample of a draw, and return the result of `use` on it.

        If the data set allows broken samples, another sample replaces a broken one. A sample that can be opened but not
        used (it is longer than the context) counts as broken as well: the user does not care whether reading or
        encoding found it.

        Raises:
            BrokenSample: the sample is broken and the data set allows none, or no whole sample was found.
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
        """Return the number of samples of each data set."""
        return {each.config.title: len(each) for sources in self._sources.values() for each in sources}

    def asked(self, categories: Mapping[str, float]) -> dict[str, float]:
        """Divide the samples of each category over its data sets."""
        found: dict[str, float] = {}
        for category, samples in categories.items():
            sources = self._sources[category]
            parts = [self._part(category, each) for each in sources]
            found |= {each.config.title: samples * part / sum(parts) for each, part in zip(sources, parts, strict=True)}
        return found

    def _part(self, category: str, source: Source) -> float:
        """Return the part of a data set in its category, in a unit of the category's own."""
        if category in self._weights:
            return self._weights[category][source.config.title]
        return 1 if category in EQUAL_SHARES else len(source) * source.config.repeat

    def most_broken(self) -> dict[str, int]:
        """Return how many samples of each data set may be broken; at least one where any may."""
        return {each.config.title: max(1, int(each.config.broken * len(each)))
                for sources in self._sources.values() for each in sources if each.config.broken}


def _used(source: Source, row: int, use: Callable[[Sample], T], broken: tuple[Replaced, ...]) -> T:
    sample = source.sample(row)
    try:
        return use(replace(sample, replaces=broken) if broken else sample)
    except ValueError as error:
        raise source.broken(row, str(error).removeprefix(f"{sample.sample_id}: ")) from error


def sample_source(
    data: DataConfig,
    categories: Iterable[str],
    *,
    seed: int,
    orientation: Orientation = "stored",
    weights: Sequence[Weight] = (),
) -> SampleSource:
    """Return the source of a stage's samples.

    Args:
        data: where samples come from.
        categories: the categories from which the stage draws.
        seed: the trial's seed, which sets the order.
        orientation: whether photographs are rotated as their EXIF data say.
        weights: of data sets beside the others of their category.

    Raises:
        ValueError: the catalogue is missing, lacks data of a category, or cannot be opened.
    """
    if data.source == "workbench":
        return Workbench(corpus_seed=data.seed, seed=seed)
    if data.catalogue is None:
        raise ValueError(
            "data.source is catalogue, but no catalogue is configured; allowed: a catalogue file (ABLATE_CATALOGUE)"
        )
    return Catalogue(data.catalogue, categories, seed=seed, orientation=orientation, weights=weights)
