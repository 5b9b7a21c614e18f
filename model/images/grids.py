"""The grid of tiles of an image, by the rule of its image setting. Torch-free."""

from __future__ import annotations

from collections.abc import Callable

from model.config.stages import MAX_SPLIT_IMAGES, ImageConfig
from model.images.other_rules import anyres, idefics3, internvl
from model.images.splitting import require_sides, select_grid

OTHERS: dict[str, Callable[..., tuple[int, int]]] = {"anyres": anyres, "internvl": internvl}
"""Rules of other models that choose among all grids of `n_min` to `n_max` tiles."""
STRETCHED = frozenset({"internvl", "idefics3"})
"""Modes that stretch the image to the whole grid; the others keep its aspect ratio and pad."""
SQUASHED = frozenset({"anyres", *STRETCHED})
"""Modes whose overview is the image stretched to one tile."""


def grid_of(height: int, width: int, config: ImageConfig, *, num_images: int = 1) -> tuple[int, int]:
    """Return the grid of an image as (rows, cols); images of a sample with three or more are not split.

    Args:
        height: height of the image in px, 2 to 65535.
        width: width of the image in px, 2 to 65535.
        config: the image setting.
        num_images: images in the sample.

    Raises:
        ValueError: a side is outside its range.
    """
    require_sides(height, width)
    if config.mode == "single" or num_images > MAX_SPLIT_IMAGES:
        return 1, 1
    if config.mode == "static":
        return 2, 2
    if config.mode == "idefics3":
        return idefics3(height, width, tile=config.tile, n_max=config.n_max)
    if config.mode in OTHERS:
        return OTHERS[config.mode](height, width, tile=config.tile, n_min=config.n_min, n_max=config.n_max)
    grid = select_grid(height, width, tile=config.tile, n_min=config.n_min, n_max=config.n_max, fit=config.fit)
    return grid.rows, grid.cols
