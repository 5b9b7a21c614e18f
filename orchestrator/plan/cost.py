"""What stages cost before they run: FLOPs and tokens an image, by the formulas of `model.cost.flops`. Torch-free.

A corpus's own image sizes and text lengths are not known to a plan: typical ones stand in, the same for all arms, so
that ratios between arms are right before absolute numbers are.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from model.config.fields import build
from model.config.stages import TRAINING, EvaluateConfig, ImageConfig, ModelConfig, TrainConfig
from model.cost.flops import SampleCost, sample_cost
from model.cost.memory import checkpoint_bytes, training_bytes
from model.evaluation.benchmarks.registry import BENCHMARKS
from orchestrator.study.metric_names import TOKENS

TEXT_TOKENS = 150
"""Questions and answers of a sample, as in the cost model of the reference sheet."""
ANSWER_TOKENS = 75
"""The half of them that the loss is taken on."""


def training_flops(model: ModelConfig, config: TrainConfig) -> float:
    """Return the FLOPs of a training stage."""
    return config.steps * config.batch * _cost(model, config.images, TEXT_TOKENS, ANSWER_TOKENS).flops.training(config)


def training_memory(model: ModelConfig, config: TrainConfig, *, workers: int) -> float:
    """Return the bytes that each worker of a training stage needs at most, for samples of typical sizes."""
    return training_bytes(model, config, _cost(model, config.images, TEXT_TOKENS, ANSWER_TOKENS), workers=workers)


def evaluation_flops(model: ModelConfig, images: ImageConfig, benchmark: str, limit: int) -> float:
    """Return the FLOPs of evaluating one benchmark, every answer being as long as it may be."""
    length = BENCHMARKS[benchmark].max_new_tokens
    return num_items(benchmark, limit) * _cost(model, images, TEXT_TOKENS - ANSWER_TOKENS + length, length).flops.total


def num_items(benchmark: str, limit: int) -> int:
    """Return the items evaluated: `limit` of them, or all for 0."""
    known = BENCHMARKS[benchmark].num_items
    return min(limit, known) if limit and known else limit or known


def tokens_per_image(model: ModelConfig, images: ImageConfig) -> float:
    """Return the mean image tokens of an image of typical size."""
    return _cost(model, images, TEXT_TOKENS, ANSWER_TOKENS).image_tokens


def published_bytes(spec: Mapping[str, Any]) -> int:
    """Return the size of the weights that a stage publishes, 0 for one that trains nothing.

    Args:
        spec: of the stage, as plain values.
    """
    return checkpoint_bytes(build(ModelConfig, spec["model"], "model")) if spec.get("kind") in TRAINING and "model" in spec else 0


def metrics_of_config(config: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics that a trial's configuration says before anything runs, by name.

    Image tokens are those of an image of typical size, as `ablate plan` shows them; what a benchmark's own images take is
    measured later, and decides the verdict.

    Args:
        config: of the trial, as plain values.
    """
    model, evaluate = build(ModelConfig, config["model"]), build(EvaluateConfig, config["evaluate"])
    return {TOKENS: tokens_per_image(model, evaluate.images)}


@lru_cache(maxsize=4096)
def _cost(model: ModelConfig, images: ImageConfig, text_tokens: int, predicted: int) -> SampleCost:
    return sample_cost(model, images, text_tokens=text_tokens, predicted=predicted)
