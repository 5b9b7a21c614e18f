"""Which grid of tiles an image is cut into: MM1.5's dynamic image splitting (arXiv:2409.20566, section on splitting).

- A grid covers an image if the resized image is at least as large as the original. Among covering grids the least
  padding wins; if none covers, the least downscaling, then the least padding.
- Two readings of "longer side resizing" exist; `longer` agrees with the paper's statistic of 5.39 encoder images a sample.
- Integers only: 427 x 640 and 426 x 640 lie on different sides of a boundary that floats would blur.
- Ties are not settled by the paper; ours go to the fewest tiles, then the fewest rows, then the fewest columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Literal

from model.config import MAX_TILES

MAX_SIDE_PX = 65535
"""Longest side accepted; JPEG can say no more."""

Fit = Literal["longer", "fit"]


@dataclass(frozen=True, slots=True)
class Grid:
    """The chosen grid.

    Attributes:
        rows: tiles from top to bottom.
        cols: tiles from left to right.
        covers: some grid holds the image without scaling it down (case 1 of the paper).
        scale: resize factor of the image, above 0.
    """

    rows: int
    cols: int
    covers: bool
    scale: float

    @property
    def num_tiles(self) -> int:
        """Tiles without the overview."""
        return self.rows * self.cols


@lru_cache(maxsize=256)
def candidates(n_min: int, n_max: int) -> tuple[tuple[int, int], ...]:
    """Return all (rows, cols) with n_min <= rows * cols <= n_max, fewest tiles first.

    Raises:
        ValueError: the range is empty or reaches beyond 64 tiles.
    """
    if not 1 <= n_min <= n_max <= MAX_TILES:
        raise ValueError(f"n_min {n_min}, n_max {n_max}; allowed: 1 <= n_min <= n_max <= {MAX_TILES}")
    pairs = [(rows, tiles // rows) for tiles in range(n_min, n_max + 1) for rows in range(1, tiles + 1) if tiles % rows == 0]
    return tuple(sorted(pairs, key=lambda pair: (pair[0] * pair[1], pair)))


def select_grid(height: int, width: int, *, tile: int, n_min: int, n_max: int, fit: Fit = "longer") -> Grid:
    """Choose the grid for an image.

    Args:
        height: of the image, px, 1 to 65535.
        width: of the image, px, 1 to 65535.
        tile: side of a tile, px, >= 1.
        n_min: fewest tiles, without the overview.
        n_max: most tiles, at most 64.
        fit: `longer` makes the longer side exactly the grid's side on that axis and drops grids that the other axis
            then overflows; `fit` takes the largest scale at which both axes fit.

    Raises:
        ValueError: a side, the tile or the range is outside what is allowed.

    Source: rule as digested from arXiv:2409.20566, Eq. 1. Differs: the tie-break is ours.
    """
    if not (1 <= height <= MAX_SIDE_PX and 1 <= width <= MAX_SIDE_PX):
        raise ValueError(f"image is {height} x {width} px; allowed: sides of 1 to {MAX_SIDE_PX} px")
    if tile < 1:
        raise ValueError(f"tile is {tile} px; allowed: >= 1")
    return _select(height, width, tile, candidates(n_min, n_max), fit)


@lru_cache(maxsize=65536)
def _select(height: int, width: int, tile: int, grids: tuple[tuple[int, int], ...], fit: Fit) -> Grid:
    fitting = [grid for grid in grids if fit == "fit" or _longer_side_fits(height, width, *grid)]
    scales = {grid: _scale(height, width, *grid, tile, fit) for grid in fitting}
    padding = {(rows, cols): rows * cols * tile**2 - scale**2 * height * width for (rows, cols), scale in scales.items()}
    covering = [grid for grid in fitting if scales[grid] >= 1]
    if covering:
        best = min(covering, key=lambda grid: (padding[grid], grid[0] * grid[1], grid))
    else:
        best = min(fitting, key=lambda grid: (-scales[grid], padding[grid], grid[0] * grid[1], grid))
    return Grid(*best, covers=bool(covering), scale=float(scales[best]))


def _longer_side_fits(height: int, width: int, rows: int, cols: int) -> bool:
    """Say whether the shorter axis stays inside the grid once the longer axis fills it."""
    if width >= height:
        return height * cols <= width * rows
    return width * rows <= height * cols


def _scale(height: int, width: int, rows: int, cols: int, tile: int, fit: Fit) -> Fraction:
    by_width, by_height = Fraction(cols * tile, width), Fraction(rows * tile, height)
    if fit == "fit":
        return min(by_width, by_height)
    return by_width if width >= height else by_height
