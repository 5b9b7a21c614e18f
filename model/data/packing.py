"""Pack several samples into one row so that few positions are empty. Torch-free, pure.

- The samples of one optimizer step are packed among themselves, and all are used in that step. So mixture shares are
  those of the draws, a resumed step packs as before, and nothing has to be stored.
- A sample is never cut. One that does not fit into a row by itself is an error with both numbers.
- Best fit, longest first: at most 11/9 of the smallest number of rows, and within a few per cent on samples of mixed
  length.
- Rows have the configured length, which suits compiled code. If a step is too small to fill them, or the images of a
  row run out before its positions, rows are balanced. If positions are still empty, rows of similar width form a pass
  of their own, as wide as its widest row. So at least `FULL` of the positions hold tokens, however small the step.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass

FULL = 0.95
"""The smallest share of a step's positions that hold tokens."""

Row = tuple[int, ...]
"""Indices of the samples in one row."""


@dataclass(frozen=True, slots=True)
class Pass:
    """The rows of one forward pass, and the number of positions of each row."""

    rows: tuple[Row, ...]
    length: int


def pack(lengths: Sequence[int], images: Sequence[int], *, length: int, max_images: int, names: Sequence[str],
         most_rows: int = 0) -> tuple[Pass, ...]:
    """Pack samples into rows, and group rows into passes.

    Args:
        lengths: tokens of each sample, >= 1.
        images: images of each sample, before splitting.
        length: the most positions of a row.
        max_images: the most images of a row.
        names: names of the samples, for messages.
        most_rows: the most rows of one pass; 0 means no limit.

    Raises:
        ValueError: a sample has more tokens than a row has positions, or more images than a row may hold.
    """
    for name, tokens, count in zip(names, lengths, images, strict=True):
        if tokens > length:
            raise ValueError(f"{name}: {tokens} tokens; allowed: {length} (pack, positions of a packed row)")
        if count > max_images:
            raise ValueError(f"{name}: {count} images; allowed: {max_images} (pack_images, images of a packed row)")
    rows = _best_fit(lengths, images, length, max_images)
    size = most_rows or max(1, len(rows))
    if sum(lengths) < FULL * len(rows) * length:
        rows, length = _evened(rows, lengths, images, length, max_images)
    if sum(lengths) < FULL * len(rows) * length:
        return _by_width(rows, lengths, size)
    return tuple(Pass(rows[start : start + size], length) for start in range(0, len(rows), size))


def _evened(rows: tuple[Row, ...], lengths: Sequence[int], images: Sequence[int], length: int,
            max_images: int) -> tuple[tuple[Row, ...], int]:
    """Find the narrowest rows that hold the samples in the same number of rows."""
    best, low = (rows, length), max(max(lengths), -(-sum(lengths) // len(rows)))
    while low < best[1]:
        middle = (low + best[1]) // 2
        found = _best_fit(lengths, images, middle, max_images)
        if len(found) <= len(rows):
            best = found, middle
        else:
            low = middle + 1
    return best


def _by_width(rows: tuple[Row, ...], lengths: Sequence[int], most_rows: int) -> tuple[Pass, ...]:
    """Form passes, widest first, in which each row fills at least `FULL` of the pass's width."""
    passes: list[tuple[int, list[Row]]] = []
    for width, row in sorted(
        ((sum(lengths[index] for index in row), row) for row in rows), key=lambda each: (-each[0], each[1])
    ):
        if not passes or width < FULL * passes[-1][0] or len(passes[-1][1]) == most_rows:
            passes.append((width, []))
        passes[-1][1].append(row)
    return tuple(Pass(tuple(found), width) for width, found in passes)


def _best_fit(lengths: Sequence[int], images: Sequence[int], length: int, max_images: int) -> tuple[Row, ...]:
    """Put each sample, longest first, into the row with the least room that can take it."""
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
