"""The image encoder: a ViT in CLIP's style that encodes tiles.

- Positions are learned for one tile side and interpolated for others (bicubic), so weights for 378 px serve 672 px:
  once if a stage has another side than its checkpoint, in every pass if a stage trains on several sides.
- The encoder returns patches only, since the connector needs a square of them. A class token, if the weights have one,
  takes part in attention and is then dropped. Its parameter includes its row of the position table, since the two are
  only ever added.
- The conv stem (arXiv:2106.14881) replaces the single strided convolution; with it, small models learn faster from
  random weights.

    N tiles   P patches   V vision width   H heads   K head width
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from model.config.speed import HEAD
from model.config.stages import VisionConfig

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
"""Mean and standard deviation of each channel in CLIP's normalisation, for pixels of 0 to 1 (arXiv:2103.00020)."""
HALF = (0.5, 0.5, 0.5)
"""Mean and standard deviation in SigLIP's normalisation, for pixels of 0 to 1."""
STATISTICS = {"clip": (CLIP_MEAN, CLIP_STD), "siglip": (HALF, HALF)}
"""`VisionConfig.pixels` to mean and standard deviation of each channel, for pixels of 0 to 1."""


class QuickGelu(nn.Module):
    """x * sigmoid(1.702 x), the activation of CLIP's and DFN's weights."""

    def forward(self, hidden: Tensor) -> Tensor:
        """Apply the activation to each element."""
        return hidden * torch.sigmoid(1.702 * hidden)


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "quick_gelu": QuickGelu, "gelu": nn.GELU, "gelu_tanh": partial(nn.GELU, approximate="tanh"),
}
"""`VisionConfig.activation` to the constructor of the module."""


KERNELS = {"flash": SDPBackend.FLASH_ATTENTION, "cudnn": SDPBackend.CUDNN_ATTENTION}
"""`SpeedConfig.vision_attention` to the kernel that it names."""


class BlockNorm(nn.LayerNorm):
    """LayerNorm in the type of its input, to which it converts its weights.

    Workers that share a model gather the weights of a block in bf16, while the residual stream stays fp32. Where the
    stream is bf16 (`SpeedConfig.vision_stream`), autocast would write fp32 for the next product to round again.
    """

    def forward(self, hidden: Tensor) -> Tensor:
        """Normalise over the last dimension; sums are fp32 in either type."""
        weight, bias = self.weight.to(hidden.dtype), self.bias.to(hidden.dtype)
        if hidden.dtype == torch.float32:
            return functional.layer_norm(hidden, self.normalized_shape, weight, bias, self.eps)
        with torch.autocast(hidden.device.type, enabled=False):
            return functional.layer_norm(hidden, self.normalized_shape, weight, bias, self.eps)


def attend(q_NHPK: Tensor, k_NHPK: Tensor, v_NHPK: Tensor, *, kernel: str = "auto") -> Tensor:
    """Return the attention of all patches of a tile to one another, by a kernel of `SpeedConfig.vision_attention`.

    On a CPU there is one kernel, which `auto`, `flash` and `cudnn` are.

    Raises:
        RuntimeError: the GPU has no such kernel for this width, type or shape.
        ValueError: heads are wider than `padded` fills up to.
    """
    width = q_NHPK.shape[-1]
    if kernel == "padded":
        if width > HEAD:
            raise ValueError(f"heads have {width} channels; allowed with vision_attention padded: <= {HEAD}")
        # Zeros add nothing to the scores, and the mix of zeros is cut off; the scale stays that of the true width.
        q_NHPK, k_NHPK, v_NHPK = (functional.pad(each, (0, HEAD - width)) for each in (q_NHPK, k_NHPK, v_NHPK))
        return functional.scaled_dot_product_attention(q_NHPK, k_NHPK, v_NHPK, scale=width**-0.5)[..., :width]
    if kernel == "auto" or q_NHPK.device.type != "cuda":
        return functional.scaled_dot_product_attention(q_NHPK, k_NHPK, v_NHPK)
    with sdpa_kernel(KERNELS[kernel]):
        return functional.scaled_dot_product_attention(q_NHPK, k_NHPK, v_NHPK)


class Block(nn.Module):
    """A transformer block: pre-norm attention over all patches of a tile, then a pre-norm feed-forward part."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.kernel = "auto"
        self.norm1 = BlockNorm(config.width, eps=config.norm_eps)
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.out = nn.Linear(config.width, config.width)
        self.norm2 = BlockNorm(config.width, eps=config.norm_eps)
        wide = config.mlp_width
        activation = ACTIVATIONS[config.activation]()
        self.mlp = nn.Sequential(nn.Linear(config.width, wide), activation, nn.Linear(wide, config.width))

    def forward(self, patches_NPV: Tensor) -> Tensor:
        """Return patches_NPV after attention and feed-forward."""
        tiles, patches, width = patches_NPV.shape
        # The 3 V channels are q, k and v one after the other, each of them head by head: imported weights rely on it.
        qkv = self.qkv(self.norm1(patches_NPV)).view(tiles, patches, 3, self.heads, width // self.heads)
        q_NHPK, k_NHPK, v_NHPK = qkv.permute(2, 0, 3, 1, 4)
        # No mask: all patches of a tile attend to one another. Tiles are entries of the batch and never mix here.
        mixed_NHPK = attend(q_NHPK, k_NHPK, v_NHPK, kernel=self.kernel)
        patches_NPV = patches_NPV + self.out(mixed_NHPK.transpose(1, 2).reshape(tiles, patches, width))
        return patches_NPV + self.mlp(self.norm2(patches_NPV))


class VisionEncoder(nn.Module):
    """The ViT: stem, positions, blocks and norms, from uint8 tiles to patches_NPV."""

    mean: Tensor
    """Mean of each channel for pixels of 0 to 255, (1, 3, 1, 1)."""
    std: Tensor
    """Standard deviation of each channel for pixels of 0 to 255, (1, 3, 1, 1)."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        self.stream = torch.float32
        """Type of the residual stream; a lower one pays under autocast to it (`SpeedConfig.vision_stream`)."""
        patch = partial(nn.Conv2d, 3, config.width, config.patch, config.patch, bias=config.stem_bias)
        # A convolution whose stride is its side is a linear map of each patch by itself.
        self.stem = _conv_stem(config) if config.stem == "conv" else patch()
        if config.class_token:
            self.class_token = nn.Parameter(torch.empty(1, 1, config.width))
        self.positions = nn.Parameter(torch.empty(1, (config.tile // config.patch) ** 2, config.width))
        self.norm_in = nn.LayerNorm(config.width, eps=config.norm_eps) if config.norm_in else nn.Identity()
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm_out = nn.LayerNorm(config.width, eps=config.norm_eps)
        # Buffers follow the model to its device. They follow from the configuration, so checkpoints leave them out.
        mean, std = self.statistics()
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of each channel for pixels of 0 to 255, each of shape (1, 3, 1, 1)."""
        # Times 255 once here, rather than dividing every pixel by 255.
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) * 255 for values in STATISTICS[self.config.pixels])
        return mean, std

    def initialise(self) -> None:
        """Draw new weights from the current random state (truncated normal, std 0.02); biases are zero."""
        # Convolutions of the stem and norms keep PyTorch's initialisation.
        nn.init.trunc_normal_(self.positions, std=0.02)
        if self.config.class_token:
            nn.init.trunc_normal_(self.class_token, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, tiles_NCXX: Tensor) -> Tensor:
        """Encode uint8 tiles of shape (N, 3, side, side); positions are interpolated if the side is not the table's.

        Returns:
            patches_NPV in row-major order, P = (side / patch) ** 2.

        Raises:
            ValueError: the side is not a multiple of the patch.
        """
        side = tiles_NCXX.shape[-1]
        if side % self.config.patch:
            raise ValueError(f"tiles are {side} px; allowed: a multiple of the patch, {self.config.patch} px")
        # Normalised here: a tile travels to the device as one byte per value, a quarter of fp32.
        pixels = (tiles_NCXX.to(self.mean.dtype) - self.mean) / self.std
        positions_1PV = interpolate_positions(self.positions, side // self.config.patch)
        hidden_NPV = self.stem(pixels).flatten(2).transpose(1, 2) + positions_1PV
        if self.config.class_token:
            # First, as in CLIP's weights; from here on P counts it too.
            hidden_NPV = torch.cat([self.class_token.expand(len(hidden_NPV), -1, -1), hidden_NPV], 1)
        whole = hidden_NPV.dtype
        hidden_NPV = self.norm_in(hidden_NPV)
        if self.stream != torch.float32:
            hidden_NPV = hidden_NPV.to(self.stream)
        for block in self.blocks:
            hidden_NPV = block(hidden_NPV)
        if self.stream != torch.float32:
            hidden_NPV = hidden_NPV.to(whole)
        # Norms act on each position alone, so the class token can be dropped before the last one.
        return self.norm_out(hidden_NPV[:, 1:] if self.config.class_token else hidden_NPV)


def _conv_stem(config: VisionConfig) -> nn.Sequential:
    """Build log2(patch) convolutions of stride 2, whose widths double up to the encoder's, and a 1x1 convolution."""
    steps = int(math.log2(config.patch))
    # Every step halves the side, so patch = 2**steps; the last width is the encoder's.
    layers: list[nn.Module] = []
    channels = 3
    for step in range(steps):
        wider = config.width // 2 ** (steps - 1 - step)
        layers += [nn.Conv2d(channels, wider, 3, stride=2, padding=1), nn.GELU()]
        channels = wider
    return nn.Sequential(*layers, nn.Conv2d(channels, config.width, 1))


def interpolate_positions(positions_1PV: Tensor, side: int) -> Tensor:
    """Interpolate a learned position table to side x side patches (bicubic).

    Args:
        positions_1PV: table of a square of patches in row-major order.
        side: patches per side of the result.

    Raises:
        ValueError: the number of rows of the table is not a square number.
    """
    count = positions_1PV.shape[1]
    old = math.isqrt(count)
    if old * old != count:
        raise ValueError(f"position table has {count} rows, which is no square")
    if old == side:
        return positions_1PV
    # (1, V, old, old): interpolation wants channels first. It runs in fp32, whatever the type of the table.
    square = positions_1PV.reshape(1, old, old, -1).permute(0, 3, 1, 2)
    stretched = functional.interpolate(square.float(), size=(side, side), mode="bicubic", align_corners=False)
    return stretched.permute(0, 2, 3, 1).reshape(1, side * side, -1).to(positions_1PV.dtype)
