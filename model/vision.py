"""The image encoder: a ViT in CLIP's style, on tiles.

- Positions are learned for one tile side and interpolated for others (bicubic), so that 378 px weights serve 672 px.
- No class token leaves the encoder: the connector wants a square of patches.
- The conv stem (arXiv:2106.14881) replaces the single strided convolution; small models learn from noise sooner with it.

    N tiles   P patches   V vision width   H heads   K head width
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.config import VisionConfig

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
"""Channel statistics that CLIP normalises by (arXiv:2103.00020)."""


class QuickGelu(nn.Module):
    """x * sigmoid(1.702 x), the activation of CLIP's and DFN's weights."""

    def forward(self, hidden: Tensor) -> Tensor:
        """Apply elementwise."""
        return hidden * torch.sigmoid(1.702 * hidden)


class Block(nn.Module):
    """Pre-norm attention and feed-forward over all patches of a tile."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.norm1 = nn.LayerNorm(config.width)
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.out = nn.Linear(config.width, config.width)
        self.norm2 = nn.LayerNorm(config.width)
        activation = QuickGelu() if config.activation == "quick_gelu" else nn.GELU()
        self.mlp = nn.Sequential(nn.Linear(config.width, config.mlp_width), activation, nn.Linear(config.mlp_width, config.width))

    def forward(self, patches_NPV: Tensor) -> Tensor:
        """Return patches_NPV after attention and feed-forward."""
        tiles, patches, width = patches_NPV.shape
        qkv = self.qkv(self.norm1(patches_NPV)).view(tiles, patches, 3, self.heads, width // self.heads)
        q_NHPK, k_NHPK, v_NHPK = qkv.permute(2, 0, 3, 1, 4)
        mixed_NHPK = functional.scaled_dot_product_attention(q_NHPK, k_NHPK, v_NHPK)
        patches_NPV = patches_NPV + self.out(mixed_NHPK.transpose(1, 2).reshape(tiles, patches, width))
        return patches_NPV + self.mlp(self.norm2(patches_NPV))


class VisionEncoder(nn.Module):
    """Tiles to patch tokens."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = _conv_stem(config) if config.stem == "conv" else nn.Conv2d(3, config.width, config.patch, config.patch, bias=False)
        self.positions = nn.Parameter(torch.empty(1, (config.tile // config.patch) ** 2, config.width))
        self.norm_in = nn.LayerNorm(config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm_out = nn.LayerNorm(config.width)
        self.register_buffer("mean", torch.tensor(CLIP_MEAN).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(CLIP_STD).view(1, 3, 1, 1) * 255, persistent=False)

    def initialise(self) -> None:
        """Draw fresh weights from the current random state."""
        nn.init.trunc_normal_(self.positions, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, tiles_NCXX: Tensor) -> Tensor:
        """Encode uint8 tiles (N, 3, side, side).

        Returns:
            patches_NPV in row-major order, P = (side / patch) ** 2.

        Raises:
            ValueError: the side differs from the one the positions were made for.
        """
        side = tiles_NCXX.shape[-1]
        if side != self.config.tile:
            raise ValueError(f"tiles are {side} px, the encoder's positions are for {self.config.tile} px")
        pixels = (tiles_NCXX.to(self.mean.dtype) - self.mean) / self.std
        hidden_NPV = self.stem(pixels).flatten(2).transpose(1, 2) + self.positions
        hidden_NPV = self.norm_in(hidden_NPV)
        for block in self.blocks:
            hidden_NPV = block(hidden_NPV)
        return self.norm_out(hidden_NPV)


def _conv_stem(config: VisionConfig) -> nn.Sequential:
    """Build log2(patch) convolutions of stride 2, widths doubling up to the encoder's, and a 1x1 at the end."""
    steps = int(math.log2(config.patch))
    layers: list[nn.Module] = []
    channels = 3
    for step in range(steps):
        wider = config.width // 2 ** (steps - 1 - step)
        layers += [nn.Conv2d(channels, wider, 3, stride=2, padding=1), nn.GELU()]
        channels = wider
    return nn.Sequential(*layers, nn.Conv2d(channels, config.width, 1))


def interpolate_positions(positions_1PV: Tensor, side: int) -> Tensor:
    """Stretch a learned square table of positions to side x side patches (bicubic).

    Raises:
        ValueError: the table is no square.
    """
    count = positions_1PV.shape[1]
    old = math.isqrt(count)
    if old * old != count:
        raise ValueError(f"position table has {count} rows, which is no square")
    if old == side:
        return positions_1PV
    square = positions_1PV.reshape(1, old, old, -1).permute(0, 3, 1, 2)
    stretched = functional.interpolate(square.float(), size=(side, side), mode="bicubic", align_corners=False)
    return stretched.permute(0, 2, 3, 1).reshape(1, side * side, -1).to(positions_1PV.dtype)
