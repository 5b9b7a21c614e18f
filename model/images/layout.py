"""Where the tiles of an image stand in the text, and boxes as text. Torch-free.

- Indicators (MM1.5, arXiv:2409.20566): `none`; `seps`: `:` before the overview, `,` between columns, `<n>` between rows;
  `index`: (k, i, j) before each tile, k the image counted from 0, i row and j column from 1, (k, 0, 0) the overview.
- The exact spelling of the tuple is not published; ours has no spaces, to cost few tokens.
- Boxes are integers 0 to 1000 in the frame of the whole image, cut down, as Ferret does (arXiv:2310.07704).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from model.config import ImageConfig
from model.images.tiling import Tiling

Piece = int | str
"""A tile's index in the tiling, or indicator text."""

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2."""

_BOX = re.compile(r"\[\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*\]")


def pieces(tiling: Tiling, config: ImageConfig, *, image_number: int) -> list[Piece]:
    """Return tiles and indicator text in the order in which the decoder reads them."""
    grid = list(_grid_pieces(tiling, config.indicator, image_number))
    if tiling.overview is None:
        return grid
    mark = {"none": [], "seps": [":"], "index": [f"({image_number},0,0)"]}[config.indicator]
    overview: list[Piece] = [*mark, tiling.overview]
    return overview + grid if tiling.overview == 0 else grid + overview


def _grid_pieces(tiling: Tiling, indicator: str, image_number: int) -> Iterator[Piece]:
    first = 1 if tiling.overview == 0 else 0
    for row in range(tiling.rows):
        for col in range(tiling.cols):
            if indicator == "seps" and col:
                yield ","
            elif indicator == "seps" and row:
                yield "<n>"
            elif indicator == "index":
                yield f"({image_number},{row + 1},{col + 1})"
            yield first + row * tiling.cols + col


def box_text(box: Box, *, width: int, height: int) -> str:
    """Write a box in px as thousandths of the image: `[x1, y1, x2, y2]`."""
    x1, y1, x2, y2 = box
    return f"[{int(x1 * 1000 / width)}, {int(y1 * 1000 / height)}, {int(x2 * 1000 / width)}, {int(y2 * 1000 / height)}]"


def parse_box(text: str) -> Box | None:
    """Return the first box of a text, in thousandths, or None where there is none."""
    match = _BOX.search(text)
    if match is None:
        return None
    x1, y1, x2, y2 = (float(group) for group in match.groups())
    return x1, y1, x2, y2
