"""Every candidate grid of an image with its padding and loss, beside the one that the model takes. Pure.

The numbers are those of `model.images.splitting`, which chooses; here they are made readable for all grids.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from model.config.stages import ImageConfig
from model.images.grids import STRETCHED, grid_of
from model.images.placement import grid_pieces
from model.images.splitting import candidates

Mode = Literal["dynamic", "static", "single", "anyres", "internvl", "idefics3"]
MODES: dict[Mode, str] = {"dynamic": "dynamic (MM1.5)", "static": "static 2 × 2", "single": "one tile",
                          "anyres": "AnyRes (LLaVA-NeXT)", "internvl": "InternVL", "idefics3": "Idefics3"}
"""Way of splitting -> its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One grid that the rule weighs."""

    rows: int
    cols: int
    is_allowed: bool
    """False if the image, scaled to the grid along its longer side, overflows it on the other."""
    scale: float
    """Resize factor of the image; below 1 detail is lost."""
    padded_px: float
    """Pixels of the grid that are padding, which the rule makes few."""
    padding: float
    """The same as a share of the grid, 0 to 1."""
    is_chosen: bool

    @property
    def loss(self) -> float:
        """The share of the image's pixels that is lost by scaling down, 0 to 1."""
        return max(0.0, 1 - min(self.scale, 1.0) ** 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiler:
    """What a way of splitting makes of an image."""

    name: str
    rows: int
    cols: int
    num_tiles: int
    """The overview included."""
    num_tokens: int
    scale: float
    """Resize factor with which the image is shown in its grid, the smaller one if it is stretched."""
    stretch: float
    """The larger resize factor over the smaller one; 1 where the image keeps its shape."""
    config: ImageConfig


def weighed(height: int, width: int, config: ImageConfig) -> list[Candidate]:
    """Return all candidate grids of a dynamic setting, from the fewest tiles on.

    Args:
        height: of the image, px.
        width: of the image, px.
        config: the image setting.
    """
    chosen = grid_of(height, width, config)
    return [_candidate(height, width, config, grid, is_chosen=grid == chosen)
            for grid in candidates(config.n_min, config.n_max)]


def _candidate(height: int, width: int, config: ImageConfig, grid: tuple[int, int], *, is_chosen: bool) -> Candidate:
    rows, cols = grid
    fits = min(cols * config.tile / width, rows * config.tile / height)
    along = (cols * config.tile / width) if width >= height else (rows * config.tile / height)
    is_allowed = config.fit == "fit" or along <= fits * (1 + 1e-12)
    scale = fits if config.fit == "fit" else along
    area = rows * cols * config.tile**2
    padded = max(0.0, area - height * width * scale**2) if is_allowed else 0.0
    return Candidate(rows=rows, cols=cols, is_allowed=is_allowed, scale=scale, is_chosen=is_chosen, padded_px=padded,
                     padding=padded / area)


def tilers(height: int, width: int, config: ImageConfig) -> list[Tiler]:
    """Return what this setting and other ways of splitting make of an image with tiles of the same size."""
    ways = {name: replace(config, mode=mode) for mode, name in MODES.items() if mode != "dynamic"}
    ways[f"{MODES['dynamic']}, longer side"] = replace(config, mode="dynamic", fit="longer")
    ways[f"{MODES['dynamic']}, largest fit"] = replace(config, mode="dynamic", fit="fit")
    return [_tiler(name, height, width, own) for name, own in {"this setting": config, **ways}.items()]


def _tiler(name: str, height: int, width: int, config: ImageConfig) -> Tiler:
    rows, cols = grid_of(height, width, config)
    number = rows * cols + (rows * cols > 1)
    scales = cols * config.tile / width, rows * config.tile / height
    is_stretched = config.mode in STRETCHED and rows * cols > 1
    return Tiler(name=name, rows=rows, cols=cols, num_tiles=number, num_tokens=number * config.tokens, scale=min(scales),
                 stretch=max(scales) / min(scales) if is_stretched else 1.0, config=config)


def sequence(rows: int, cols: int, config: ImageConfig) -> str:
    """Return the order in which the decoder reads tiles and position text, such as `: [0] [1] , [2]`."""
    overview = 0 if config.overview == "before" else rows * cols
    return " ".join(
        (
            f"[overview × {config.tokens}]"
            if piece == overview and rows * cols > 1
            else f"[tile {piece} × {config.tokens}]"
        )
        if isinstance(piece, int)
        else piece
        for piece in grid_pieces(rows, cols, config)
    )
