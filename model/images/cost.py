"""What an image setting can hold, and what an image costs in it. Torch-free."""

from __future__ import annotations

import math
from dataclasses import dataclass

from model.config.stages import ImageConfig
from model.images.placement import grid_pieces
from model.images.splitting import grid_of

SPECIAL_PIECES = ("<n>",)
"""Indicator texts that are one token by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """The largest image that a setting takes, and what it costs, in the columns of MM1.5's first table.

    Attributes:
        encoder_images: most tiles of an image, the overview included (the table's n).
        tokens_per_tile: image tokens of a tile (sub-image).
        tokens: image tokens of the largest grid, the overview included.
        effective_px: pixels of the largest grid; the overview shows nothing new and does not count.
        square_px: side of the largest square image that is not scaled down.
        longest_px: longer side of the longest image, one tile high, that is not scaled down.
    """

    encoder_images: int
    tokens_per_tile: int
    tokens: int
    effective_px: int
    square_px: int
    longest_px: int

    @property
    def tokens_text(self) -> str:
        """`144/720`: per sub-image / total."""
        return f"{self.tokens_per_tile}/{self.tokens}"

    @property
    def resolution_text(self) -> str:
        """`1.8MP`: effective resolution to two digits."""
        return f"{self.effective_px / 1e6:.2g}MP"


def describe(config: ImageConfig) -> Description:
    """Return what the largest grid of a setting holds."""
    most = {"single": 1, "static": 4, "dynamic": config.n_max}[config.mode]
    longest = 2 if config.mode == "static" else most
    encoder_images = most + 1 if most > 1 else 1
    return Description(
        encoder_images=encoder_images, tokens_per_tile=config.tokens, tokens=encoder_images * config.tokens,
        effective_px=most * config.tile**2, square_px=math.isqrt(most) * config.tile, longest_px=longest * config.tile,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLoad:
    """What one image puts on encoder and decoder.

    Attributes:
        tiles: encoder images, the overview included.
        image_tokens: positions of the sequence that image tokens take.
        indicator_tokens: most positions that position text takes; a tokenizer that joins characters needs fewer.
    """

    tiles: int
    image_tokens: int
    indicator_tokens: int

    @property
    def length(self) -> int:
        """All positions of the sequence that the image takes."""
        return self.image_tokens + self.indicator_tokens


def image_load(height: int, width: int, config: ImageConfig, *, num_images: int = 1) -> ImageLoad:
    """Count tiles and tokens of an image of this size in a sample of so many images.

    Raises:
        ValueError: a side is outside what can be split.
    """
    pieces = grid_pieces(*grid_of(height, width, config, num_images=num_images), config)
    text = [piece for piece in pieces if isinstance(piece, str)]
    tiles = len(pieces) - len(text)
    indicators = sum(1 if piece in SPECIAL_PIECES else len(piece) for piece in text)
    return ImageLoad(tiles=tiles, image_tokens=tiles * config.tokens, indicator_tokens=indicators)
