"""Prepare steps ahead in other processes, so that a fast device does not wait for images.

- What a step trains on depends only on its number, so any process may prepare it. Any number of loaders trains the same
  model, and a resumed stage starts at its step.
- Loaders do everything that needs no model, up to the final batches. While the device works on one step, a thread
  receives the next one. Beside a GPU it copies it into pinned memory, from which the device copies asynchronously. So
  training waits for neither.
- Processes come from a fork server, which has no threads and no device and has done the imports. So a stage's loaders
  start in milliseconds after the first. A step travels as two tensors in shared memory, however many batches it has.
- An error in a sample reaches training as it was raised, with file and index.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from model.config.stages import DataConfig, ImageConfig, StageConfig
from model.data.encoding import Encoded, Encoder
from model.data.mixture import MixtureDraw, stage_shares
from model.data.sampler import SampleSource, sample_source
from model.data.shuffle import shuffled
from model.data.step import Step, TokensSeen, check_fits, to_batches
from model.network.mm15 import Batch
from model.samples import Sample

AHEAD = 1
"""Steps that each loader holds ready; at 672 px a batch of 256 samples takes 1.7 GB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """How a step is made. It can be sent to another process."""

    config: StageConfig
    data: DataConfig
    encoder: Encoder
    seed: int
    part: tuple[int, int] = (0, 1)
    """(i, n): make every n-th sample of a step from the i-th on, which is the part of worker i of n."""

    def opened(self, samples: SampleSource | None = None) -> Callable[[int], Step]:
        """Return a function from an optimizer step's number to its batches."""
        drawing = MixtureDraw.of(self.config, seed=self.seed)
        orientation = self.encoder.images.orientation
        found = samples or sample_source(
            self.data, stage_shares(self.config), seed=self.seed, orientation=orientation, weights=self.config.data_sets
        )
        first, every = self.part
        encoders = {each: self.encoder.with_images(each) for each in {self.config.images, *self.config.image_settings}}

        def step(number: int) -> Step:
            encoder = encoders[images_of(self.config, number, seed=self.seed)]
            encode = partial(self._encoded, encoder)
            encoded = [found.used(draw, encode) for draw in drawing.batch(number)[first::every]]
            return to_batches(encoder, encoded, self.config)

        return step

    def _encoded(self, encoder: Encoder, sample: Sample) -> Encoded:
        """Encode a sample, and check that it fits into a sequence and, if packed, into a row."""
        check_fits(len(sample.images), self.config)
        return encoder.sample(sample)


def images_of(config: StageConfig, step: int, *, seed: int) -> ImageConfig:
    """Return the image setting of an optimizer step; each pass over the declared settings has another order."""
    if not config.image_settings:
        return config.images
    return config.image_settings[shuffled(step, size=len(config.image_settings), key=f"{seed}/image_settings")[0]]


class Loader:
    """Steps that are asked for one after the other and prepared ahead.

    Nothing is prepared before the first step is asked for. `loaders` is the number of processes, at least 1.
    """

    def __init__(self, steps: Steps, *, loaders: int) -> None:
        self._steps, self._loaders = steps, loaders
        self._thread: ThreadPoolExecutor | None = None
        self._ahead: Iterator[_Packed | str] = iter(())
        self._coming: Future[Step | str]
        self._next = -1

    def __call__(self, number: int) -> Step:
        """Return what a step trains on. It is fastest if steps are asked for in order.

        Raises:
            ValueError: a sample of the step cannot be used.
        """
        if self._thread is None or number != self._next:
            self.close()
            self._ahead = iter(self._started(number))
            self._thread = ThreadPoolExecutor(1)
            self._coming = self._thread.submit(self._take)
        found = self._coming.result()
        self._next = number + 1
        if isinstance(found, str) or self._next == self._steps.config.steps:
            self.close()
        else:
            self._coming = self._thread.submit(self._take)
        if isinstance(found, str):
            raise ValueError(found)
        return found

    def close(self) -> None:
        """End the thread and the processes."""
        if self._thread is not None:
            self._thread.shutdown()
        self._thread, self._ahead = None, iter(())  # torch joins its workers when the last reference is dropped

    def _take(self) -> Step | str:
        """Receive the next step, or the message why there is none."""
        found = next(self._ahead)
        if isinstance(found, str):
            return found
        return (found.pinned() if torch.cuda.is_available() else found).step()

    def _started(self, first: int) -> DataLoader[Any]:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["__main__", __name__])
        return DataLoader(_Prepared(self._steps), batch_size=None, sampler=range(first, self._steps.config.steps),
                          num_workers=self._loaders, collate_fn=_as_it_is, prefetch_factor=AHEAD, multiprocessing_context=context)


@dataclass(frozen=True, slots=True)
class _Packed:
    """A step in the form in which it travels between processes.

    Each tensor needs a file descriptor to travel, so all batches of a step share two tensors.
    """

    tiles: Tensor
    numbers: Tensor
    """A row each for ids, labels and mask, and for packed samples also segments and places, with the batches
    concatenated.
    """
    shapes: list[tuple[int, int, int]]
    """Rows, positions and tiles of each batch."""
    image_id: int
    seen: tuple[TokensSeen, ...]
    images: ImageConfig

    @classmethod
    def of(cls, step: Step) -> _Packed:
        if not step.batches:  # fewer samples than workers
            return cls(torch.zeros(0), torch.zeros(0), [], 0, (), step.images)
        tiles = [each.tiles_NCXX for each in step.batches]
        numbers = [torch.stack([each.flatten().long() for each in _numbers(batch)]) for batch in step.batches]
        return cls(
            _joined(tiles, 0),
            _joined(numbers, 1),
            [(*batch.ids_BT.shape, len(batch.tiles_NCXX)) for batch in step.batches],
            step.batches[0].image_id,
            step.seen,
            step.images,
        )

    def step(self) -> Step:
        return Step(tuple(self._batches()), self.seen, self.images)

    def _batches(self) -> Iterator[Batch]:
        position = tile = 0
        for rows, length, tiles in self.shapes:
            ids, labels, mask, *places = self.numbers[:, position : position + rows * length].view(-1, rows, length)
            yield Batch(ids, labels, mask.bool(), self.tiles[tile : tile + tiles], self.image_id, *places)
            position, tile = position + rows * length, tile + tiles

    def pinned(self) -> _Packed:
        """Return it in pinned memory, from which a device can copy it asynchronously."""
        return _Packed(
            self.tiles.pin_memory(), self.numbers.pin_memory(), self.shapes, self.image_id, self.seen, self.images
        )


def _numbers(batch: Batch) -> list[Tensor]:
    always, packed = [batch.ids_BT, batch.labels_BT, batch.mask_BT], (batch.segments_BT, batch.places_BT)
    return [*always, *(each for each in packed if each is not None)]


def _joined(parts: list[Tensor], dim: int) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim)


class _Prepared(Dataset[Any]):
    """Maps a step's number to the step, in a loader's process."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._step_of: Callable[[int], Step] | None = None

    def __getitem__(self, number: int) -> _Packed | str:
        """Return the step, or the message why there is none."""
        try:
            if self._step_of is None:
                self._step_of = self._steps.opened()
            return _Packed.of(self._step_of(number))
        except ValueError as error:
            return str(error)


def _as_it_is(step: Any) -> Any:
    return step
