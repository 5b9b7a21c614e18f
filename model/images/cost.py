"""The largest image that an image setting can show, and the tiles and tokens of an image. Torch-free."""

from __future__ import annotations

import math
from dataclasses import dataclass

from model.config.stages import ImageConfig
from model.images.grids import grid_of
from model.images.placement import grid_pieces

SPECIAL_PIECES = ("<n>",)
"""Indicator texts that are a single token of the vocabulary."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """The largest image that a setting can show and what it costs, in the columns of MM1.5's first table.

    Attributes:
        encoder_images: largest number of tiles of an image, the overview included (n in the table).
        tokens_per_tile: image tokens of a tile (sub-image).
        tokens: image tokens of the largest grid, the overview included.
        effective_px: pixels of the largest grid; the overview shows nothing new and does not count.
        square_px: side in px of the largest square image that is not scaled down.
        longest_px: longer side in px of the longest image, one tile high, that is not scaled down.
    """

    encoder_images: int
    tokens_per_tile: int
    tokens: int
    effective_px: int
    square_px: int
    longest_px: int

    @property
    def tokens_text(self) -> str:
        """Image tokens per sub-image / in total, for example `144/720`."""
        return f"{self.tokens_per_tile}/{self.tokens}"

    @property
    def resolution_text(self) -> str:
        """The effective resolution in megapixels to two digits, for example `1.8MP`."""
        return f"{self.effective_px / 1e6:.2g}MP"


def describe(config: ImageConfig) -> Description:
    """Return the largest image of a setting and its costs."""
    side = math.isqrt(config.n_max)
    most = {"single": 1, "static": 4, "idefics3": side**2}.get(config.mode, config.n_max)
    longest = {"static": 2, "idefics3": side}.get(config.mode, most)
    encoder_images = most + 1 if most > 1 else 1
    return Description(
        encoder_images=encoder_images, tokens_per_tile=config.tokens, tokens=encoder_images * config.tokens,
        effective_px=most * config.tile**2, square_px=math.isqrt(most) * config.tile, longest_px=longest * config.tile,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLoad:
    """The load of one image on encoder and decoder.

    Attributes:
        tiles: tiles that the encoder sees, the overview included.
        image_tokens: positions of the sequence that image tokens take.
        indicator_tokens: upper bound of the positions that indicator text takes; a tokenizer that joins characters
            needs fewer.
    """

    tiles: int
    image_tokens: int
    indicator_tokens: int

    @property
    def length(self) -> int:
        """All positions of the sequence that the image takes."""
        return self.image_tokens + self.indicator_tokens


def image_load(height: int, width: int, config: ImageConfig, *, num_images: int = 1) -> ImageLoad:
    """Count the tiles and tokens of an image.

    Args:
        height: height of the image in px, 2 to 65535.
        width: width of the image in px, 2 to 65535.
        config: the image setting.
        num_images: images in the sample; from three on none is split.

    Raises:
        ValueError: a side of the image is outside its range.
    """
    pieces = grid_pieces(*grid_of(height, width, config, num_images=num_images), config)
    text = [piece for piece in pieces if isinstance(piece, str)]
    tiles = len(pieces) - len(text)
    indicators = sum(1 if piece in SPECIAL_PIECES else len(piece) for piece in text)
    return ImageLoad(tiles=tiles, image_tokens=tiles * config.tokens, indicator_tokens=indicators)
