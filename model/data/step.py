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
    for samples in passes(encoded, config):
        longest = max(len(each.ids) for each in samples)
        yield encoder.collate(samples, length=min(rounded(longest, config.round_length), config.max_tokens))


def passes(encoded: Sequence[Encoded], config: TrainConfig) -> Iterator[Sequence[Encoded]]:
    """Group samples, shortest first, into passes that keep within the limits of the stage, each with at least one sample."""
    start = tiles = 0
    for end, each in enumerate(encoded):
        rows = end - start + 1
        positions = rows * min(rounded(len(each.ids), config.round_length), config.max_tokens)
        is_full = (0 < config.micro_batch < rows or 0 < config.pass_tokens < positions
                   or 0 < config.pass_tiles < tiles + each.num_tiles)
        if is_full and end > start:
            yield encoded[start:end]
            start, tiles = end, 0
        tiles += each.num_tiles
    if encoded:
        yield encoded[start:]


def rounded(length: int, multiple: int) -> int:
    """Return the next multiple of `multiple`, the length itself if that is 0."""
    return -(-length // multiple) * multiple if multiple else length


def _packed(encoder: Encoder, encoded: Sequence[Encoded], config: TrainConfig) -> Iterator[Batch]:
    packed = pack([len(each.ids) for each in encoded], [each.images for each in encoded], length=config.pack,
                  max_images=config.pack_images, names=[each.name for each in encoded], most_rows=config.micro_batch)
    for each in packed:
        length = min(rounded(each.length, config.round_length), config.pack)
        yield encoder.rows([[encoded[i] for i in row] for row in each.rows], length=length)
