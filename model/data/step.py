"""What an optimizer step trains on: batches of samples, and the facts about each sample that need no tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from model.config.stages import ImageConfig, TrainConfig
from model.data.encoding import Encoded, Encoder
from model.data.packing import pack
from model.network.mm15 import Batch
from model.samples import Replaced


class TokensSeen(NamedTuple):
    """Facts about a sample that every worker knows; its tokens are only with the worker that trains on it."""

    name: str
    source: str
    replaces: tuple[Replaced, ...]
    """Broken samples that this one replaces."""
    num_tokens: int
    num_supervised: int
    """Tokens that contribute to the loss."""
    num_tiles: int
    """Encoder images."""


@dataclass(frozen=True, slots=True)
class Step:
    """One worker's part of an optimizer step."""

    batches: tuple[Batch, ...]
    """The batches of the forward passes, one after the other."""
    seen: tuple[TokensSeen, ...]
    """The samples, in the order in which they were drawn."""
    images: ImageConfig
    """How the images were split; the same for all of them."""


def check_fits(num_images: int, config: TrainConfig) -> None:
    """Refuse a sample with more images than a packed row may hold. Its tokens fit, because `max_tokens` does.

    Raises:
        ValueError: the sample has more images.
    """
    if config.pack and num_images > config.pack_images:
        raise ValueError(f"{num_images} images; allowed: {config.pack_images} (pack_images, images of a packed row)")


def to_batches(encoder: Encoder, encoded: Sequence[Encoded], config: TrainConfig) -> Step:
    """Form the batches of a step: each sample in its own row, or packed, with `micro_batch` rows a batch.

    Raises:
        ValueError: a sample does not fit into a packed row.
    """
    seen = (
        TokensSeen(each.name, each.source, each.replaces, len(each.ids), each.num_supervised, each.num_tiles)
        for each in encoded
    )
    return Step(tuple((_packed if config.pack else _apart)(encoder, encoded, config)), tuple(seen), encoder.images)


def _apart(encoder: Encoder, encoded: Sequence[Encoded], config: TrainConfig) -> Iterator[Batch]:
    # Group sequences of similar length: otherwise padding would cost up to half of the time.
    encoded = sorted(encoded, key=lambda each: len(each.ids))
    size = config.micro_batch or max(1, len(encoded))
    for start in range(0, len(encoded), size):
        yield encoder.collate(encoded[start : start + size])


def _packed(encoder: Encoder, encoded: Sequence[Encoded], config: TrainConfig) -> Iterator[Batch]:
    passes = pack([len(each.ids) for each in encoded], [each.images for each in encoded], length=config.pack,
                  max_images=config.pack_images, names=[each.name for each in encoded], most_rows=config.micro_batch)
    for each in passes:
        yield encoder.rows([[encoded[i] for i in row] for row in each.rows], length=each.length)
