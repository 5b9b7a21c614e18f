"""The learning rate over the steps of a stage. Torch-free."""

from __future__ import annotations

import math

from model.config.stages import TrainConfig


def learning_rate(step: int, config: TrainConfig) -> float:
    """Return the rate of optimizer step `step`, counted from 0: linear warm-up, then cosine to `final_lr` x peak."""
    if step < config.warmup_steps:
        return config.lr * (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        return config.lr
    progress = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return config.lr * (config.final_lr + (1 - config.final_lr) * 0.5 * (1 + math.cos(math.pi * progress)))
