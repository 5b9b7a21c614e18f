"""The connectors: they turn the patches of a tile into image tokens of the decoder's width.

- The C-Abstractor (Honeybee, arXiv:2312.06742) keeps locality: convolutions, pooling to a square, convolutions,
  projection.
- The number of image tokens is an argument of the forward pass, not a shape of the weights: the same connector yields
  81 or 144 tokens.
- Linear, MLP and average pooling are the connectors that MM1 (arXiv:2403.09611) compares it with.

    N tiles   P patches   V vision width   C connector channels   I image tokens   D language width
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.config.stages import ModelConfig
from model.network.vision import interpolate_positions


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of a tensor of shape (N, C, height, width)."""

    def forward(self, hidden: Tensor) -> Tensor:
        """Normalise the channels of each position."""
        # LayerNorm works on the last dimension, convolutions keep channels second.
        return super().forward(hidden.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class SqueezeExcite(nn.Module):
    """Scaling of each channel by a gate, 0 to 1, that is computed from the means of all channels."""

    def __init__(self, channels: int, reduced: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, reduced, 1)
        self.expand = nn.Conv2d(reduced, channels, 1)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the input (N, C, height, width), scaled by its gates."""
        # (N, C, 1, 1): 1x1 convolutions on the means act as linear layers over channels.
        gate = functional.silu(self.reduce(hidden.mean((2, 3), keepdim=True)))
        return hidden * torch.sigmoid(self.expand(gate))


class RegNetBlock(nn.Module):
    """A residual block: 1x1, depthwise 3x3, squeeze-excite and 1x1 convolutions; bottleneck ratio 1."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(nn.Conv2d(channels_in, channels, 1, bias=False), ChannelNorm(channels), nn.SiLU())
        depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.conv2 = nn.Sequential(depthwise, ChannelNorm(channels), nn.SiLU())
        # A quarter of the block's input channels, not of its own: so does RegNet.
        self.gate = SqueezeExcite(channels, round(0.25 * channels_in))
        self.conv3 = nn.Sequential(nn.Conv2d(channels, channels, 1, bias=False), ChannelNorm(channels))
        self.shortcut: nn.Module = nn.Identity()
        if channels_in != channels:  # built only if needed: every layer that is built draws random numbers
            self.shortcut = nn.Sequential(nn.Conv2d(channels_in, channels, 1, bias=False), ChannelNorm(channels))

    def forward(self, hidden: Tensor) -> Tensor:
        """Return silu(shortcut + branch); height and width stay."""
        return functional.silu(self.shortcut(hidden) + self.conv3(self.gate(self.conv2(self.conv1(hidden)))))


class CAbstractor(nn.Module):
    """The C-Abstractor: RegNet blocks, average pooling to the square of image tokens, RegNet blocks, two linear layers.

    Source: Honeybee, arXiv:2312.06742.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        vision, hidden, depth = config.vision.width, config.connector.hidden, config.connector.depth
        # Its own position table: convolutions see neighbours, not the place in the tile.
        self.positions = nn.Parameter(torch.empty(1, (config.vision.tile // config.vision.patch) ** 2, vision))
        # With depth 0 both sequences are empty and pass their input on, so the pooled patches keep the vision width.
        widths = [vision] + [hidden] * depth
        self.before = nn.Sequential(*(RegNetBlock(i, o) for i, o in zip(widths, widths[1:], strict=False)))
        self.after = nn.Sequential(*(RegNetBlock(hidden, hidden) for _ in range(depth)))
        out, width = hidden if depth else vision, config.decoder.width
        self.readout = nn.Sequential(nn.Linear(out, width), nn.SiLU(), nn.Linear(width, width))

    def initialise(self) -> None:
        """Draw the position table (truncated normal, std 0.02); all other layers keep PyTorch's initialisation."""
        nn.init.trunc_normal_(self.positions, std=0.02)

    def forward(self, patches_NPV: Tensor, *, tokens: int) -> Tensor:
        """Return tokens_NID with I = `tokens`.

        Raises:
            ValueError: `tokens` is not a square number, or exceeds the number of patches.
        """
        positions = interpolate_positions(self.positions, math.isqrt(patches_NPV.shape[1]))
        hidden = self.before(_square(patches_NPV + positions))
        hidden = functional.adaptive_avg_pool2d(hidden, _side(tokens, of=patches_NPV.shape[1]))
        return self.readout(self.after(hidden).flatten(2).transpose(1, 2))


class PooledConnector(nn.Module):
    """Average pooling and a projection: kinds `linear` and `average_pool` (one layer) and `mlp` (two layers)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.decoder.width
        layers: list[nn.Module] = [nn.Linear(config.vision.width, width)]
        if config.connector.kind == "mlp":
            layers += [nn.GELU(), nn.Linear(width, width)]
        self.readout = nn.Sequential(*layers)
        self.project_first = config.connector.kind == "linear"

    def initialise(self) -> None:
        """Keep PyTorch's initialisation of the linear layers."""

    def forward(self, patches_NPV: Tensor, *, tokens: int) -> Tensor:
        """Return tokens_NID with I = `tokens`; `linear` projects each patch and then pools, the others pool first.

        Raises:
            ValueError: `tokens` is not a square number, or exceeds the number of patches.
        """
        side = _side(tokens, of=patches_NPV.shape[1])
        # One linear layer commutes with averaging, so `linear` and `average_pool` differ in cost and rounding only.
        hidden = self.readout(patches_NPV) if self.project_first else patches_NPV
        # (N, channels, side, side) to (N, I, channels): image tokens are in row-major order, like patches.
        pooled = functional.adaptive_avg_pool2d(_square(hidden), side).flatten(2).transpose(1, 2)
        return pooled if self.project_first else self.readout(pooled)


CONNECTORS: dict[str, type[CAbstractor] | type[PooledConnector]] = {
    "c_abstractor": CAbstractor, "linear": PooledConnector, "mlp": PooledConnector, "average_pool": PooledConnector,
}
"""`ConnectorConfig.kind` to the class that implements it; `model.config.connectors` has what each kind costs."""


def _side(tokens: int, *, of: int) -> int:
    """Return the side of the square of image tokens; `of` is the number of patches that are pooled."""
    side = math.isqrt(tokens)
    if side * side != tokens or not 1 <= tokens <= of:
        raise ValueError(f"{tokens} tokens of a tile of {of} patches; "
                         "allowed: 1, 4, 9, ... up to the number of patches")
    return side


def _square(patches_NPV: Tensor) -> Tensor:
    """Return the patches as (N, V, side, side); they come in row-major order."""
    side = math.isqrt(patches_NPV.shape[1])
    return patches_NPV.transpose(1, 2).unflatten(2, (side, side))
