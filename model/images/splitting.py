"""The choice of the grid of tiles for an image: MM1.5's dynamic image splitting (arXiv:2409.20566). Torch-free.

- A grid covers an image if the resized image is at least as large as the original. Among covering grids the one with
  the least padding is chosen; if none covers, the one with the least downscaling, then with the least padding.
- "Longer side resizing" can be read in two ways; `longer` agrees with the paper's mean of 5.39 encoder images per
  sample.
- All arithmetic is on integers: 427 x 640 and 426 x 640 lie on different sides of a boundary that floats would blur.
- The paper does not say how ties are broken; here the fewest tiles win, then the fewest rows, then the fewest columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from model.config.stages import MAX_TILES

MIN_SIDE_PX = 2
"""Shortest accepted side: an image one pixel wide or high is a spacer or a tracking pixel and shows nothing."""
MAX_SIDE_PX = 65535
"""Longest accepted side: the largest that JPEG can express."""

Fit = Literal["longer", "fit"]

_Offer = tuple[int, int]
"""(scale, padding) of a grid as integers over denominators that all grids of one image share."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The grid that was chosen for an image.

    Attributes:
        rows: number of tiles from top to bottom.
        cols: number of tiles from left to right.
        covers: whether the grid holds the image without scaling it down (case 1 of the paper).
        scale: resize factor of the image, above 0.
    """

    rows: int
    cols: int
    covers: bool
    scale: float

    @property
    def num_tiles(self) -> int:
        """The number of tiles, without the overview."""
        return self.rows * self.cols


@lru_cache(maxsize=256)
def candidates(n_min: int, n_max: int) -> tuple[tuple[int, int], ...]:
    """Return all (rows, cols) with n_min <= rows * cols <= n_max, ordered by number of tiles, then by rows.

    Raises:
        ValueError: the range is empty or reaches beyond 64 tiles.
    """
    if not 1 <= n_min <= n_max <= MAX_TILES:
        raise ValueError(f"n_min {n_min}, n_max {n_max}; allowed: 1 <= n_min <= n_max <= {MAX_TILES}")
    counts = range(n_min, n_max + 1)
    return tuple((rows, tiles // rows) for tiles in counts for rows in range(1, tiles + 1) if tiles % rows == 0)


def select_grid(height: int, width: int, *, tile: int, n_min: int, n_max: int, fit: Fit = "longer") -> Grid:
    """Choose the grid for an image.

    Args:
        height: height of the image in px, 2 to 65535.
        width: width of the image in px, 2 to 65535.
        tile: side of a tile, px, >= 1.
        n_min: fewest tiles, without the overview.
        n_max: most tiles, at most 64.
        fit: `longer` scales the image so that its longer side fills the grid on that axis, and drops grids that are
            then too short for the other side; `fit` takes the largest scale at which both sides fit.

    Returns:
        the grid with the least padding if any grid covers the image, else the one with the least downscaling.

    Raises:
        ValueError: a side, the tile, the range or `fit` is outside what is allowed.

    Source: arXiv:2409.20566, Eq. 1. Differs: the tie-break is ours.
    """
    require_sides(height, width)
    if tile < 1:
        raise ValueError(f"tile is {tile} px; allowed: >= 1")
    if fit not in ("longer", "fit"):
        raise ValueError(f"fit is {fit!r}; allowed: longer, fit")
    grids = candidates(n_min, n_max)
    offers = _longer(height, width, grids) if fit == "longer" else _fit(height, width, grids)
    denominator = max(height, width) if fit == "longer" else height * width
    covering = {grid: offer for grid, offer in offers.items() if offer[0] * tile >= denominator}
    # min returns the first of equals, and the candidates come in the order of the tie-break.
    if covering:
        best = min(covering, key=lambda grid: covering[grid][1])
    else:
        best = min(offers, key=lambda grid: (-offers[grid][0], offers[grid][1]))
    return Grid(*best, covers=bool(covering), scale=offers[best][0] * tile / denominator)


def require_sides(height: int, width: int) -> None:
    """Refuse an image with a side that is not accepted.

    Raises:
        ValueError: a side is outside 2 to 65535 px; the message has both sides.
    """
    if not (MIN_SIDE_PX <= height <= MAX_SIDE_PX and MIN_SIDE_PX <= width <= MAX_SIDE_PX):
        raise ValueError(f"image is {height} x {width} px; allowed: sides of {MIN_SIDE_PX} to {MAX_SIDE_PX} px")


def _longer(height: int, width: int, grids: tuple[tuple[int, int], ...]) -> dict[tuple[int, int], _Offer]:
    """Return scale x longer / tile and padding x longer / tile**2 of each grid that is long enough for the other side.

    `longer` is the longer side of the image in px; grids that the image would overflow are left out.
    """
    longer, shorter = max(height, width), min(height, width)
    offers = {}
    for rows, cols in grids:
        along, across = (cols, rows) if width >= height else (rows, cols)
        slack = across * longer - along * shorter
        if slack >= 0:
            offers[rows, cols] = along, along * slack
    return offers


def _fit(height: int, width: int, grids: tuple[tuple[int, int], ...]) -> dict[tuple[int, int], _Offer]:
    """Return scale x area / tile and padding x area / tile**2 of each grid, where area is that of the image in px."""
    area = height * width
    scales = {(rows, cols): min(cols * height, rows * width) for rows, cols in grids}
    return {(rows, cols): (scale, rows * cols * area - scale**2) for (rows, cols), scale in scales.items()}
