"""How the packaged emoji pictures were made: `python -m tests.model.workbench.emoji_sheet` writes both files and prints their hashes.

Debian's fonts-noto-color-emoji holds each picture as a bitmap of 136 x 128 px; a cell is that picture at 32 px on white.
"""

import hashlib
import unicodedata
from itertools import chain
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from model.workbench import assets

FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
FONT_SHA256 = "e5899ed38b8ed83e08bd3ac5de09791e9d19d288333a796de1d35ad17396f1ec"
"""Version 2.042; another version draws other pictures."""
STRIKE = 109
"""The one size of the font's bitmaps."""
BLOCKS = ((0x1F32D, 0x1F380), (0x1F3A0, 0x1F3C0), (0x1F400, 0x1F43F), (0x1F680, 0x1F6B3), (0x1F950, 0x1F96F), (0x1F980, 0x1F9AF))
"""Plants and food, pastimes, animals, vehicles, more food, more animals."""
ALIKE = {"face", "oncoming", "symbol", "sign", "guide", "tram", "station", "metro", "light", "mouse", "trolleybus", "minibus", "bactrian",
         "spouting", "hatching"}
"""Words of names whose picture another picture resembles, or that say little."""


def has_font() -> bool:
    """Whether this very version of the font is installed."""
    return FONT.is_file() and hashlib.sha256(FONT.read_bytes()).hexdigest() == FONT_SHA256


def chosen() -> list[str]:
    """The characters, in code point order: those whose name is among the packaged names."""
    names = {*assets.emoji_names("train"), *assets.emoji_names("test")}
    every = [chr(code) for code in chain.from_iterable(range(*block) for block in BLOCKS)]
    return [each for each in every if (name := unicodedata.name(each, "").lower()) in names and not ALIKE & set(name.split())]


def sheet(characters: list[str]) -> Image.Image:
    """Draw the cells, row by row."""
    font, side = ImageFont.truetype(FONT, STRIKE), assets.EMOJI_SIDE
    columns = assets.EMOJI_COLUMNS
    drawn = Image.new("RGB", (columns * side, -(-len(characters) // columns) * side), "white")
    for number, character in enumerate(characters):
        cell = Image.new("RGB", (136, 136), "white")
        ImageDraw.Draw(cell).text((0, 4), character, font=font, embedded_color=True)
        drawn.paste(cell.resize((side, side), Image.Resampling.LANCZOS), (number % columns * side, number // columns * side))
    return drawn


def main() -> None:
    """Write both files."""
    characters = chosen()
    sheet(characters).quantize(128, dither=Image.Dither.NONE).save(assets.HERE / "emoji.png", optimize=True)
    names = "".join(unicodedata.name(each).lower() + "\n" for each in characters)
    (assets.HERE / "emoji_pictures.txt").write_text(names, encoding="utf-8")
    for name in ("emoji.png", "emoji_pictures.txt"):
        content = (assets.HERE / name).read_bytes()
        print(name, len(content), hashlib.sha256(content).hexdigest())  # noqa: T201


if __name__ == "__main__":
    main()
