"""Read `--model_args`: the checkpoint, the inference images, and how evaluations run. Torch-free."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from model.config.fields import build, did_you_mean
from model.config.stages import EvaluateConfig, ImageConfig

IMAGES = tuple(field.name for field in dataclasses.fields(ImageConfig))
OWN = ("dtype", "threads")
"""Fields of `EvaluateConfig` that matter here; lmms-eval chooses the items."""


def evaluate_config(given: Mapping[str, Any], *, batch: int) -> EvaluateConfig:
    """Read the fields of `ImageConfig`, `dtype` and `threads` from model arguments.

    Raises:
        ValueError: a field is unknown or missing, or its value is not allowed.
    """
    for name in given:
        if name not in (*IMAGES, *OWN):
            raise ValueError(f"model_args: {name}: unknown; {did_you_mean(name, (*IMAGES, *OWN))}")
    images = {name: value for name, value in given.items() if name in IMAGES}
    own = {name: value for name, value in given.items() if name in OWN}
    return build(EvaluateConfig, {"images": images, "benchmarks": [], "batch": batch, **own}, "model_args")


def batch_size(value: object) -> int:
    """Read lmms-eval's `--batch_size`.

    Raises:
        ValueError: it is `auto`, or not a number of at least 1.
    """
    text = str(value)
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"--batch_size {text}; allowed: a number >= 1")
    return int(text)
