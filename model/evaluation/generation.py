"""Generate a model's answers to items, or its likelihood of texts, in windows that fit into memory.

- Items are opened and encoded one window at a time, because the images of a public benchmark are larger than memory. A
  thread prepares the next window while the model answers the present one, and an image is dropped as soon as its tiles
  are cut.
- Within a window, items of similar length form batches, and answers are returned in the items' order. An answer does
  not depend on its batch. Items on one picture may share its image tokens (`EvaluateConfig.share_images`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch.nn import functional

from model.config.stages import EvaluateConfig
from model.data.encoding import Encoded, Encoder
from model.evaluation.held_out import item_sample
from model.evaluation.metrics import loss
from model.evaluation.shared_images import ImageTokens, SharedTiles
from model.network.mm15 import IGNORED, MM15, Batch
from model.samples import Item, Sample, Turn, without_pictures
from model.training.loop import Stopped

BATCHES_IN_WINDOW = 32
"""The most batches in a window."""
WINDOW_BYTES = 2**30
"""Bytes of tiles after which a window ends; with 9 tiles of 672 px and an overview, those of 80 images."""


@dataclass(frozen=True, slots=True)
class Answered:
    """An item without its images, the answer, and the image tokens it needed."""

    item: Item
    prediction: str
    tokens_per_image: float | None
    """None for an item without images."""


class _Ready(NamedTuple):
    """An encoded item without its images."""

    item: Item
    encoded: Encoded


Say = Callable[[list[Encoded], ImageTokens | None], list[str]]
"""What is said of the items of a batch, which may share image tokens with others of the window."""


@dataclass(frozen=True, slots=True)
class Generator:
    """A model with everything it needs to answer."""

    model: MM15
    encoder: Encoder
    config: EvaluateConfig
    max_new_tokens: int
    report: Callable[[dict[str, Any]], None] = lambda _: None
    should_stop: Callable[[], bool] = lambda: False

    def answer(self, items: Iterator[Item], count: int) -> list[Answered]:
        """Answer by greedy decoding.

        Raises:
            Stopped: the attempt was asked to stop between batches.
        """
        return self._in_windows(items, count, self._question, self._generate)

    def likelihood(self, items: Iterator[Item], count: int) -> list[Answered]:
        """Compute how many bits the model needs for each item's text, its reference.

        Raises:
            Stopped: the attempt was asked to stop between batches.
        """
        return self._in_windows(items, count, self._text, self._bits)

    def loss(self, items: Iterator[Item], count: int) -> list[Answered]:
        """Compute the cross-entropy of each item's answers, those of its examples too, as training does.

        Raises:
            Stopped: the attempt was asked to stop between batches.
        """
        return self._in_windows(items, count, self._conversation, self._nats)

    def _in_windows(self, items: Iterator[Item], count: int, encode: Callable[[Item], Encoded],
                    say: Say) -> list[Answered]:
        self.report({"step": 0, "steps": count})  # the model is loaded: from here on time goes into answers
        found: list[Answered] = []
        windows = self._windows(items, count, encode)
        with ThreadPoolExecutor(1) as ahead:
            coming: Future[list[_Ready]] = ahead.submit(next, windows, [])
            while window := coming.result():
                coming = ahead.submit(next, windows, [])
                said = self._in_batches([each.encoded for each in window], len(found), count, say)
                found += [
                    Answered(each.item, text, self._cost(each.encoded)) for each, text in zip(window, said, strict=True)
                ]
        return found

    def _windows(self, items: Iterator[Item], count: int, encode: Callable[[Item], Encoded]) -> Iterator[list[_Ready]]:
        """Open and encode the items, and yield them one window at a time."""
        window, shared, done = list[_Ready](), SharedTiles(is_on=self.config.share_images), 0
        for item in islice(items, count):
            window.append(_Ready(replace(item, images=()), shared.shared(encode(item))))
            done += 1
            if shared.num_bytes >= WINDOW_BYTES or len(window) == self.config.batch * BATCHES_IN_WINDOW:
                yield window
                window, shared = [], SharedTiles(is_on=self.config.share_images)
        if done < count:
            raise ValueError(f"{done} of {count} items; allowed: all of them")
        if window:
            yield window

    def _in_batches(self, encoded: list[Encoded], done: int, count: int, say: Say) -> list[str]:
        is_shared, tokens = self.config.share_images, self.config.images.tokens
        images = ImageTokens(self.model, encoded, tokens=tokens) if is_shared else None
        order = sorted(range(len(encoded)), key=lambda index: len(encoded[index].ids))
        said: dict[int, str] = {}
        for start in range(0, len(order), self.config.batch):
            if self.should_stop():
                raise Stopped(f"stopped after {done + start} of {count} items")
            chosen = order[start : start + self.config.batch]
            said |= dict(zip(chosen, say([encoded[index] for index in chosen], images), strict=True))
            self.report({"step": done + len(said), "steps": count})
        return [said[index] for index in range(len(encoded))]

    def _generate(self, encoded: list[Encoded], images: ImageTokens | None) -> list[str]:
        with self._precision():
            batch = self._collated(encoded, images, left=True)
            rows = self.model.generate(batch, tokens=self.config.images.tokens, max_new_tokens=self.max_new_tokens,
                                       eos_id=self.encoder.id["<eos>"], is_compiled=self.config.compile)
        return [self.encoder.tokenizer.decode(row) for row in rows]

    def _collated(self, encoded: list[Encoded], images: ImageTokens | None, *, left: bool) -> Batch:
        """Return a batch on the device; shared image tokens take the place of the tiles."""
        told = encoded if images is None else [replace(each, tiles=each.tiles[:0]) for each in encoded]
        batch = self.encoder.collate(told, left=left).to(self._device)
        return batch if images is None else replace(batch, images_ID=images.of(encoded))

    @torch.inference_mode()
    def _nats(self, encoded: list[Encoded], images: ImageTokens | None) -> list[str]:
        with self._precision():
            batch = self._collated(encoded, images, left=False)
            logits, labels = self.model.supervised(batch, tokens=self.config.images.tokens)
        nats = functional.cross_entropy(logits.float(), labels, reduction="none").double()
        parts = nats.split([each.num_supervised for each in encoded])
        return [loss.said(float(part.sum()), len(part)) for part in parts]

    @torch.inference_mode()
    def _bits(self, encoded: list[Encoded], _: ImageTokens | None) -> list[str]:
        batch = self.encoder.collate(encoded).to(self._device)
        with self._precision():
            inputs = self.model.embed(batch, tokens=self.config.images.tokens)
            logits = self.model.decoder(inputs_embeds=inputs, attention_mask=batch.mask_BT.long()).logits
        losses = functional.cross_entropy(
            logits.float().transpose(1, 2), batch.labels_BT, ignore_index=IGNORED, reduction="none"
        )
        return [repr(nats / math.log(2)) for nats in losses.double().sum(1).tolist()]

    def _question(self, item: Item) -> Encoded:
        """Encode what is asked; a blind evaluation leaves the pictures out."""
        return self.encoder.item(without_pictures(item) if self.config.blind else item)

    def _conversation(self, item: Item) -> Encoded:
        return self.encoder.sample(item_sample(without_pictures(item) if self.config.blind else item))

    def _text(self, item: Item) -> Encoded:
        """Encode a text without the end token, which is not one of its bytes."""
        sample = Sample(sample_id=item.item_id, category="text_only", turns=(Turn("", item.references[0]),))
        encoded = self.encoder.sample(sample)
        return replace(encoded, ids=encoded.ids[:-1], labels=[*encoded.labels[:-2], IGNORED])

    def _cost(self, encoded: Encoded) -> float | None:
        return encoded.num_tiles * self.config.images.tokens / encoded.images if encoded.images else None

    def _precision(self) -> AbstractContextManager[object]:
        return torch.autocast(self._device.type, torch.bfloat16) if self.config.dtype == "bf16" else nullcontext()

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device


def mean_tokens(answered: Sequence[Answered]) -> float:
    """Return the mean number of image tokens an image, over items with images; 0 if there are none."""
    found = [each.tokens_per_image for each in answered if each.tokens_per_image is not None]
    return sum(found) / len(found) if found else 0.0
