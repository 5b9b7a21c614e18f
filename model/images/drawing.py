"""Draw on an image what the model makes of it: the borders of its tiles, and boxes. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw

from model.config.stages import ImageConfig
from model.images.grids import STRETCHED, grid_of
from model.images.placement import Box, box_px
from model.images.tiling import Tiling

Picture = Image.Image
"""The type of a picture, for modules that hand pictures on and never open one."""
TILE_COLOUR = (0, 114, 178)
SMALLEST = 320
"""Images are enlarged by a whole number until their longer side has at least this many px, so that no pixel is
invented."""


def annotated(image: Image.Image, config: ImageConfig | None, boxes: Sequence[tuple[Box, tuple[int, int, int]]] = (), *,
              num_images: int = 1) -> Image.Image:
    """Return the image enlarged, with the borders of its tiles and with boxes.

    Args:
        image: of any mode.
        config: the image setting whose tiles are drawn; None draws none.
        boxes: in thousandths of the image, each with its colour.
        num_images: images in the sample; from three on none is split.
    """
    factor = max(1, -(-SMALLEST // max(image.size)))
    large = image.convert("RGB").resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    pen = ImageDraw.Draw(large)
    for x in _borders(image, config, num_images)[0]:
        pen.line((x * factor, 0, x * factor, large.height), fill=TILE_COLOUR, width=2)
    for y in _borders(image, config, num_images)[1]:
        pen.line((0, y * factor, large.width, y * factor), fill=TILE_COLOUR, width=2)
    for box, colour in boxes:
        pen.rectangle(box_px(box, width=large.width, height=large.height), outline=colour, width=3)
    return large


def _borders(image: Image.Image, config: ImageConfig | None, num_images: int) -> tuple[list[float], list[float]]:
    """Return the inner borders between tiles in px of the image.

    The image lies in the upper left of its grid, or fills it in the modes that stretch.
    """
    if config is None:
        return [], []
    rows, cols = grid_of(image.height, image.width, config, num_images=num_images)
    wide, high = image.width / cols, image.height / rows
    if config.mode not in STRETCHED:
        wide = high = max(wide, high)
    return ([x for i in range(1, cols) if (x := i * wide) < image.width],
            [y for i in range(1, rows) if (y := i * high) < image.height])


def tile_images(tiling: Tiling) -> list[Image.Image]:
    """Return the tiles as images, in the order in which the decoder sees them."""
    return [Image.fromarray(tile_CXX.transpose(1, 2, 0)) for tile_CXX in tiling.tiles]
