"""The shapes of a model (encoder, connector, decoder) and the presets by name. Torch-free.

- MM1.5 does not publish the shapes of its decoders; each preset says where its shape comes from.
- An imported decoder keeps its complete transformers configuration beside the numbers that plans need.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from model.config.connectors import CONNECTORS, ConnectorKind
from model.config.fields import build, require, require_least


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionConfig:
    """A ViT encoder in CLIP's style, with pre-norm and learned positions; its output are the patches only."""

    width: int
    """Channels of the residual stream; a multiple of `heads`."""
    layers: int
    """Number of transformer blocks, >= 1."""
    heads: int
    """Attention heads of a block; they divide `width`."""
    mlp_width: int
    """Hidden channels of the feed-forward part; CLIP uses 4 x width."""
    patch: int
    """Side of a patch in px."""
    tile: int
    """Tile side in px that the position table is for; for other sides it is interpolated."""
    stem: Literal["patch", "conv"] = "patch"
    """`patch`: one strided convolution, as in CLIP. `conv`: 3x3 convolutions of stride 2; small models learn faster."""
    activation: Literal["quick_gelu", "gelu", "gelu_tanh"] = "quick_gelu"
    """Activation of the feed-forward part: `quick_gelu` in CLIP's and DFN's weights, `gelu_tanh` in SigLIP's."""
    class_token: bool = False
    """Whether a class token takes part in attention, as in CLIP; it is not part of the output."""
    stem_bias: bool = False
    """Whether the strided convolution has a bias, as in SigLIP; the conv stem always has one."""
    norm_in: bool = True
    """Whether to normalise before the first block, as in CLIP; SigLIP does not."""
    norm_eps: float = 1e-5
    """Number added to variances: 1e-5 in CLIP, 1e-6 in SigLIP."""
    pixels: Literal["clip", "siglip"] = "clip"
    """Mean and standard deviation that pixels are normalised by: CLIP's, or 0.5 for every channel as in SigLIP."""

    def __post_init__(self) -> None:
        require_least(self, 1, "width", "layers", "heads", "mlp_width", "patch", "tile")
        require(self.width % self.heads == 0, "heads", f"{self.heads} does not divide width {self.width}")
        require(self.tile % self.patch == 0, "tile", f"{self.tile} px is not a multiple of the patch, {self.patch} px")
        power_of_two = self.patch >= 2 and self.patch & (self.patch - 1) == 0
        require(self.stem == "patch" or power_of_two, "stem",
                f"conv needs a patch of 2, 4, 8, ... px; patch is {self.patch}")
        require(0 < self.norm_eps < 1, "norm_eps", f"{self.norm_eps:g}; allowed: above 0, below 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorConfig:
    """The connector, which turns patches into image tokens; their number belongs to the image setting."""

    kind: ConnectorKind = "c_abstractor"
    """Kind of connector: `c_abstractor` as in MM1.5, or one that MM1 (arXiv:2403.09611) compares it with."""
    hidden: int
    """Channels inside the C-Abstractor (1024 in Honeybee, arXiv:2312.06742)."""
    depth: int = 3
    """RegNet blocks of the C-Abstractor before its pooling, and again after it; 0 leaves pooling and projection."""

    def __post_init__(self) -> None:
        require(self.kind in CONNECTORS, "kind", f"{self.kind!r}; allowed: {', '.join(CONNECTORS)}")
        require_least(self, 1, "hidden")
        require_least(self, 0, "depth")


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderConfig:
    """A causal decoder: a Qwen3, dense or MoE, or an imported decoder.

    Qwen3 has RMSNorm, rotary positions, a gated MLP and normalised q and k.
    """

    width: int
    """Channels of the residual stream."""
    layers: int
    """Number of transformer layers, >= 1."""
    heads: int
    """Attention heads of a layer; they divide `width` unless `head_width` is set."""
    kv_heads: int
    """Heads for keys and values, which groups of attention heads share; they divide `heads`."""
    mlp_width: int
    """Hidden channels of the gated MLP, and of each expert."""
    vocabulary: int
    """Rows of the embedding table, image and conversation tokens included."""
    context: int
    """Length of the longest sequence in tokens."""
    rope_theta: float = 500000.0
    """Base of the rotary positions; 5e5 as in the open model that the preset mm1.5-3b follows."""
    tied: bool = True
    """Whether input and output embeddings are one table."""
    experts: int = 0
    """Experts of an MoE layer; 0 makes the decoder dense. MM1.5-MoE has 64."""
    experts_per_token: int = 2
    """Experts that the router chooses for each token, 1 to `experts`; 2 in MM1.5-MoE."""
    moe_every: int = 2
    """Every n-th layer is an MoE layer; 2 in MM1.5-MoE."""
    head_width: int = 0
    """Channels of an attention head; 0 is width / heads."""
    transformers: str = ""
    """JSON of an imported decoder's transformers configuration, its model_type included; empty builds a Qwen3. The
    other fields then repeat the numbers that plans need, and counts that follow from them are estimates."""
    plain_head: bool = True
    """Whether logits are the output table times the last hidden state; false if an imported decoder scales or caps
    them."""

    def __post_init__(self) -> None:
        require_least(self, 1, "width", "layers", "heads", "kv_heads", "mlp_width", "vocabulary", "context",
                      "moe_every")
        require_least(self, 0, "experts", "head_width")
        divides = self.width % self.heads == 0 or self.head_width > 0
        require(divides, "heads", f"{self.heads} does not divide width {self.width}")
        require(not self.experts or 1 <= self.experts_per_token <= self.experts, "experts_per_token",
                f"{self.experts_per_token}; allowed: 1 to experts ({self.experts})")
        require(self.heads % self.kv_heads == 0, "kv_heads", f"{self.kv_heads} does not divide heads {self.heads}")

    @property
    def head(self) -> int:
        """The number of channels of an attention head."""
        return self.head_width or self.width // self.heads


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """The shapes of a whole model. `PRESETS` holds the presets by name."""

    vision: VisionConfig
    """Shape of the encoder."""
    connector: ConnectorConfig
    """Shape of the connector."""
    decoder: DecoderConfig
    """Shape of the decoder."""


SHAPES = "config.json"
"""File of a checkpoint that holds its shapes."""


def read_shapes(checkpoint: Path) -> ModelConfig:
    """Return the shapes of a checkpoint.

    The file holds the shapes only, or has them under `shapes` beside the entries of transformers.

    Args:
        checkpoint: folder of the checkpoint.

    Raises:
        ValueError: the file is missing, is not JSON, or does not hold the shapes of a `ModelConfig`.
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

    Source: MM1.5 names a ViT-H that was trained with CLIP's loss on DFN-5B at 378 px. The shape is that of open_clip's
    ViT-H-14-378-quickgelu (1280 wide, 32 layers, heads of 80 channels, a class token); that the two are the same is an
    inference.
    """
    return VisionConfig(width=1280, layers=32, heads=16, mlp_width=5120, patch=14, tile=378, class_token=True)


def mm15_1b() -> ModelConfig:
    """Return MM1.5-1B.

    Source: the shape is not published. Ours is that of `mm15_3b` with a third less width and depth and the same ratios
    (FFN 2.75 times the width, heads of 128 channels, tied table of 48 k rows): 0.95 B.
    """
    return _mm15(2048, 18, 16, 8, 5632)


def mm15_3b() -> ModelConfig:
    """Return MM1.5-3B.

    Source: the shape is not published. Ours is the nearest open shape of the same company, honeycrisp 3B in
    apple/axlearn: 26 layers, 3072 wide, 24 heads, 8 for keys and values, FFN 8064, 48 k rows, rotary base 5e5,
    normalised q and k. With a tied table it has 2.74 B.
    """
    return _mm15(3072, 26, 24, 8, 8064)


def mm15_7b() -> ModelConfig:
    """Return MM1.5-7B.

    Source: the shape is not published. Ours has the depth and width that open models of this size share (32 layers,
    4096 wide, 32 heads of 128 channels, 8 for keys and values) and an FFN of 3.5 times the width: 7.18 B.
    """
    return _mm15(4096, 32, 32, 8, 14336)


def mm15_30b() -> ModelConfig:
    """Return MM1.5-30B.

    Source: the shape is not published. Ours has 60 layers of width 6656 with heads of 128 channels, as open models of
    about 30 B have, 4 of them for keys and values, and the FFN of `mm15_3b` in proportion: 27.5 B.
    """
    return _mm15(6656, 60, 52, 4, 17920)


def mm15_1b_moe() -> ModelConfig:
    """Return MM1.5-1B-MoE: `mm15_1b` with 64 experts in every second layer, two for each token.

    Source: number, place and routing of the experts are those of MM1.5. Their width is not published; here it is that
    of the MLP that they replace, which makes 20.6 B in all.
    """
    return _mm15(2048, 18, 16, 8, 5632, experts=64)


def mm15_3b_moe() -> ModelConfig:
    """Return MM1.5-3B-MoE: `mm15_3b` with 64 experts in every second layer, two for each token.

    Source: as for `mm15_1b_moe`. It has 63.6 B in all; MM1 gives 64 B for 3B with 64 experts in every second layer.
    """
    return _mm15(3072, 26, 24, 8, 8064, experts=64)


def public_1b() -> ModelConfig:
    """Return the shapes of SigLIP so400m/14 at 378 px with Qwen3-1.7B and a C-Abstractor: 2.2 B, all from open parts.

    Source: the configurations of google/siglip-so400m-patch14-384 (arXiv:2303.15343), whose 384 px hold 27 patches a
    side, and of Qwen/Qwen3-1.7B (arXiv:2505.09388).
    """
    return ModelConfig(
        vision=VisionConfig(width=1152, layers=27, heads=16, mlp_width=4304, patch=14, tile=378, activation="gelu_tanh",
                            stem_bias=True, norm_in=False, norm_eps=1e-6, pixels="siglip"),
        connector=ConnectorConfig(hidden=1024),
        decoder=DecoderConfig(width=2048, layers=28, heads=16, kv_heads=8, mlp_width=6144, vocabulary=151936,
                              context=40960, rope_theta=1e6, head_width=128),
    )


def _mm15(width: int, layers: int, heads: int, kv_heads: int, mlp_width: int, *, experts: int = 0) -> ModelConfig:
    """Return a model with ViT-H/14 at 378 px, a C-Abstractor of 1024 channels and a decoder of the given shape."""
    return ModelConfig(
        vision=vit_h(), connector=ConnectorConfig(hidden=1024),
        decoder=DecoderConfig(width=width, layers=layers, heads=heads, kv_heads=kv_heads, mlp_width=mlp_width,
                              vocabulary=49152, context=4096, experts=experts),
    )


def _small_family(vision: tuple[int, int], decoder: tuple[int, int], *, patch: int, tile: int,
                  hidden: int) -> ModelConfig:
    """Return a model for the workbench; `vision` and `decoder` are (width, layers), heads have 32 or 64 channels."""
    head = 32 if decoder[0] <= 256 else 64
    width, layers = decoder
    return ModelConfig(
        vision=VisionConfig(width=vision[0], layers=vision[1], heads=vision[0] // head, mlp_width=4 * vision[0],
                            patch=patch, tile=tile, stem="conv", activation="gelu"),
        connector=ConnectorConfig(hidden=hidden, depth=1),
        decoder=DecoderConfig(width=width, layers=layers, heads=width // head, kv_heads=width // head,
                              mlp_width=(width * 8 // 3 + 31) // 32 * 32, vocabulary=1024, context=2048,
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
    "public-1b": public_1b(),
}
"""Name of a preset, as scales use it, to its shapes. `tiny`, `tiny-wide` and `small` are ours, for the workbench."""
