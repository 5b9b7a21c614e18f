"""Cut an image into tiles: resize it once, cut the tiles, reduce the overview. Torch-free; uint8 throughout.

- Tiles are `tiles_NCXX`; the model normalises them on its device, so a tile travels as one byte per value.
- The image lies in the upper left corner and the padding is mid-grey. The paper states neither; mid-grey is nearest to
  zero after normalisation.
- The overview is the whole image with its aspect ratio: the longer side fills the tile, the rest is padding. A (1, 1)
  grid has no overview.
- The paper does not state the filters either. Bicubic enlarges; Hamming shrinks, in two thirds of bicubic's time and
  with the same fidelity (enlarged again, a printed page at 0.57 of its size has a PSNR of 20.2 dB against 20.3 dB).
- The overview is made from the resized image, not from the original: averaging squares of pixels costs a tenth of a
  second pass over the original, and if the image fills its grid, the factor is an integer.

    N tiles, overview included   C colours (3)   X side of a tile, px   Y height, Z width of a picture, px
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.config.stages import ImageConfig
from model.images.decode import oriented, to_rgb
from model.images.grids import SQUASHED, STRETCHED, grid_of

PADDING = 128
"""Grey value of padded pixels, 0 to 255."""
AVERAGE_FIRST = 1.0
"""Pillow's `reducing_gap` for the overview: reduce by averaging squares as far as possible, then filter the rest."""
REDUCING_GAP = 2.0
"""Pillow's `reducing_gap` for the image: average squares first if the image shrinks to a quarter or less."""


@dataclass(frozen=True, slots=True)
class Tiling:
    """The tiles of one image, in the order in which the decoder sees them.

    Attributes:
        tiles: tiles_NCXX, uint8.
        rows: rows of the grid.
        cols: columns of the grid.
        overview: index of the overview among the tiles; None if there is no overview.
    """

    tiles: NDArray[np.uint8]
    rows: int
    cols: int
    overview: int | None


def tiles(image: Image.Image, config: ImageConfig, *, num_images: int = 1) -> Tiling:
    """Cut an image into tiles.

    Args:
        image: with sides of 2 to 65535 px; an image of any mode is converted to RGB.
        config: the image setting.
        num_images: images in the sample; from three on none is split.

    Returns:
        the tiles row by row, with the overview before or after them.

    Raises:
        ValueError: a side of the image is outside its range.
    """
    image = oriented(image, config.orientation)  # no change for images that our own readers have rotated already
    rows, cols = grid_of(image.height, image.width, config, num_images=num_images)
    image, side = to_rgb(image), config.tile
    resize = _stretch if config.mode in STRETCHED and rows * cols > 1 else _fit
    resized = resize(image, height=rows * side, width=cols * side)
    if rows * cols == 1:
        return Tiling(_cut(resized, rows, cols, side, first=0, num_tiles=1), rows, cols, None)
    first, overview = (1, 0) if config.overview == "before" else (0, rows * cols)
    tiles_NCXX = _cut(resized, rows, cols, side, first=first, num_tiles=rows * cols + 1)
    shrink = _stretch if config.mode in SQUASHED else _fit
    for colour, band in enumerate(shrink(resized, height=side, width=side, reducing_gap=AVERAGE_FIRST).split()):
        _paste(np.asarray(band), tiles_NCXX[overview, colour])
    return Tiling(tiles_NCXX, rows, cols, overview)


def _fit(image: Image.Image, *, height: int, width: int, reducing_gap: float = REDUCING_GAP) -> Image.Image:
    """Scale the image to the largest size inside the frame that keeps its aspect ratio, at least 1 px per side."""
    scale = min(width / image.width, height / image.height)
    size = (max(1, min(width, round(image.width * scale))), max(1, min(height, round(image.height * scale))))
    sampling = Image.Resampling.BICUBIC if scale > 1 else Image.Resampling.HAMMING
    return image if size == image.size else image.resize(size, sampling, reducing_gap=reducing_gap)


def _stretch(image: Image.Image, *, height: int, width: int, reducing_gap: float = REDUCING_GAP) -> Image.Image:
    """Scale the image to the whole frame, whatever that does to its aspect ratio."""
    is_larger = width * height > image.width * image.height
    sampling = Image.Resampling.BICUBIC if is_larger else Image.Resampling.HAMMING
    return image.resize((width, height), sampling, reducing_gap=reducing_gap)


def _cut(image: Image.Image, rows: int, cols: int, side: int, *, first: int, num_tiles: int) -> NDArray[np.uint8]:
    """Return tiles_NCXX with the squares of the image, row by row, from index `first` on; others are uninitialised."""
    tiles_NCXX = np.empty((num_tiles, 3, side, side), dtype=np.uint8)
    # Colour by colour: rows of one colour lie together in both, while pixels would be packed and gathered one by one.
    for colour, band in enumerate(image.split()):
        pixels_YZ = np.asarray(band)
        for index in range(rows * cols):
            top, left = index // cols * side, index % cols * side
            _paste(pixels_YZ[top : top + side, left : left + side], tiles_NCXX[first + index, colour])
    return tiles_NCXX


def _paste(pixels_YZ: NDArray[np.uint8], tile_XX: NDArray[np.uint8]) -> None:
    """Fill a colour of a tile with a picture that is not larger, in the upper left corner, and with padding elsewhere."""
    height, width = pixels_YZ.shape
    tile_XX[:height, :width] = pixels_YZ
    tile_XX[:height, width:] = PADDING
    tile_XX[height:] = PADDING
