"""Frozen configuration of images, mixtures, training stages and evaluation, and the model's shapes by name. Torch-free.

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
from typing import ClassVar, Literal, TypeVar

from model.config.architecture import PRESETS as PRESETS
from model.config.architecture import ConnectorConfig as ConnectorConfig
from model.config.architecture import DecoderConfig as DecoderConfig
from model.config.architecture import ModelConfig as ModelConfig
from model.config.architecture import VisionConfig as VisionConfig
from model.config.catalogue import CatalogueConfig
from model.config.fields import require, require_least
from model.config.scoring import ScoringConfig

MAX_TILES = 64
"""Largest n_max accepted: beyond it one image would take tens of thousands of tokens."""
MAX_SPLIT_IMAGES = 2
"""Splitting applies when a sample has fewer than three images (MM1.5, arXiv:2409.20566)."""


T = TypeVar("T")


def not_in_identity(default: T) -> T:
    """Declare a field that cannot change a result and therefore stays out of the stage's identity."""
    return field(default=default, metadata={"identity": False})


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
        require(1 <= self.n_min <= self.n_max <= MAX_TILES, "n_min",
                 f"n_min {self.n_min} and n_max {self.n_max}; allowed: 1 <= n_min <= n_max <= {MAX_TILES}",
                 "the range is written (n_min, n_max)")
        require(self.tokens >= 1 and math.isqrt(self.tokens) ** 2 == self.tokens, "tokens",
                 f"{self.tokens} is not a perfect square; allowed: 1, 4, 9, ..., 81, 144")
        require(self.tile >= 1, "tile", f"{self.tile} px; allowed: >= 1")


# ---- mixtures ------------------------------------------------------------------------------------------------------


def _require_shares(values: dict[str, float], path: str) -> None:
    for name, value in values.items():
        require(0 <= value <= 1, name, f"{value:g}; allowed: 0 to 1")
    require(abs(math.fsum(values.values()) - 1) < 1e-9, path,
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
            require(0 <= value <= 1000, each.name, f"{value:g}; allowed: 0 to 1000 samples per sample of General")
        require(any(getattr(self, each.name) > 0 for each in dataclasses.fields(self)), "general",
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
                require(0 <= getattr(self, name) <= 1, name, f"{getattr(self, name):g}; allowed: 0 to 1")
            require(self.multi + self.text <= 1 + 1e-9, "multi", f"multi {self.multi:g} + text {self.text:g} exceed 1")
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
    image_settings: tuple[ImageConfig, ...] = ()
    """Settings of which each step takes one, all of them equally often, in an order that follows from the stage's seed; with none, every
    step takes `images`. Either way `images` is what the checkpoint is saved for."""
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
    pack: int = 0
    """Positions of a packed row, which holds several samples that do not see one another; 0 gives each sample a row."""
    pack_images: int = 16
    """Most images of a packed row, before splitting (16 in MM1, arXiv:2403.09611)."""
    freeze_vision: bool = False
    """The encoder keeps its weights; MM1.5 trains all parts in all stages."""
    freeze_connector: bool = False
    freeze_decoder: bool = False
    compile: bool = False
    """Compile the blocks of encoder and decoder: faster steps, after minutes; roundings come in another order, as with `threads`."""
    recompute: bool = not_in_identity(False)
    """Keep a block's input alone and run it again for the gradients: less memory, a third more work, the same numbers."""
    micro_batch: int = not_in_identity(0)
    """Rows of one forward pass (samples, or packed rows), at most; 0 sets no limit."""
    loaders: int = not_in_identity(0)
    """Processes that prepare batches ahead; 0 prepares each batch when it is needed. Worth it where a device is faster than a core."""
    checkpoint_every: int = not_in_identity(100)
    """Steps between checkpoints to resume from."""

    def __post_init__(self) -> None:
        """Refuse what no loop could run."""
        require_least(self, 0, "steps", "weight_decay", "clip", "micro_batch", "pack", "loaders")
        require_least(self, 1, "batch", "max_tokens", "threads", "checkpoint_every", "pack_images")
        require(not self.pack or self.pack >= self.max_tokens, "pack",
                 f"{self.pack} positions hold no sample of max_tokens {self.max_tokens}; allowed: 0, or at least max_tokens")
        require(not (self.freeze_vision and self.freeze_connector and self.freeze_decoder), "freeze_decoder",
                 "all three parts are frozen; allowed: at least one that learns")
        require(0 < self.lr <= 1, "lr", f"{self.lr:g}; allowed: above 0, at most 1")
        require(0 <= self.warmup_steps <= max(self.steps, 0), "warmup_steps",
                 f"{self.warmup_steps}; allowed: 0 to steps ({self.steps})")
        require(0 <= self.final_lr <= 1, "final_lr", f"{self.final_lr:g}; allowed: 0 to 1")


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


StageConfig = PretrainConfig | ContinualConfig | SftConfig
"""A training stage."""


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
    scoring: ScoringConfig = ScoringConfig()
    """What the papers leave open about scores."""

    def __post_init__(self) -> None:
        """Refuse counts below what can be evaluated."""
        require_least(self, 0, "num_items")
        require_least(self, 1, "batch", "threads")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Where samples come from."""

    source: Literal["workbench", "catalogue"] = "workbench"
    """`workbench` is generated; `catalogue` reads the data sets of the operator's catalogue file."""
    seed: int = 0
    """Seed of the generated corpus; not the trial's seed."""
    catalogue: CatalogueConfig | None = field(default=None, metadata={"identity": False})
    """The operator's data sets that a stage may draw from: paths stay out of its identity, their content is in it by fingerprint."""
