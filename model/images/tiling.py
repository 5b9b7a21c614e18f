"""Pixels: one resize, one padded canvas, tiles cut without arithmetic. Torch-free; uint8 throughout.

- Tiles are `(N, 3, tile, tile)`; the model normalises on its device, so a tile travels as one byte a value.
- The image lies in the upper left corner and the padding is mid-grey, 128: neither is stated by the paper; grey is nearest
  to zero after normalisation.
- The overview is the whole image, longer side to the tile and padded, not squashed; a (1, 1) grid has none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.config import MAX_SPLIT_IMAGES, ImageConfig
from model.images.splitting import select_grid

PADDING = 128
"""Grey value of padded pixels, 0 to 255."""


@dataclass(frozen=True, slots=True)
class Tiling:
    """The tiles of one image in the order in which the decoder sees them.

    Attributes:
        tiles: uint8, (N, 3, tile, tile).
        rows: grid rows.
        cols: grid columns.
        overview: index of the overview among the tiles, or None where there is none.
    """

    tiles: NDArray[np.uint8]
    rows: int
    cols: int
    overview: int | None


def grid_of(height: int, width: int, config: ImageConfig, *, num_images: int = 1) -> tuple[int, int]:
    """Return (rows, cols) for an image of this size; three or more images in a sample are not split."""
    if config.mode == "single" or num_images > MAX_SPLIT_IMAGES:
        return 1, 1
    if config.mode == "static":
        return 2, 2
    grid = select_grid(height, width, tile=config.tile, n_min=config.n_min, n_max=config.n_max, fit=config.fit)
    return grid.rows, grid.cols


def tiles(image: Image.Image, config: ImageConfig, *, num_images: int = 1) -> Tiling:
    """Cut an image into tiles.

    Args:
        image: any size with sides of 1 to 65535 px; converted to RGB.
        config: mode, tile side, grid range, place of the overview.
        num_images: images in the sample; from three on none is split.

    Returns:
        the tiles row by row, with the overview before or after them.
    """
    image = image if image.mode == "RGB" else image.convert("RGB")
    rows, cols = grid_of(image.height, image.width, config, num_images=num_images)
    side = config.tile
    canvas = _fit(image, rows * side, cols * side)
    cut = canvas.reshape(rows, side, cols, side, 3).transpose(0, 2, 4, 1, 3).reshape(rows * cols, 3, side, side)
    if rows * cols == 1:
        return Tiling(np.ascontiguousarray(cut), rows, cols, None)
    overview = _fit(image, side, side).transpose(2, 0, 1)[None]
    first = config.overview == "before"
    pieces = [overview, cut] if first else [cut, overview]
    return Tiling(np.concatenate(pieces), rows, cols, 0 if first else rows * cols)


def _fit(image: Image.Image, height: int, width: int) -> NDArray[np.uint8]:
    """Scale the image to fit the frame, keep its aspect, pad to (height, width, 3)."""
    scale = min(width / image.width, height / image.height)
    size = (max(1, min(width, round(image.width * scale))), max(1, min(height, round(image.height * scale))))
    resized = image if size == image.size else image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    pixels = np.asarray(resized)
    if pixels.shape[:2] == (height, width):
        return pixels
    canvas = np.full((height, width, 3), PADDING, dtype=np.uint8)
    canvas[: pixels.shape[0], : pixels.shape[1]] = pixels
    return canvas
