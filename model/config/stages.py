"""Frozen configuration of images, mixtures, training stages and evaluation, and the model's shapes by name. Torch-free.

- Each field has a docstring with meaning, unit and origin. A value that cannot work is refused with its path and the
  allowed values.
- A field's default never changes. A field at its default is left out of a stage's identity, so a new field whose
  default is the old behaviour keeps old results valid; a changed default would give old results another meaning.
- `identity=False` marks fields that cannot change a result (micro-batch splits); all others are part of the identity.
- Dotted paths into `TrialConfig` of the orchestrator are built from these names, so the names are public.
"""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from model.config.architecture import PRESETS as PRESETS
from model.config.architecture import ConnectorConfig as ConnectorConfig
from model.config.architecture import DecoderConfig as DecoderConfig
from model.config.architecture import ModelConfig as ModelConfig
from model.config.architecture import VisionConfig as VisionConfig
from model.config.benchmark import Benchmark
from model.config.catalogue import CatalogueConfig
from model.config.fields import not_in_identity, require, require_least
from model.config.scoring import ScoringConfig
from model.config.speed import SpeedConfig
from model.config.taxonomy import CATEGORIES

MAX_TILES = 64
"""Largest accepted n_max: beyond it one image would take tens of thousands of tokens."""
MAX_SPLIT_IMAGES = 2
"""Largest number of images of a sample that are split into tiles (MM1.5, arXiv:2409.20566)."""

Orientation = Literal["stored", "exif"]
"""Pixels as they are stored, or rotated as the EXIF data of the file say."""


# ---- images --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """The image setting: how an image becomes tiles and tokens. Each training stage has one, and evaluation has one."""

    mode: Literal["single", "static", "dynamic", "anyres", "internvl", "idefics3"]
    """`single`: the whole image in one tile. `static`: 2x2 tiles and an overview. `dynamic`: MM1.5's rule. `anyres` (LLaVA-NeXT),
    `internvl` and `idefics3`: the rules of other models, for comparison; with `idefics3` the longer side fills as many tiles as the root
    of `n_max`, rounded down."""
    tile: int
    """Side of a tile in px; 378 or 672 in MM1.5."""
    tokens: int
    """Image tokens of each tile; a perfect square (81 or 144 in MM1.5)."""
    n_min: int = 4
    """Fewest tiles of a grid that depends on the image, without the overview; `idefics3` has no such bound."""
    n_max: int = 9
    """Most tiles of a grid that depends on the image, without the overview."""
    fit: Literal["longer", "fit"] = "longer"
    """Reading of MM1.5's 'longer side resizing'; the paper's statistics agree with `longer`."""
    overview: Literal["before", "after"] = "before"
    """Place of the overview in the sequence: before or after the tiles of the grid."""
    indicator: Literal["none", "seps", "index"] = "none"
    """Sub-image position text: nothing, separators, or the tuple (k, i, j)."""
    orientation: Orientation = "stored"
    """`stored` keeps pixels as stored, which boxes may refer to; `exif` applies the EXIF rotation of photographs."""

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
    shares = ", ".join(f"{name} {value:g}" for name, value in values.items())
    require(abs(math.fsum(values.values()) - 1) < 1e-9, path,
            f"weights sum to {math.fsum(values.values()):g} ({shares}); allowed: 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """A number of something named; a tuple of them is written as a mapping, NAME: NUMBER."""

    is_by_name: ClassVar[bool] = True
    name: str
    """What is weighed."""
    value: float
    """0 to 1000."""

    def __post_init__(self) -> None:
        require(0 <= self.value <= 1000, "value", f"{self.value:g}; allowed: 0 to 1000")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alpha:
    """Samples of each single-image category per sample of General (General : target = 1 : alpha), 0 to 1000."""

    general: float = 1.0
    """Weight of General itself; the ratios of MM1.5 are relative to 1."""
    text_rich: float = 0.0
    """Text-rich samples (documents, charts, tables) per sample of General."""
    refer_ground: float = 0.0
    """Refer-and-ground samples (boxes in questions or answers) per sample of General."""
    science: float = 0.0
    """Science samples per sample of General."""
    math: float = 0.0
    """Math samples per sample of General."""
    code: float = 0.0
    """Code samples per sample of General."""
    own: tuple[Weight, ...] = ()
    """Samples of a category of the operator's own, which the catalogue declares, per sample of General."""

    def __post_init__(self) -> None:
        for name, value in self.by_category.items():
            require(0 <= value <= 1000, name, f"{value:g}; allowed: 0 to 1000 samples per sample of General")
        require(any(self.by_category.values()), "general", "every alpha is 0; allowed: at least one category above 0")
        for each in self.own:
            require(each.name not in CATEGORIES, "own", f"{each.name!r} is a category of the paper", f"it is alpha.{each.name}")

    @property
    def by_category(self) -> dict[str, float]:
        """The alpha of each category, own ones last."""
        paper = {each.name: getattr(self, each.name) for each in dataclasses.fields(self) if each.name != "own"}
        return paper | {each.name: each.value for each in self.own}


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupWeights:
    """Shares of single-image, multi-image and text-only samples; they sum to 1."""

    single: float | None = None
    """Share of single-image samples, 0 to 1; empty is the rest beside multi and text, so that one can vary alone."""
    multi: float = 0.0
    """Share of multi-image samples, 0 to 1."""
    text: float = 0.0
    """Share of text-only samples, 0 to 1."""

    def __post_init__(self) -> None:
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
    """The mixture of supervised fine-tuning: alpha within the single-image share, weights between the three groups."""

    alpha: Alpha = Alpha()
    """Ratios of the single-image categories."""
    weights: GroupWeights = GroupWeights()
    """Shares of single-image, multi-image and text-only samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainMixture:
    """The mixture of pre-training: captioned images, interleaved documents and text; the shares sum to 1."""

    caption: float
    """Share of image-text pairs, 0 to 1."""
    interleaved: float
    """Share of interleaved image-text documents, 0 to 1."""
    text: float
    """Share of text-only documents, 0 to 1."""
    text_data: Literal["mm1", "hq"] = "hq"
    """Corpus of the text: that of MM1, or the one of higher quality with which MM1.5 replaced it."""

    def __post_init__(self) -> None:
        _require_shares({"caption": self.caption, "interleaved": self.interleaved, "text": self.text}, "caption")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinualMixture:
    """The mixture of continual pre-training: OCR data and two synthetic caption sets; the shares sum to 1."""

    ocr: float = 1.0
    """Share of OCR data (text-rich images), 0 to 1."""
    recap: float = 0.0
    """Share of LLaVA-Recap-3M, 0 to 1."""
    sharegpt4v: float = 0.0
    """Share of ShareGPT4V-PT, 0 to 1."""

    def __post_init__(self) -> None:
        _require_shares({"ocr": self.ocr, "recap": self.recap, "sharegpt4v": self.sharegpt4v}, "ocr")


# ---- training stages and evaluation --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """The fields that all training stages have. A scale sets learning rate, steps and batch."""

    images: ImageConfig
    """Image setting of the stage."""
    image_settings: tuple[ImageConfig, ...] = ()
    """Image settings from which each step draws one, all equally often, in an order that follows from the stage's seed;
    if empty, every step uses `images`. Either way the checkpoint is saved for `images`."""
    steps: int
    """Optimizer steps; 0 leaves the stage out."""
    batch: int
    """Samples of one optimizer step, over all workers."""
    lr: float
    """Peak learning rate, above 0, at most 1."""
    warmup_steps: int = 0
    """Optimizer steps in which the learning rate rises linearly to its peak, 0 to `steps`."""
    schedule: Literal["cosine", "constant", "wsd"] = "cosine"
    """Learning rate after the warm-up: `cosine` decays to `final_lr` x peak over all steps, `constant` stays at the peak,
    `wsd` (warm-up, stable, decay) stays at the peak and falls linearly to `final_lr` x peak in the last `decay_steps`."""
    decay_steps: int = 0
    """Last optimizer steps, in which the rate of `wsd` falls; 0 to `steps` without the warm-up."""
    branch_every: int = 0
    """Optimizer steps from one branching point of a `wsd` stage to the next, 0 for none. Arms that are equal up to a
    branching point train what comes before it once; `ablate plan` makes a stage of each such part."""
    begin: int = 0
    """First optimizer step, at a branching point; the stage goes on from the state that its parent kept there. It is set
    by the plan."""
    late_from: int = 0
    """First optimizer step of `late_mixture`, a branching point; 0 without one. Arms that differ in their late mixture
    train what comes before once."""
    final_lr: float = 0.0
    """Learning rate at the end of the schedules `cosine` and `wsd`, as a fraction of the peak, 0 to 1."""
    optimizer: Literal["adafactor", "adamw"] = "adafactor"
    """`adafactor`, which MM1.5 names, or `adamw` with betas 0.9 and 0.95."""
    weight_decay: float = 0.0
    """Decoupled weight decay, >= 0: a step shrinks each weight by this fraction times the learning rate."""
    decay: Literal["all", "matrices"] = "all"
    """Weights that `weight_decay` shrinks: all of them, or `matrices` alone, without norms, biases and position
    tables."""
    lr_vision: float = 1.0
    """Learning rate of the encoder as a multiple of `lr`, above 0, at most 100; the schedule is the same."""
    lr_connector: float = 1.0
    """Learning rate of the connector as a multiple of `lr`, above 0, at most 100; the schedule is the same."""
    lr_decoder: float = 1.0
    """Learning rate of the decoder as a multiple of `lr`, above 0, at most 100; the schedule is the same."""
    clip: float = 1.0
    """Gradient norm, over all weights, to which larger gradients are scaled down; 0 sets no limit."""
    max_tokens: int = 4096
    """Length of the longest accepted sequence, in tokens; a longer sample is an error and never cut."""
    dtype: Literal["fp32", "bf16"] = "fp32"
    """Type of computation; master weights are always fp32."""
    threads: int = 1
    """CPU threads of an attempt. They change the order of sums, so they are part of the identity."""
    data_sets: tuple[Weight, ...] = ()
    """Samples of each data set, named CATEGORY/NAME, beside the others of its category, which have 1 where they are not named; a
    category of which none is named is drawn by the sizes of its data sets."""
    pack: int = 0
    """Positions of a packed row, which holds samples that do not attend to one another; 0 gives each sample a row."""
    pack_images: int = 16
    """Largest number of images of a packed row, before splitting (16 in MM1, arXiv:2403.09611)."""
    freeze_vision: bool = False
    """Whether the encoder keeps its weights; MM1.5 trains all parts in all stages."""
    freeze_connector: bool = False
    """Whether the connector keeps its weights; MM1.5 trains all parts in all stages."""
    freeze_decoder: bool = False
    """Whether the decoder keeps its weights; MM1.5 trains all parts in all stages."""
    seed_varies: Literal["both", "data", "init"] = "both"
    """What the stage's seed changes: `data` is the draw and the order of samples, `init` the random initial weights;
    what it does not change is as with seed 0. A study sets it by `seeds: {vary: ...}`."""
    compile: bool = False
    """Whether to compile the blocks of encoder and decoder: faster steps after minutes, roundings in another order."""
    recompute: bool = not_in_identity(False)
    """Whether to recompute blocks in the backward pass: less memory, a third more work, the same numbers."""
    micro_batch: int = not_in_identity(0)
    """Largest number of rows (samples, or packed rows) of one forward pass; 0 sets no limit."""
    pass_tokens: int = not_in_identity(0)
    """Largest number of positions of one forward pass, padding included; a longer sample makes a pass of its own. 0 sets
    no limit. Packed rows have `pack` and `micro_batch` instead."""
    pass_tiles: int = not_in_identity(0)
    """Largest number of tiles of one forward pass; a sample of more tiles makes a pass of its own. 0 sets no limit."""
    round_length: int = 0
    """Multiple of positions to which each pass is padded, so that a GPU sees few lengths and plans or compiles no kernel
    anew at each step; 64 or 128. 0 pads to the longest sample."""
    sync_once: bool = not_in_identity(False)
    """Whether several workers sum their gradients after the last pass of a step only, and not after each: less traffic, but
    each worker holds the gradients of the whole model (4 bytes a weight)."""
    speed: SpeedConfig = SpeedConfig()
    """Levers for a GPU that are off by default."""
    loaders: int = not_in_identity(0)
    """Processes that prepare batches ahead, for devices that outpace a CPU core; 0 prepares them when needed."""
    checkpoint_every: int = not_in_identity(100)
    """Optimizer steps between checkpoints to resume from."""

    def __post_init__(self) -> None:
        require_least(self, 0, "steps", "weight_decay", "clip", "micro_batch", "pack", "loaders", "pass_tokens", "pass_tiles",
                      "round_length")
        require_least(self, 1, "batch", "max_tokens", "threads", "checkpoint_every", "pack_images")
        require(not self.pack or self.pack >= self.max_tokens, "pack",
                f"{self.pack} positions hold no sample of max_tokens {self.max_tokens}; "
                "allowed: 0, or at least max_tokens")
        require(not (self.freeze_vision and self.freeze_connector and self.freeze_decoder), "freeze_decoder",
                "all three parts are frozen; allowed: at least one that learns")
        require(0 < self.lr <= 1, "lr", f"{self.lr:g}; allowed: above 0, at most 1")
        for name in ("lr_vision", "lr_connector", "lr_decoder"):
            value = getattr(self, name)
            require(0 < value <= 100, name, f"{value:g}; allowed: above 0, at most 100, as a multiple of lr",
                    f"{name.replace('lr_', 'freeze_')}: true keeps the weights")
        require(0 <= self.warmup_steps <= max(self.steps, 0), "warmup_steps",
                f"{self.warmup_steps}; allowed: 0 to steps ({self.steps})")
        require(0 <= self.final_lr <= 1, "final_lr", f"{self.final_lr:g}; allowed: 0 to 1")
        self._require_branches()
        self._require_levers()

    def _require_levers(self) -> None:
        speed = self.speed
        for name in ("compile_connector", "cuda_graphs"):
            require(self.compile or not getattr(speed, name), f"speed.{name}", "true; allowed without compile: false")
        for name, value in (("cast_once", True), ("vision_stream", "bf16")):
            require(self.dtype == "bf16" or getattr(speed, name) != value, f"speed.{name}",
                    f"{value!r}; allowed with dtype {self.dtype}: {'fp32' if name == 'vision_stream' else False}")
        one_pass = not (self.micro_batch or self.pass_tokens or self.pass_tiles)
        require(one_pass or not speed.cuda_graphs, "speed.cuda_graphs",
                "true; allowed with micro_batch, pass_tokens or pass_tiles: false",
                "gradients of a first pass would be overwritten")
        require(not (self.recompute and speed.activations_gib), "speed.activations_gib",
                f"{speed.activations_gib:g}; allowed with recompute: 0, since it recomputes all blocks")

    def _require_branches(self) -> None:
        for name in ("decay_steps", "branch_every", "begin"):
            value = getattr(self, name)
            require(not value or self.schedule == "wsd", name, f"{value}; allowed with schedule {self.schedule}: 0",
                    "schedule: wsd has a decay and branching points")
        most = max(0, self.steps - self.warmup_steps)
        require(0 <= self.decay_steps <= most, "decay_steps",
                f"{self.decay_steps}; allowed: 0 to steps - warmup_steps ({most})")
        require_least(self, 0, "branch_every")
        fits = self.begin == 0 or (0 < self.begin <= self.steps and self.branch_every and not self.begin % self.branch_every)
        require(bool(fits), "begin", f"{self.begin}; allowed: 0, or a multiple of branch_every up to steps")
        self._require_late()

    def _require_late(self) -> None:
        if getattr(self, "late_mixture", None) is None:
            require(not self.late_from, "late_from", f"{self.late_from}; allowed without late_mixture: 0")
            return
        first, last = self.warmup_steps, min(self.steps - self.decay_steps, self.steps - 1)
        fits = self.branch_every and not self.late_from % self.branch_every and max(1, first) <= self.late_from <= last
        require(bool(fits), "late_from", f"{self.late_from}; allowed with late_mixture: a branching point, which is a "
                f"multiple of branch_every ({self.branch_every}) from {first} to {last}",
                "schedule: wsd and branch_every make branching points")

    @property
    def is_late(self) -> bool:
        """Whether it draws from its late mixture alone, as a part of a stage that begins when that holds."""
        return bool(self.late_from) and self.begin >= self.late_from

    @property
    def keeps_state(self) -> bool:
        """Whether the stage ends at a branching point and keeps what other stages need to go on from there."""
        return bool(self.branch_every) and not self.decay_steps and self.steps % self.branch_every == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainConfig(TrainConfig):
    """The first stage: pre-training on image-text pairs, interleaved documents and text."""

    kind: ClassVar[str] = "pretrain"
    mixture: PretrainMixture
    """Shares of the data sources."""
    late_mixture: PretrainMixture | None = None
    """The mixture from step `late_from` on, in place of `mixture`; it is whole, and takes nothing from that one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinualConfig(TrainConfig):
    """The second stage: continual pre-training on text-rich images at higher resolution."""

    kind: ClassVar[str] = "continual"
    mixture: ContinualMixture = ContinualMixture()
    """Shares of the data sources."""
    late_mixture: ContinualMixture | None = None
    """The mixture from step `late_from` on, in place of `mixture`; it is whole, and takes nothing from that one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SftConfig(TrainConfig):
    """The third stage: supervised fine-tuning."""

    kind: ClassVar[str] = "sft"
    mixture: SftMixture = SftMixture()
    """Ratios and shares of the data categories."""
    late_mixture: SftMixture | None = None
    """The mixture from step `late_from` on, in place of `mixture`; it is whole, and takes nothing from that one."""


StageConfig = PretrainConfig | ContinualConfig | SftConfig
"""The configuration of any training stage."""
TrainingKind = Literal["pretrain", "continual", "sft"]
TRAINING: dict[str, type[StageConfig]] = {each.kind: each for each in (PretrainConfig, ContinualConfig, SftConfig)}
"""Kind of training stage to its configuration, in the order of a recipe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateConfig:
    """Evaluation by greedy generation."""

    images: ImageConfig
    """Image setting of inference; it may differ from that of training."""
    benchmarks: tuple[str, ...]
    """Names of the benchmarks."""
    at_branches: tuple[str, ...] = ()
    """Those of them that are also asked at the branching points of training; a study names them under `evaluate:`."""
    num_items: int = 0
    """Number of items of each benchmark; 0 takes all of them."""
    batch: int = not_in_identity(32)
    """Number of items that are generated together."""
    share_images: bool = not_in_identity(False)
    """Whether the image tokens of a picture are computed once for all items on it (18 in POPE, 32 in GQA); like
    `batch` it changes how many tiles are encoded together."""
    compile: bool = False
    """Whether tokens after the first come from a compiled pass over a cache of fixed size: fewer launches after
    minutes, roundings in another order."""
    dtype: Literal["fp32", "bf16"] = "fp32"
    """Type of computation; weights stay fp32."""
    threads: int = 1
    """CPU threads of an attempt. They change the order of sums, so they are part of the identity."""
    scoring: ScoringConfig = ScoringConfig()
    """Choices of scoring that the papers leave open."""
    blind: bool = False
    """Whether to ask without the pictures: what is then scored needs no picture. Text-only benchmarks stay as they
    are."""
    model: str = ""
    """A whole model of another family, `operator:NAME`, that answers by its own processor in place of a trained one; its arm trains
    nothing."""
    own: tuple[Benchmark, ...] = ()
    """What the operator's catalogue declares of those `benchmarks` that are its own; a study cannot set it."""

    def __post_init__(self) -> None:
        require_least(self, 0, "num_items")
        require(not self.model or re.fullmatch(r"operator:[a-z0-9][a-z0-9._-]{0,62}", self.model) is not None, "model",
                f"{self.model!r}; allowed: operator:NAME", "`python -m model.weights --whole DIR --out .ablate/checkpoints/NAME` makes one")
        require_least(self, 1, "batch", "threads")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """The source of training samples."""

    source: Literal["workbench", "catalogue"] = "workbench"
    """`workbench` generates samples; `catalogue` reads the data sets of the operator's catalogue file."""
    seed: int = 0
    """Seed of the generated corpus; it is not the trial's seed."""
    catalogue: CatalogueConfig | None = field(default=None, metadata={"identity": False})
    """The operator's data sets. Their paths are not part of a stage's identity; a fingerprint of their content is."""
