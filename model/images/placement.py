"""The place of an image's tiles in the text, and boxes as text. Torch-free.

- Position indicators (MM1.5, arXiv:2409.20566): `none`; `seps`: `:` before the overview, `,` between columns, `<n>`
  between rows; `index`: (k, i, j) before each tile, where k is the image counted from 0, i the row and j the column
  counted from 1, and (k, 0, 0) before the overview.
- The exact spelling of the tuple is not published; ours has no spaces, so that it takes few tokens.
- An image of one tile has no overview and no separators; its tile is row 1, column 1 of the grid.
- Boxes are integers from 0 to 1000, relative to the whole image and rounded down, as in Ferret (arXiv:2310.07704).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from model.config.stages import ImageConfig

if TYPE_CHECKING:  # plans count tokens without numpy and Pillow
    from model.images.tiling import Tiling

Piece = int | str
"""A tile's index in the tiling, or indicator text."""

Box = tuple[float, float, float, float]
"""A box as x1, y1, x2, y2: its left, upper, right and lower side."""

THOUSANDTHS = 1000
"""Width and height of any image in the coordinates of box texts."""

_BOX = re.compile(r"\[\s*(\d{1,4})\s*,\s*(\d{1,4})\s*,\s*(\d{1,4})\s*,\s*(\d{1,4})\s*\]", re.ASCII)


def pieces(tiling: Tiling, config: ImageConfig, *, image_number: int) -> tuple[Piece, ...]:
    """Return the tiles and indicator texts of an image in the order in which the decoder reads them.

    Args:
        tiling: the tiles of the image.
        config: the image setting.
        image_number: number of the image in its sample, from 0.
    """
    return grid_pieces(tiling.rows, tiling.cols, config, image_number=image_number)


def grid_pieces(rows: int, cols: int, config: ImageConfig, *, image_number: int = 0) -> tuple[Piece, ...]:
    """Return the result of `pieces` for an image with this grid. It needs no pixels, so plans can count tokens with it.

    Args:
        rows: rows of the grid.
        cols: columns of the grid.
        config: the image setting.
        image_number: number of the image in its sample, from 0.
    """
    has_overview = rows * cols > 1
    first = 1 if has_overview and config.overview == "before" else 0
    grid = tuple(_grid(rows, cols, first, config.indicator, image_number))
    if not has_overview:
        return grid
    overview = *_overview_mark(config.indicator, image_number), 0 if first else rows * cols
    return overview + grid if first else grid + overview


def _overview_mark(indicator: str, image_number: int) -> tuple[Piece, ...]:
    if indicator == "seps":
        return (":",)
    return (f"({image_number},0,0)",) if indicator == "index" else ()


def _grid(rows: int, cols: int, first: int, indicator: str, image_number: int) -> Iterator[Piece]:
    for tile in range(rows * cols):
        row, col = divmod(tile, cols)
        if indicator == "index":
            yield f"({image_number},{row + 1},{col + 1})"
        elif indicator == "seps" and tile:
            yield "," if col else "<n>"
        yield first + tile


def box_text(box: Box, *, width: int, height: int) -> str:
    """Return a box as text in thousandths of the image: `[x1, y1, x2, y2]`.

    Args:
        box: the box in px.
        width: width of the image in px.
        height: height of the image in px.

    Raises:
        ValueError: the sides of the box are not ordered, or it leaves the image; its text would name another place.
    """
    x1, y1, x2, y2 = box
    if not (0 <= x1 <= x2 <= width and 0 <= y1 <= y2 <= height):
        raise ValueError(f"box {box} in an image of {width} x {height} px; allowed: 0 <= x1 <= x2 <= {width}, "
                         f"0 <= y1 <= y2 <= {height}")
    numbers = (int(px * THOUSANDTHS / side) for px, side in zip(box, (width, height) * 2, strict=True))
    return f"[{', '.join(map(str, numbers))}]"


def parse_box(text: str) -> Box | None:
    """Return the first box of a text, in thousandths of the image; None if there is none."""
    match = _BOX.search(text)
    if match is None:
        return None
    x1, y1, x2, y2 = (float(group) for group in match.groups())
    return x1, y1, x2, y2


def box_px(box: Box, *, width: int, height: int) -> Box:
    """Convert a box from thousandths to px of an image: the inverse of `box_text`, up to a thousandth of a side."""
    along_x, along_y = width / THOUSANDTHS, height / THOUSANDTHS
    return box[0] * along_x, box[1] * along_y, box[2] * along_x, box[3] * along_y
