"""Batches prepared ahead by other processes, so that a fast device does not wait for pictures.

- What a batch holds is a function of its step, so it does not matter which process prepares it: any number of loaders trains the
  same model, and a resumed stage begins at its step.
- Processes come from a fork server: it has no threads and no device, and holds the imports, so that a stage's loaders start in
  milliseconds after the first. Tiles travel through shared memory.
- An error of a sample reaches training as it was raised, with file and index.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from model.config import DataConfig
from model.data.conversation import Encoded, Encoder
from model.data.mixture import Mixture, MixtureDraw, shares
from model.data.supply import Supply, supply

AHEAD = 1
"""Batches that each loader holds ready: at 672 px a batch of 256 samples is 1.7 GB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batches:
    """How the batch of a step is made; may be sent to another process."""

    mixture: Mixture
    batch: int
    data: DataConfig
    encoder: Encoder
    seed: int
    part: tuple[int, int] = (0, 1)
    """Which samples of a batch are made, the i-th of every n: those of worker i of n."""

    def opened(self, samples: Supply | None = None) -> Callable[[int], list[Encoded]]:
        """Return the function from an optimiser step to its encoded samples."""
        drawing = MixtureDraw(self.mixture, batch=self.batch, seed=self.seed)
        found = samples or supply(self.data, shares(self.mixture), seed=self.seed)
        first, every = self.part
        return lambda step: [self.encoder.sample(found.sample(draw)) for draw in drawing.batch(step)[first::every]]


class Loader:
    """The batches of steps that are asked for one after the other, prepared ahead."""

    def __init__(self, batches: Batches, *, steps: int, loaders: int) -> None:
        """Prepare nothing yet: the first step that is asked for is where the others begin.

        Args:
            batches: how a batch is made.
            steps: of the stage.
            loaders: processes, at least 1.
        """
        self._batches, self._steps, self._loaders = batches, steps, loaders
        self._ahead: Iterator[_Packed | str] | None = None
        self._next = -1

    def __call__(self, step: int) -> list[Encoded]:
        """Return the batch of a step; fastest when steps are asked for in order.

        Raises:
            ValueError: a sample of it cannot be used.
        """
        if self._ahead is None or step != self._next:
            self.close()
            self._ahead = iter(self._started(step))
        found = next(self._ahead)
        self._next = step + 1
        if isinstance(found, str):
            self.close()
            raise ValueError(found)
        return found.encoded()

    def close(self) -> None:
        """End the processes."""
        self._ahead = None  # what the last reference goes with: torch joins its workers

    def _started(self, first: int) -> DataLoader[Any]:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["__main__", __name__])
        return DataLoader(_Steps(self._batches), batch_size=None, sampler=range(first, self._steps), num_workers=self._loaders,
                          collate_fn=_as_it_is, prefetch_factor=AHEAD, multiprocessing_context=context)


@dataclass(frozen=True, slots=True)
class _Packed:
    """A batch on its way between processes: all tiles in one tensor, the rest as it is."""

    rest: list[Encoded]
    tiles: torch.Tensor
    ends: list[int]

    def encoded(self) -> list[Encoded]:
        tiles, starts = self.tiles.numpy(), [0, *self.ends]
        return [replace(each, tiles=tiles[start:end]) for each, start, end in zip(self.rest, starts, self.ends, strict=False)]


class _Steps(Dataset[Any]):
    """Step to batch, in a loader's process."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        self._batch_of: Callable[[int], list[Encoded]] | None = None

    def __getitem__(self, step: int) -> _Packed | str:
        """Return the batch, or why there is none."""
        try:
            if self._batch_of is None:
                self._batch_of = self._batches.opened()
            encoded = self._batch_of(step)
        except ValueError as error:
            return str(error)
        if not encoded:  # fewer samples than workers
            return _Packed([], torch.zeros(0), [])
        tiles = np.concatenate([each.tiles for each in encoded])
        ends = np.cumsum([len(each.tiles) for each in encoded]).tolist()
        nothing = tiles[:0].copy()  # a view would travel with all that it looks at
        return _Packed([replace(each, tiles=nothing) for each in encoded], torch.from_numpy(tiles), ends)


def _as_it_is(batch: Any) -> Any:
    return batch
