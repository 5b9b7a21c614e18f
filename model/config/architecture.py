"""The model's shapes: encoder, connector, decoder, and the presets by name. Torch-free.

- MM1.5 hides the shapes of its decoders; each preset says where ours comes from.
- A decoder that was imported keeps its configuration in transformers' own words beside the numbers that plans need.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from model.config.fields import build, require, require_least


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionConfig:
    """A ViT encoder in CLIP style: pre-norm, learned positions, patches alone in its output."""

    width: int
    """Channels of the residual stream."""
    layers: int
    heads: int
    mlp_width: int
    """Hidden channels of the feed-forward part; CLIP uses 4 x width."""
    patch: int
    """Side of a patch in px."""
    tile: int
    """Side in px that the position table was made for; other sides interpolate it."""
    stem: Literal["patch", "conv"] = "patch"
    """`patch`: one strided convolution, as CLIP. `conv`: 3x3 convolutions of stride 2, which learn sooner when small."""
    activation: Literal["quick_gelu", "gelu", "gelu_tanh"] = "quick_gelu"
    """`quick_gelu` in CLIP's and DFN's weights, `gelu_tanh` in SigLIP's."""
    class_token: bool = False
    """A token that attends and is attended to, as in CLIP; it does not leave the encoder."""
    stem_bias: bool = False
    """The strided convolution has a bias, as in SigLIP; the conv stem always has."""
    norm_in: bool = True
    """Normalise before the first block, as CLIP; SigLIP does not."""
    norm_eps: float = 1e-5
    """Added to variances: 1e-5 in CLIP, 1e-6 in SigLIP."""
    pixels: Literal["clip", "siglip"] = "clip"
    """Mean and deviation that pixels are normalised by: CLIP's statistics, or one half for every channel."""

    def __post_init__(self) -> None:
        """Refuse shapes that do not divide."""
        require_least(self, 1, "width", "layers", "heads", "mlp_width", "patch", "tile")
        require(self.width % self.heads == 0, "heads", f"{self.heads} does not divide width {self.width}")
        require(self.tile % self.patch == 0, "tile", f"{self.tile} px is not a multiple of the patch, {self.patch} px")
        power_of_two = self.patch >= 2 and self.patch & (self.patch - 1) == 0
        require(self.stem == "patch" or power_of_two, "stem", f"conv needs a patch of 2, 4, 8, ... px; patch is {self.patch}")
        require(0 < self.norm_eps < 1, "norm_eps", f"{self.norm_eps:g}; allowed: above 0, below 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorConfig:
    """From patch tokens to the decoder's width; the number of tokens belongs to the image settings."""

    kind: Literal["c_abstractor", "linear", "mlp", "average_pool"] = "c_abstractor"
    hidden: int
    """Channels inside the C-Abstractor (1024 in Honeybee, arXiv:2312.06742)."""
    depth: int = 3
    """RegNet blocks before and again after the pooling; 0 leaves pooling and read-out."""

    def __post_init__(self) -> None:
        """Refuse widths and depths below what can be built."""
        require_least(self, 1, "hidden")
        require_least(self, 0, "depth")


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderConfig:
    """A causal decoder: ours (RMSNorm, rotary positions, gated MLP, normalised q and k), dense or MoE, or an imported one."""

    width: int
    layers: int
    heads: int
    kv_heads: int
    mlp_width: int
    vocabulary: int
    """Rows of the embedding table, image and conversation tokens included."""
    context: int
    """Longest sequence in tokens."""
    rope_theta: float = 500000.0
    tied: bool = True
    """Input and output embeddings are one table."""
    experts: int = 0
    """Experts of an MoE layer; 0 is dense. MM1.5-MoE has 64."""
    experts_per_token: int = 2
    moe_every: int = 2
    """An MoE layer replaces the MLP in every n-th layer."""
    head_width: int = 0
    """Channels of an attention head; 0 is width / heads."""
    transformers: str = ""
    """Configuration of an imported decoder as transformers' JSON, its model_type included; empty builds ours. The other
    fields then repeat what plans need: their counts are estimates."""
    plain_head: bool = True
    """Logits are the output table times the last hidden state; false if an imported decoder scales or caps them."""

    def __post_init__(self) -> None:
        """Refuse shapes that do not divide."""
        require_least(self, 1, "width", "layers", "heads", "kv_heads", "mlp_width", "vocabulary", "context", "moe_every")
        require_least(self, 0, "experts", "head_width")
        divides = self.width % self.heads == 0 or self.head_width > 0
        require(divides, "heads", f"{self.heads} does not divide width {self.width}")
        require(not self.experts or 1 <= self.experts_per_token <= self.experts, "experts_per_token",
                f"{self.experts_per_token}; allowed: 1 to experts ({self.experts})")
        require(self.heads % self.kv_heads == 0, "kv_heads", f"{self.kv_heads} does not divide heads {self.heads}")

    @property
    def head(self) -> int:
        """Channels of an attention head."""
        return self.head_width or self.width // self.heads


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """The whole model. Presets by name are in `PRESETS`."""

    vision: VisionConfig
    connector: ConnectorConfig
    decoder: DecoderConfig


SHAPES = "config.json"
"""File of a checkpoint that holds its shapes."""


def read_shapes(checkpoint: Path) -> ModelConfig:
    """Return the shapes of a checkpoint, from its folder.

    They are the file's content, or stand under `shapes` beside the entries of transformers.

    Raises:
        ValueError: the file is missing, is not JSON, or holds no shapes of ours.
    """
    path = checkpoint / SHAPES
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read ({type(error).__name__}: {error})") from error
    return build(ModelConfig, plain.get("shapes", plain) if isinstance(plain, dict) else plain, "model")


# ---- presets -------------------------------------------------------------------------------------------------------


def vit_h() -> VisionConfig:
    """Return ViT-H/14 at 378 px.

    Source: MM1.5 names a ViT-H of CLIP's loss on DFN-5B at 378 px. Its open twin is open_clip's ViT-H-14-378-quickgelu:
    1280 wide, 32 layers, heads of 80 channels, a class token; that they are twins is an inference.
    """
    return VisionConfig(width=1280, layers=32, heads=16, mlp_width=5120, patch=14, tile=378, class_token=True)


def mm15_1b() -> ModelConfig:
    """Return MM1.5-1B.

    Source: the paper hides the shape. Ours is that of `mm15_3b` with a third less width and depth and the same ratios
    (FFN 2.75 times the width, heads of 128 channels, tied table of 48 k rows): 0.95 B.
    """
    return _mm15(2048, 18, 16, 8, 5632)


def mm15_3b() -> ModelConfig:
    """Return MM1.5-3B.

    Source: the paper hides the shape. This is the nearest open one of the same authors' house: honeycrisp 3B of
    apple/axlearn, 26 layers, 3072 wide, 24 heads, 8 for keys and values, FFN 8064, 48 k rows, rotary base 5e5,
    normalised q and k. With a tied table it has 2.74 B.
    """
    return _mm15(3072, 26, 24, 8, 8064)


def mm15_7b() -> ModelConfig:
    """Return MM1.5-7B.

    Source: the paper hides the shape. Ours has the depth and width that open models of this size share (32 layers,
    4096 wide, 32 heads of 128 channels, 8 for keys and values) and an FFN of 3.5 times the width: 7.18 B.
    """
    return _mm15(4096, 32, 32, 8, 14336)


def mm15_30b() -> ModelConfig:
    """Return MM1.5-30B.

    Source: the paper hides the shape. Ours has 60 layers of width 6656 with heads of 128 channels, as open models of
    about 30 B have, 4 of them for keys and values, and the FFN of `mm15_3b` in proportion: 27.5 B.
    """
    return _mm15(6656, 60, 52, 4, 17920)


def mm15_1b_moe() -> ModelConfig:
    """Return MM1.5-1B-MoE: `mm15_1b` with 64 experts in every second layer, two for each token.

    Source: number, place and routing of the experts are MM1.5's; their width is not published and is that of the MLP
    that they replace, which makes 20.6 B in all.
    """
    return _mm15(2048, 18, 16, 8, 5632, experts=64)


def mm15_3b_moe() -> ModelConfig:
    """Return MM1.5-3B-MoE: `mm15_3b` with 64 experts in every second layer, two for each token.

    Source: as `mm15_1b_moe`. It has 63.6 B in all, beside the 64 B that MM1 gives for 3B with 64 experts every 2 layers.
    """
    return _mm15(3072, 26, 24, 8, 8064, experts=64)


def _mm15(width: int, layers: int, heads: int, kv_heads: int, mlp_width: int, *, experts: int = 0) -> ModelConfig:
    """Assemble ViT-H/14 at 378 px, a C-Abstractor of 1024 channels and the given decoder."""
    return ModelConfig(
        vision=vit_h(), connector=ConnectorConfig(hidden=1024),
        decoder=DecoderConfig(width=width, layers=layers, heads=heads, kv_heads=kv_heads, mlp_width=mlp_width,
                              vocabulary=49152, context=4096, experts=experts),
    )


def _small_family(vision: tuple[int, int], decoder: tuple[int, int], *, patch: int, tile: int, hidden: int) -> ModelConfig:
    """Assemble a model for the workbench: (width, layers) of encoder and decoder, heads of 32 or 64 channels."""
    head = 32 if decoder[0] <= 256 else 64
    return ModelConfig(
        vision=VisionConfig(width=vision[0], layers=vision[1], heads=vision[0] // head, mlp_width=4 * vision[0],
                            patch=patch, tile=tile, stem="conv", activation="gelu"),
        connector=ConnectorConfig(hidden=hidden, depth=1),
        decoder=DecoderConfig(width=decoder[0], layers=decoder[1], heads=decoder[0] // head, kv_heads=decoder[0] // head,
                              mlp_width=(decoder[0] * 8 // 3 + 31) // 32 * 32, vocabulary=1024, context=2048,
                              rope_theta=10000.0),
    )


PRESETS: dict[str, ModelConfig] = {
    "tiny-narrow": _small_family((96, 2), (96, 2), patch=8, tile=64, hidden=96),
    "tiny": _small_family((128, 3), (128, 3), patch=8, tile=64, hidden=128),
    "tiny-wide": _small_family((192, 4), (192, 4), patch=8, tile=64, hidden=128),
    "small": _small_family((384, 6), (512, 8), patch=8, tile=112, hidden=256),
    "mm1.5-1b": mm15_1b(),
    "mm1.5-3b": mm15_3b(),
    "mm1.5-7b": mm15_7b(),
    "mm1.5-30b": mm15_30b(),
    "mm1.5-1b-moe": mm15_1b_moe(),
    "mm1.5-3b-moe": mm15_3b_moe(),
}
"""Shapes by the name that a scale gives; those of the workbench are ours."""
