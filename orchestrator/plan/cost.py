"""Compute the cost of stages before they run: FLOPs, memory, and tokens per image, by the formulas of `model.cost`.

A plan does not know the image sizes and text lengths of the data. It assumes typical ones, the same for all arms, so
that ratios between arms are accurate even where absolute numbers are not. This module does not import torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from model.config.benchmark import Benchmark
from model.config.fields import build
from model.config.stages import TRAINING, EvaluateConfig, ImageConfig, ModelConfig, TrainConfig
from model.cost.flops import SampleCost, at_tile, forward_flops, sample_cost
from model.cost.memory import checkpoint_bytes, training_bytes
from orchestrator.study.documents import Resources
from orchestrator.study.metric_names import TOKENS

TEXT_TOKENS = 150
"""The assumed text tokens of a sample, questions and answers together, as in the cost model of the reference sheet."""
ANSWER_TOKENS = 75
"""The half of the text tokens that are answers; only they carry loss."""


def training_flops(model: ModelConfig, config: TrainConfig) -> float:
    """Return the FLOPs of a training stage."""
    return steps_of(config) * config.batch * _cost(model, config.images, TEXT_TOKENS, ANSWER_TOKENS).flops.training(config)


def steps_of(config: TrainConfig) -> int:
    """Return the optimizer steps that a stage does itself, without those before its branching point."""
    return config.steps - config.begin


def training_memory(model: ModelConfig, config: TrainConfig, *, workers: int) -> float:
    """Return the peak memory in bytes of each worker of a training stage, for samples of typical size."""
    return training_bytes(model, config, _cost(model, config.images, TEXT_TOKENS, ANSWER_TOKENS), workers=workers)


def evaluation_flops(model: ModelConfig, config: EvaluateConfig, benchmark: Benchmark) -> float:
    """Return the FLOPs of evaluating a model on one benchmark, if every answer has the maximal length.

    Those of a whole model of another family are not known, and are 0.
    """
    if config.model:
        return 0.0
    length = ANSWER_TOKENS if benchmark.is_loss else benchmark.max_new_tokens
    text, images = TEXT_TOKENS - ANSWER_TOKENS + length, config.images
    each = (forward_flops(at_tile(model, images.tile), tiles=0, tokens=images.tokens, length=text, predicted=length)
            if config.blind else _cost(model, images, text, length).flops)
    return num_items(benchmark, config.num_items) * each.total


def num_items(benchmark: Benchmark, limit: int) -> int:
    """Return the number of items that are evaluated: at most `limit`, or all if it is 0."""
    known = benchmark.num_items
    return min(limit, known) if limit and known else limit or known


def tokens_per_image(model: ModelConfig, images: ImageConfig) -> float:
    """Return the number of tokens of an image of typical size."""
    return _cost(model, images, TEXT_TOKENS, ANSWER_TOKENS).image_tokens


def published_bytes(spec: Mapping[str, Any]) -> int:
    """Return the size in bytes of the weights that a stage publishes, 0 for a stage that trains nothing.

    Args:
        spec: the spec of the stage, as plain values.
    """
    if spec.get("kind") not in TRAINING or "model" not in spec:
        return 0
    return checkpoint_bytes(build(ModelConfig, spec["model"], "model"))


def gpus_of(kind: str, resources: Resources) -> float:
    """Return the GPUs of one attempt: all of its workers, of which an evaluation has one."""
    return resources.gpus if kind in TRAINING else resources.gpus / resources.workers


def metrics_of_config(config: Mapping[str, Any]) -> dict[str, float]:
    """Return metric -> value for the metrics that follow from a trial's configuration, before anything runs.

    Image tokens are those of an image of typical size, as `ablate plan` shows them. The tokens of the benchmarks' own
    images are measured later, and those decide the verdict.

    Args:
        config: the configuration of the trial, as plain values.
    """
    model, evaluate = build(ModelConfig, config["model"]), build(EvaluateConfig, config["evaluate"])
    return {TOKENS: 0.0 if evaluate.blind or evaluate.model else tokens_per_image(model, evaluate.images)}


@lru_cache(maxsize=4096)
def _cost(model: ModelConfig, images: ImageConfig, text_tokens: int, predicted: int) -> SampleCost:
    return sample_cost(model, images, text_tokens=text_tokens, predicted=predicted)
