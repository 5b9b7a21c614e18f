"""The learning rate over the steps of a stage. Torch-free."""

from __future__ import annotations

import math

from model.config.stages import TrainConfig


def learning_rate(step: int, config: TrainConfig) -> float:
    """Return the learning rate of an optimizer step, counted from 0.

    The rate rises linearly over the warm-up; then it stays (`constant`), falls to `final_lr` x peak (`cosine`), or stays
    and falls linearly in the last `decay_steps` (`wsd`; without `final_lr` the step after the last would have rate 0).
    """
    # step + 1: the first step would otherwise have rate 0 and train nothing.
    if step < config.warmup_steps:
        return config.lr * (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        return config.lr
    if config.schedule == "wsd":
        # Before the decay nothing depends on the number of steps: stages that branch later share what they did.
        left = min(1.0, (config.steps - step) / max(1, config.decay_steps))
        return config.lr * (config.final_lr + (1 - config.final_lr) * left)
    # 0 at the end of the warm-up, just below 1 at the last step; max() is for a stage that is warm-up only.
    progress = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return config.lr * (config.final_lr + (1 - config.final_lr) * 0.5 * (1 + math.cos(math.pi * progress)))
