"""Real assets, packaged as text: English paragraphs, handwritten digits, emoji names. `assets.json` says whose they are.

Each is split by asset: every tenth paragraph, digit and name belongs to test alone.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
DIGIT_SIDE = 8
"""Pixels of a side of a handwritten digit."""
INK = "0123456789abcdefg"
"""One character for each of a pixel's 17 levels."""


def manifest() -> dict[str, dict[str, Any]]:
    """Return what each file is: package, version, licence, SHA-256 and what was taken from it."""
    found: dict[str, dict[str, Any]] = json.loads((HERE / "assets.json").read_text(encoding="utf-8"))
    return found


@cache
def english(split: str) -> tuple[str, ...]:
    """Return the English paragraphs of a split."""
    return _lines("english.txt", split)


@cache
def emoji_names(split: str) -> tuple[str, ...]:
    """Return the Unicode names of emoji of a split, in lower case, one or two words each."""
    return _lines("emoji.txt", split)


@cache
def digits(split: str) -> dict[int, tuple[tuple[int, ...], ...]]:
    """Return the handwritten digits of a split: value -> pictures of 8 x 8 levels, row by row, 0 (paper) to 16 (ink)."""
    found: dict[int, list[tuple[int, ...]]] = {value: [] for value in range(10)}
    for line in _lines("digits.txt", split):
        found[int(line[0])].append(tuple(INK.index(level) for level in line[2:]))
    return {value: tuple(pictures) for value, pictures in found.items()}


def _lines(name: str, split: str) -> tuple[str, ...]:
    lines = (HERE / name).read_text(encoding="utf-8").splitlines()
    return tuple(line for number, line in enumerate(lines) if (number % 10 == 9) == (split == "test"))
