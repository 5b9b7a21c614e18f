"""Optimisers and the learning-rate schedule.

- Adafactor (arXiv:1804.04235) in the form transformers uses with `scale_parameter=False, relative_step=False`: the rate is the
  RMS of the update. `torch.optim.Adafactor` scales by the parameter's RMS as well and moves weights some 50 times less at
  the same rate. The MM1.5 paper names Adafactor and says no more.
- Second moments of matrices are kept as row and column means; there is no first moment.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from model.config import TrainConfig

EPSILON = 1e-30
"""Added to squared gradients."""
CLIP_RMS = 1.0
"""Largest RMS of an unscaled update."""
DECAY_EXPONENT = -0.8
"""Second-moment decay is 1 - step ** exponent."""


class Adafactor(torch.optim.Optimizer):
    """Adafactor without first moment, without parameter scaling."""

    def __init__(self, params: Iterable[Tensor], *, lr: float, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._move(weight, group["lr"], group["weight_decay"])

    def _move(self, weight: Tensor, lr: float, weight_decay: float) -> None:
        gradient, state = weight.grad.float(), self.state[weight]  # type: ignore[union-attr]
        state["step"] = state.get("step", 0) + 1
        decay = 1.0 - state["step"] ** DECAY_EXPONENT
        squared = gradient.square() + EPSILON
        if gradient.ndim >= 2:
            rows = _moving(state, "rows", squared.mean(-1), decay)
            cols = _moving(state, "cols", squared.mean(-2), decay)
            row_factor = (rows / rows.mean(-1, keepdim=True)).rsqrt().unsqueeze(-1)
            update = gradient * row_factor * cols.unsqueeze(-2).rsqrt()
        else:
            update = gradient * _moving(state, "all", squared, decay).rsqrt()
        rms = update.norm(2) / math.sqrt(update.numel())
        update = update * (lr / (rms / CLIP_RMS).clamp(min=1.0))
        if weight_decay:
            weight.mul_(1 - lr * weight_decay)
        weight.sub_(update.to(weight.dtype))


def _moving(state: dict[str, Tensor], name: str, value: Tensor, decay: float) -> Tensor:
    if name not in state:
        state[name] = torch.zeros_like(value)
    state[name].mul_(decay).add_(value, alpha=1 - decay)
    return state[name]


def optimiser(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """Build the optimiser; AdamW has betas 0.9 and 0.95."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    if config.optimizer == "adafactor":
        return Adafactor(weights, lr=config.lr, weight_decay=config.weight_decay)
    return torch.optim.AdamW(weights, lr=config.lr, betas=(0.9, 0.95), weight_decay=config.weight_decay, foreach=True)


def learning_rate(step: int, config: TrainConfig) -> float:
    """Return the rate of optimiser step `step`, counted from 0: linear warm-up, then cosine to `final_lr` x peak."""
    if step < config.warmup_steps:
        return config.lr * (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        return config.lr
    progress = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return config.lr * (config.final_lr + (1 - config.final_lr) * 0.5 * (1 + math.cos(math.pi * progress)))
