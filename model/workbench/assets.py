"""Real assets in the package: English paragraphs, handwritten digits, emoji names and pictures.

`assets.json` lists their sources and licences. Texts and digits are split by asset: every tenth paragraph, digit and
name is used in test only. Emoji pictures are used in test only; they are packaged because a machine's own font may draw
other ones, or none.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image

HERE = Path(__file__).parent
DIGIT_SIDE = 8
"""Side of a handwritten digit in px."""
EMOJI_SIDE = 32
"""Side of an emoji in px."""
EMOJI_COLUMNS = 16
"""Emoji in a row of the sheet."""
INK = "0123456789abcdefg"
"""One character for each of a pixel's 17 levels."""


def manifest() -> dict[str, dict[str, Any]]:
    """Return for each file its package, version, licence, SHA-256, and what was taken from it."""
    found: dict[str, dict[str, Any]] = json.loads((HERE / "assets.json").read_text(encoding="utf-8"))
    return found


@cache
def english(split: str) -> tuple[str, ...]:
    """Return the English paragraphs of a split."""
    return _lines("english.txt", split)


@cache
def emoji_names(split: str) -> tuple[str, ...]:
    """Return the Unicode names of the emoji of a split, in lower case, one or two words each."""
    return _lines("emoji.txt", split)


@cache
def digits(split: str) -> dict[int, tuple[tuple[int, ...], ...]]:
    """Return the handwritten digits of a split: value -> pictures.

    A picture has 8 x 8 levels, row by row, from 0 (paper) to 16 (ink).
    """
    found: dict[int, list[tuple[int, ...]]] = {value: [] for value in range(10)}
    for line in _lines("digits.txt", split):
        found[int(line[0])].append(tuple(INK.index(level) for level in line[2:]))
    return {value: tuple(pictures) for value, pictures in found.items()}


@cache
def emoji_pictures() -> dict[str, Image.Image]:
    """Return emoji of food, plants, animals, vehicles and pastimes: Unicode name -> picture.

    Names are in lower case; pictures are 32 x 32 px on white.
    """
    names = (HERE / "emoji_pictures.txt").read_text(encoding="utf-8").splitlines()
    with Image.open(HERE / "emoji.png") as file:
        sheet = file.convert("RGB")
    corners = [
        (number % EMOJI_COLUMNS * EMOJI_SIDE, number // EMOJI_COLUMNS * EMOJI_SIDE) for number in range(len(names))
    ]
    return {
        name: sheet.crop((x, y, x + EMOJI_SIDE, y + EMOJI_SIDE)) for name, (x, y) in zip(names, corners, strict=True)
    }


def _lines(name: str, split: str) -> tuple[str, ...]:
    lines = (HERE / name).read_text(encoding="utf-8").splitlines()
    return tuple(line for number, line in enumerate(lines) if (number % 10 == 9) == (split == "test"))
