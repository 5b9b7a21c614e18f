"""The order of a finite data set: a permutation for each pass, computed and never stored. Torch-free.

- Position k is in pass k // size. Within a pass every row occurs exactly once, and each pass has another order.
- A Feistel network over the next power of four is a permutation, whatever its round function. Applying it again until
  the value is below `size` (cycle walking) gives a permutation of 0 to size - 1. So any position can be computed by
  itself: nothing to store, no buffer to refill on resume, and no communication between workers.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate

ROUNDS = 6


def shuffled(k: int, *, size: int, key: str) -> tuple[int, int]:
    """Return the row at position k, and the pass it belongs to.

    Args:
        k: position, from 0 without end.
        size: rows of a pass, at least 1.
        key: identifies the order; another key gives another order.
    """
    number, position = divmod(k, size)
    return permuted(position, size=size, key=f"{key}/{number}"), number


def permuted(position: int, *, size: int, key: str) -> int:
    """Return the image of `position` under the permutation of 0 to size - 1 that `key` identifies."""
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    secret, value = _secret(key), position
    while True:
        value = _feistel(value, half, secret)
        if value < size:
            return value


def union(index: int, ends: Sequence[int]) -> tuple[int, int]:
    """Return which of several concatenated data sets holds `index`, and the row within it.

    Args:
        index: 0 to the last of `ends` - 1.
        ends: running totals of the sizes.
    """
    which = bisect_right(ends, index)
    return which, index - (ends[which - 1] if which else 0)


def running_totals(sizes: Sequence[int]) -> list[int]:
    """Return the end of each data set when they are concatenated."""
    return list(accumulate(sizes))


def _feistel(value: int, half: int, secret: bytes) -> int:
    mask = (1 << half) - 1
    left, right = value >> half, value & mask
    for number in range(ROUNDS):
        text = number.to_bytes(1, "big") + right.to_bytes(8, "big")
        digest = hashlib.blake2b(text, key=secret, digest_size=8).digest()
        left, right = right, left ^ (int.from_bytes(digest, "big") & mask)
    return left << half | right


@lru_cache(maxsize=4096)
def _secret(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
