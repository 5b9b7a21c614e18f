"""Other models' rules for the grid of tiles, beside MM1.5's: AnyRes, InternVL and Idefics3. Torch-free.

- Each returns the grid that transformers' own processor of that model chooses; tests compare them. They compute with floats where those
  do: a tie that rounding decides is decided alike.
- The rules differ in what they keep: AnyRes keeps pixels, InternVL keeps the aspect ratio of the grid near that of the image and
  stretches the rest away, Idefics3 scales every image, small ones too, to the same longer side.
"""

from __future__ import annotations

import math

from model.images.splitting import candidates


def anyres(height: int, width: int, *, tile: int, n_min: int, n_max: int) -> tuple[int, int]:
    """Return the grid (rows, cols) that keeps the most pixels of the image, and of these the one that wastes the fewest.

    Args:
        height: of the image, px.
        width: of the image, px.
        tile: side of a tile, px.
        n_min: fewest tiles, without the overview.
        n_max: most tiles, at most 64.

    Source: LLaVA-NeXT, `select_best_resolution` of transformers. Differs: all grids of n_min to n_max tiles are offered, not a list
        written for the model; an image of one tile has no overview.
    """
    def worth(grid: tuple[int, int]) -> tuple[int, int]:
        tall, wide = grid[0] * tile, grid[1] * tile
        scale = min(wide / width, tall / height)
        kept = min(int(width * scale) * int(height * scale), width * height)
        return kept, kept - tall * wide  # the second is minus what is wasted
    return max(candidates(n_min, n_max), key=worth)  # the first of equals


def internvl(height: int, width: int, *, tile: int, n_min: int, n_max: int) -> tuple[int, int]:
    """Return the grid (rows, cols) whose aspect ratio is nearest to the image's; of equal ones the last that the image half fills.

    Args:
        height: of the image, px.
        width: of the image, px.
        tile: side of a tile, px.
        n_min: fewest tiles, without the overview.
        n_max: most tiles, at most 64.

    Source: InternVL, `get_optimal_tiled_canvas` of transformers' processor of GOT-OCR 2.0, which InternVL uses.
    """
    offered = sorted(candidates(n_min, n_max), key=lambda grid: (grid[0] * grid[1], grid[1]))
    distance = {grid: abs(width / height - grid[1] / grid[0]) for grid in offered}
    nearest = [grid for grid in offered if distance[grid] == min(distance.values())]
    filled = [grid for grid in nearest[1:] if height * width > 0.5 * tile * tile * grid[0] * grid[1]]
    return (nearest[:1] + filled)[-1]


def idefics3(height: int, width: int, *, tile: int, n_max: int) -> tuple[int, int]:
    """Return the grid (rows, cols) of an image that is scaled until its longer side fills a whole number of tiles.

    Args:
        height: of the image, px.
        width: of the image, px.
        tile: side of a tile, px.
        n_max: most tiles of a square image; the longer side fills as many as its root, rounded down.

    Source: Idefics3, its processor of transformers with `longest_edge` of that many tiles. Differs: sides beyond 4,096 px are not cut.
    """
    along = math.isqrt(n_max)
    longer = along * tile
    if width >= height:
        even = _even(int(longer / (width / height)))
        return _tiles(int(longer / (longer / even)), tile), along
    even = _even(int(longer * (width / height)))
    return along, _tiles(int(longer * (even / longer)), tile)


def _even(side: int) -> int:
    return max(1, side + side % 2)


def _tiles(side: int, tile: int) -> int:
    return max(1, math.ceil(side / tile))
