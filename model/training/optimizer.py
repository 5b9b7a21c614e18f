"""The optimizer of a stage: Adafactor or AdamW, its groups of weights, its state before the first step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from model.config.stages import TrainConfig
from model.training.adafactor import Adafactor as Adafactor
from model.training.adafactor import blank
from model.training.fused import FusedAdafactor


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """Build the optimizer of the weights that are not frozen; AdamW has betas 0.9 and 0.95."""
    groups, is_fused = parameter_groups(model, config), config.speed.fused_optimizer
    if config.optimizer == "adafactor":
        is_sharded = any(isinstance(weight, DTensor) for weight in model.parameters())
        kind = FusedAdafactor if is_fused and not is_sharded else Adafactor
        return kind(groups, lr=config.lr, weight_decay=config.weight_decay)
    # One of the two is set, because the default depends on the device. `foreach` handles many weights per kernel.
    return torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, 0.95), weight_decay=config.weight_decay,
                             foreach=not is_fused, fused=is_fused)


def parameter_groups(model: nn.Module, config: TrainConfig) -> list[dict[str, Any]]:
    """Return the weights that are not frozen in groups that have learning rate and weight decay in common.

    A group has `params`, `weight_decay`, and `lr_scale`, by which the schedule's rate is multiplied in every step. With the defaults
    there is one group, in the order of the model.
    """
    groups: dict[tuple[float, float], list[Tensor]] = {}
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            decay = config.weight_decay if config.decay == "all" or _is_matrix(name, weight) else 0.0
            # The part is the first name: all weights are in the encoder, the connector or the decoder.
            groups.setdefault((getattr(config, f"lr_{name.partition('.')[0]}"), decay), []).append(weight)
    return [{"params": weights, "lr": config.lr * scale, "lr_scale": scale, "weight_decay": decay}
            for (scale, decay), weights in groups.items()]


def _is_matrix(name: str, weight: Tensor) -> bool:
    """Return whether a weight multiplies activations: norms and biases have one dimension, positions are added."""
    return weight.ndim >= 2 and "position" not in name


def empty_state(optimizer: torch.optim.Optimizer, weight: Tensor) -> dict[str, Any]:
    """Return the optimizer's state of a weight as it is before the first step; a checkpoint is read into it."""
    if isinstance(optimizer, Adafactor):
        return blank(weight)
    # AdamW's own layout: a step on the CPU, and two moments that are sharded as the weight is.
    return {"step": torch.tensor(0.0), "exp_avg": torch.zeros_like(weight), "exp_avg_sq": torch.zeros_like(weight)}
