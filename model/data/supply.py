"""From draws to samples: the one place where training meets its data. Torch-free.

- The k-th sample of a category is a function of (data, seed, category, k): nothing is remembered, so stop and resume, and any
  number of workers, see the same samples, none lost and none repeated.
- The workbench generates without end. A catalogue has a finite number of samples: a pass is a permutation of all of them, every
  pass another one, and passes are counted (`model.data.order`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from model.config import DataConfig
from model.data.mixture import Draw, sample_index
from model.data.samples import Sample
from model.data.workbench import make_sample


@dataclass(frozen=True, slots=True)
class Place:
    """Where the sample of a draw lies."""

    source: str
    """Name of the data set; of the workbench, the category."""
    row: int
    """Which sample of the data set."""
    pass_number: int = 0
    """How often the data set was gone through before, from 0."""


class Supply(Protocol):
    """What turns draws into samples."""

    def place(self, draw: Draw) -> Place:
        """Say which sample a draw takes, without opening it."""

    def sample(self, draw: Draw) -> Sample:
        """Open the sample of a draw.

        Raises:
            ValueError: the sample is broken; the message names file and index.
        """

    def size(self, source: str) -> int:
        """Return how many samples a pass over the data set has; 0 if it never ends."""


class Workbench:
    """The generated corpus."""

    def __init__(self, *, corpus_seed: int, seed: int) -> None:
        """Keep the seed of the corpus and that of the draws."""
        self._corpus_seed, self._seed = corpus_seed, seed

    def place(self, draw: Draw) -> Place:
        """Say which index of the corpus a draw takes."""
        return Place(draw.category, sample_index(self._seed, draw.category, draw.k))

    def sample(self, draw: Draw) -> Sample:
        """Generate the sample of a draw."""
        return make_sample(draw.category, "train", self.place(draw).row, seed=self._corpus_seed)

    def size(self, source: str) -> int:
        """Return 0: it never ends."""
        return 0


def supply(data: DataConfig, *, seed: int) -> Supply:
    """Return the supply of a stage.

    Args:
        data: where samples come from.
        seed: of the order; the trial's.

    Raises:
        ValueError: the source has no samples here.
    """
    if data.source != "workbench":
        raise ValueError(f"data.source is {data.source!r}; allowed here: workbench (real data sets need a catalogue reader)")
    return Workbench(corpus_seed=data.seed, seed=seed)
