"""Frozen configuration of model, images, mixtures, training stages and evaluation. Torch-free.

- Each field says its unit and where it comes from; a value that cannot work is refused with its path and what is allowed.
- A field's default never changes: a field at its default is left out of a stage's identity, so that a new field with
  its old behaviour as default keeps old results valid. A changed default would silently rename the past.
- `identity=False` marks what cannot change a result (micro-batch splits); everything else counts.
- Dotted paths into `TrialConfig` of the orchestrator are built from these names; they are public.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from model.plain import FieldError

MAX_TILES = 64
"""Largest n_max accepted: beyond it one image would take tens of thousands of tokens."""
MAX_SPLIT_IMAGES = 2
"""Splitting applies when a sample has fewer than three images (MM1.5, arXiv:2409.20566)."""


def not_in_identity(default: int) -> int:
    """Declare a field that cannot change a result and therefore stays out of the stage's identity."""
    return field(default=default, metadata={"identity": False})


def _require(condition: bool, path: str, problem: str, hint: str = "") -> None:
    if not condition:
        raise FieldError(path, problem, hint)


def _require_least(config: object, least: int, *names: str) -> None:
    for name in names:
        _require(getattr(config, name) >= least, name, f"{getattr(config, name):g}; allowed: >= {least}")


# ---- the model -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionConfig:
    """A ViT encoder in CLIP style (pre-norm, learned positions, no class token in its output)."""

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
    activation: Literal["quick_gelu", "gelu"] = "quick_gelu"

    def __post_init__(self) -> None:
        """Refuse shapes that do not divide."""
        _require_least(self, 1, "width", "layers", "heads", "mlp_width", "patch", "tile")
        _require(self.width % self.heads == 0, "heads", f"{self.heads} does not divide width {self.width}")
        _require(self.tile % self.patch == 0, "tile", f"{self.tile} px is not a multiple of the patch, {self.patch} px")
        power_of_two = self.patch >= 2 and self.patch & (self.patch - 1) == 0
        _require(self.stem == "patch" or power_of_two, "stem", f"conv needs a patch of 2, 4, 8, ... px; patch is {self.patch}")


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
        _require_least(self, 1, "hidden")
        _require_least(self, 0, "depth")


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderConfig:
    """A causal decoder (RMSNorm, rotary positions, gated MLP, normalised q and k), dense or mixture-of-experts."""

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

    def __post_init__(self) -> None:
        """Refuse shapes that do not divide."""
        _require_least(self, 1, "width", "layers", "heads", "kv_heads", "mlp_width", "vocabulary", "context", "moe_every")
        _require(self.width % self.heads == 0, "heads", f"{self.heads} does not divide width {self.width}")
        _require_least(self, 0, "experts")
        _require(not self.experts or 1 <= self.experts_per_token <= self.experts, "experts_per_token",
                 f"{self.experts_per_token}; allowed: 1 to experts ({self.experts})")
        _require(self.heads % self.kv_heads == 0, "kv_heads", f"{self.kv_heads} does not divide heads {self.heads}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """The whole model. Presets by name are in `PRESETS`."""

    vision: VisionConfig
    connector: ConnectorConfig
    decoder: DecoderConfig


# ---- images --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """How an image becomes tiles and tokens; one for each training stage and one for inference."""

    mode: Literal["single", "static", "dynamic"]
    """`single`: the whole image in one tile. `static`: 2x2 tiles and overview. `dynamic`: the paper's rule."""
    tile: int
    """Side of a tile in px; 378 or 672 in MM1.5."""
    tokens: int
    """Image tokens of each tile; a perfect square (81 or 144 in MM1.5)."""
    n_min: int = 4
    """Fewest tiles of a dynamic grid, without the overview."""
    n_max: int = 9
    """Most tiles of a dynamic grid, without the overview."""
    fit: Literal["longer", "fit"] = "longer"
    """Reading of 'longer side resizing'; the paper's own statistics speak for `longer`."""
    overview: Literal["before", "after"] = "before"
    indicator: Literal["none", "seps", "index"] = "none"
    """Sub-image position text: nothing, separators, or the tuple (k, i, j)."""

    def __post_init__(self) -> None:
        """Refuse ranges and counts that no image could meet."""
        _require(1 <= self.n_min <= self.n_max <= MAX_TILES, "n_min",
                 f"n_min {self.n_min} and n_max {self.n_max}; allowed: 1 <= n_min <= n_max <= {MAX_TILES}",
                 "the range is written (n_min, n_max)")
        _require(self.tokens >= 1 and math.isqrt(self.tokens) ** 2 == self.tokens, "tokens",
                 f"{self.tokens} is not a perfect square; allowed: 1, 4, 9, ..., 81, 144")
        _require(self.tile >= 1, "tile", f"{self.tile} px; allowed: >= 1")


# ---- mixtures ------------------------------------------------------------------------------------------------------


def _require_shares(values: dict[str, float], path: str) -> None:
    for name, value in values.items():
        _require(0 <= value <= 1, name, f"{value:g}; allowed: 0 to 1")
    _require(abs(math.fsum(values.values()) - 1) < 1e-9, path,
             f"weights sum to {math.fsum(values.values()):g} ({', '.join(f'{k} {v:g}' for k, v in values.items())}); allowed: 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alpha:
    """Samples of a single-image category for each sample of General (General : target = 1 : alpha)."""

    general: float = 1.0
    text_rich: float = 0.0
    refer_ground: float = 0.0
    science: float = 0.0
    math: float = 0.0
    code: float = 0.0

    def __post_init__(self) -> None:
        """Refuse negative ratios and an empty mixture."""
        for each in dataclasses.fields(self):
            value = getattr(self, each.name)
            _require(0 <= value <= 1000, each.name, f"{value:g}; allowed: 0 to 1000 samples per sample of General")
        _require(any(getattr(self, each.name) > 0 for each in dataclasses.fields(self)), "general",
                 "every alpha is 0; allowed: at least one category above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupWeights:
    """Shares of single-image, multi-image and text-only samples; they sum to 1."""

    single: float | None = None
    """Left out, it is what multi and text leave: so one weight can be varied by itself."""
    multi: float = 0.0
    text: float = 0.0

    def __post_init__(self) -> None:
        """Refuse shares that do not sum to 1."""
        if self.single is None:
            for name in ("multi", "text"):
                _require(0 <= getattr(self, name) <= 1, name, f"{getattr(self, name):g}; allowed: 0 to 1")
            _require(self.multi + self.text <= 1 + 1e-9, "multi", f"multi {self.multi:g} + text {self.text:g} exceed 1")
        else:
            _require_shares({"single": self.single, "multi": self.multi, "text": self.text}, "single")

    @property
    def single_share(self) -> float:
        """The share of single-image samples, 0 to 1."""
        return max(0.0, 1 - self.multi - self.text) if self.single is None else self.single


@dataclass(frozen=True, slots=True, kw_only=True)
class SftMixture:
    """Supervised fine-tuning: alpha within the single-image share, weights between the three groups."""

    alpha: Alpha = Alpha()
    weights: GroupWeights = GroupWeights()


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainMixture:
    """Pre-training: captioned images, interleaved documents, text; they sum to 1."""

    caption: float
    interleaved: float
    text: float
    text_data: Literal["mm1", "hq"] = "hq"
    """Which text-only corpus; MM1.5 replaced MM1's by a higher-quality one."""

    def __post_init__(self) -> None:
        """Refuse shares that do not sum to 1."""
        _require_shares({"caption": self.caption, "interleaved": self.interleaved, "text": self.text}, "caption")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinualMixture:
    """Continual pre-training: OCR data and two synthetic caption sets; they sum to 1."""

    ocr: float = 1.0
    recap: float = 0.0
    """LLaVA-Recap-3M."""
    sharegpt4v: float = 0.0
    """ShareGPT4V-PT."""

    def __post_init__(self) -> None:
        """Refuse shares that do not sum to 1."""
        _require_shares({"ocr": self.ocr, "recap": self.recap, "sharegpt4v": self.sharegpt4v}, "ocr")


# ---- training stages and evaluation --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """What all training stages share. Learning rate, steps and batch belong to the scale."""

    images: ImageConfig
    steps: int
    """Optimiser steps; 0 leaves the stage out."""
    batch: int
    """Samples of one optimiser step, over all workers."""
    lr: float
    """Peak learning rate."""
    warmup_steps: int = 0
    schedule: Literal["cosine", "constant"] = "cosine"
    """`cosine` decays to `final_lr` x peak at the last step."""
    final_lr: float = 0.0
    """Fraction of the peak that is left at the end, 0 to 1."""
    optimizer: Literal["adafactor", "adamw"] = "adafactor"
    weight_decay: float = 0.0
    clip: float = 1.0
    """Largest gradient norm; 0 clips nothing."""
    max_tokens: int = 4096
    """Longest sequence; a longer sample is an error, never cut."""
    dtype: Literal["fp32", "bf16"] = "fp32"
    """Compute type; master weights are always fp32."""
    threads: int = 1
    """CPU threads of the attempt: they change the order of sums, so they are part of the result."""
    micro_batch: int = not_in_identity(0)
    """Samples of one forward pass; 0 is the whole batch."""
    checkpoint_every: int = not_in_identity(100)
    """Steps between checkpoints to resume from."""

    def __post_init__(self) -> None:
        """Refuse what no loop could run."""
        _require_least(self, 0, "steps", "weight_decay", "clip", "micro_batch")
        _require_least(self, 1, "batch", "max_tokens", "threads", "checkpoint_every")
        _require(0 < self.lr <= 1, "lr", f"{self.lr:g}; allowed: above 0, at most 1")
        _require(0 <= self.warmup_steps <= max(self.steps, 0), "warmup_steps",
                 f"{self.warmup_steps}; allowed: 0 to steps ({self.steps})")
        _require(0 <= self.final_lr <= 1, "final_lr", f"{self.final_lr:g}; allowed: 0 to 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainConfig(TrainConfig):
    """First stage: image-text pairs, interleaved documents and text."""

    kind: ClassVar[str] = "pretrain"
    mixture: PretrainMixture


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinualConfig(TrainConfig):
    """Second stage: text-rich images at higher resolution."""

    kind: ClassVar[str] = "continual"
    mixture: ContinualMixture = ContinualMixture()


@dataclass(frozen=True, slots=True, kw_only=True)
class SftConfig(TrainConfig):
    """Third stage: supervised fine-tuning."""

    kind: ClassVar[str] = "sft"
    mixture: SftMixture = SftMixture()


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateConfig:
    """Evaluation by greedy generation."""

    images: ImageConfig
    """Inference settings; may differ from training's."""
    benchmarks: tuple[str, ...]
    num_items: int = 0
    """Items of each benchmark; 0 is all of them."""
    batch: int = not_in_identity(32)
    """Items generated together."""
    dtype: Literal["fp32", "bf16"] = "fp32"
    threads: int = 1

    def __post_init__(self) -> None:
        """Refuse counts below what can be evaluated."""
        _require_least(self, 0, "num_items")
        _require_least(self, 1, "batch", "threads")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Where samples come from."""

    source: Literal["workbench", "catalogue"] = "workbench"
    """`workbench` is generated; `catalogue` reads the data sets of the operator's catalogue file."""
    seed: int = 0
    """Seed of the generated corpus; not the trial's seed."""


# ---- presets -------------------------------------------------------------------------------------------------------


def _mm15(width: int, layers: int, heads: int, kv_heads: int, mlp_width: int, *, experts: int = 0) -> ModelConfig:
    """Assemble ViT-H/14 at 378 px, a C-Abstractor of 1024 channels and the given decoder."""
    return ModelConfig(
        vision=VisionConfig(width=1280, layers=32, heads=16, mlp_width=5120, patch=14, tile=378),
        connector=ConnectorConfig(hidden=1024),
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
    "tiny": _small_family((128, 3), (128, 3), patch=8, tile=64, hidden=128),
    "tiny-wide": _small_family((192, 4), (192, 4), patch=8, tile=64, hidden=128),
    "small": _small_family((384, 6), (512, 8), patch=8, tile=112, hidden=256),
    "mm1.5-1b": _mm15(2048, 18, 16, 8, 5632),
    "mm1.5-3b": _mm15(3072, 26, 24, 8, 8064),
    "mm1.5-7b": _mm15(4096, 32, 32, 8, 11008),
    "mm1.5-30b": _mm15(6656, 60, 52, 4, 17920),
    "mm1.5-1b-moe": _mm15(2048, 18, 16, 8, 5632, experts=64),
    "mm1.5-3b-moe": _mm15(3072, 26, 24, 8, 8064, experts=64),
}
"""MM1.5 does not publish its decoder shapes; 3b is Apple's open honeycrisp shape, the others are of its kind and size."""
