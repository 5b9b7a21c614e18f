"""Several samples in one row: which samples share a row, so that few positions are empty. Torch-free, pure.

- The samples of one optimiser step are packed among themselves, and all of them are used in that step: mixture shares are
  those of the draws, a resumed step packs as it did before, and there is nothing to save.
- A sample is never cut. One that does not fit into a row by itself is an error with both numbers.
- Rows have the length asked for. Where a step is too small to fill them, they are as narrow as so many rows can be: the
  samples of a step rarely sum to a multiple of the length.
- Best fit, longest first (at most 11/9 of the fewest rows; within a few per cent of them on samples of mixed length).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass

FULL = 0.95
"""Share of positions that hold tokens, from which rows keep the length asked for."""


@dataclass(frozen=True, slots=True)
class Packing:
    """Rows of sample indices, in the order of their first sample, and the positions of every row."""

    rows: tuple[tuple[int, ...], ...]
    length: int

    def fill(self, lengths: Sequence[int]) -> float:
        """Return the share of positions that hold tokens, 0 to 1."""
        return sum(lengths) / (len(self.rows) * self.length)


def pack(lengths: Sequence[int], images: Sequence[int], *, length: int, max_images: int, names: Sequence[str]) -> Packing:
    """Put samples into rows.

    Args:
        lengths: tokens of each sample, >= 1.
        images: images of each sample, before splitting.
        length: positions of a row.
        max_images: most images of a row.
        names: of the samples, for messages.

    Raises:
        ValueError: a sample has more tokens than a row has positions, or more images than a row may hold.
    """
    for name, tokens, count in zip(names, lengths, images, strict=True):
        if tokens > length:
            raise ValueError(f"{name}: {tokens} tokens; allowed: {length} (pack, positions of a packed row)")
        if count > max_images:
            raise ValueError(f"{name}: {count} images; allowed: {max_images} (pack_images, images of a packed row)")
    rows = _best_fit(lengths, images, length, max_images)
    packing = Packing(rows, length)
    return packing if not rows or packing.fill(lengths) >= FULL else _narrowed(packing, lengths, images, max_images)


def _narrowed(packing: Packing, lengths: Sequence[int], images: Sequence[int], max_images: int) -> Packing:
    """Search for the narrowest rows that hold the samples in as many of them."""
    count = len(packing.rows)
    low, best = max(max(lengths), -(-sum(lengths) // count)), packing
    while low < best.length:
        middle = (low + best.length) // 2
        rows = _best_fit(lengths, images, middle, max_images)
        if len(rows) <= count:
            best = Packing(rows, middle)
        else:
            low = middle + 1
    return best


def _best_fit(lengths: Sequence[int], images: Sequence[int], length: int, max_images: int) -> tuple[tuple[int, ...], ...]:
    """Give each sample, longest first, to the row with the least room that still takes it."""
    rows: list[list[int]] = []
    images_left: list[int] = []
    room: list[tuple[int, int]] = []  # (positions left, row), sorted
    for index in sorted(range(len(lengths)), key=lambda each: (-lengths[each], -images[each], each)):
        tokens, count = lengths[index], images[index]
        place = bisect_left(room, (tokens, -1))
        while place < len(room) and images_left[room[place][1]] < count:
            place += 1
        if place < len(room):
            left, row = room.pop(place)
        else:
            left, row = length, len(rows)
            rows.append([])
            images_left.append(max_images)
        rows[row].append(index)
        images_left[row] -= count
        insort(room, (left - tokens, row))
    return tuple(sorted(tuple(sorted(row)) for row in rows))
