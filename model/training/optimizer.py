"""The optimizers.

- Adafactor (arXiv:1804.04235) in the form transformers uses with `scale_parameter=False, relative_step=False`: the rate is the
  RMS of the update. `torch.optim.Adafactor` scales by the parameter's RMS as well and moves weights some 50 times less at
  the same rate. The MM1.5 paper names Adafactor and says no more.
- Second moments of matrices are kept as row and column means; there is no first moment.
- Written for sharded parameters as well: `torch.optim.Adafactor` and transformers' both fail under `fully_shard`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Shard

from model.config.stages import TrainConfig

EPSILON = 1e-30
"""Added to squared gradients."""
CLIP_RMS = 1.0
"""Largest RMS of an unscaled update."""
DECAY_EXPONENT = -0.8
"""Second-moment decay is 1 - step ** exponent."""


class Adafactor(torch.optim.Optimizer):
    """Adafactor without first moment, without parameter scaling; for whole tensors and for those that FSDP2 shards.

    A step takes three rounds over the parameters, and two small sums over the workers between them: what needs all rows of a
    sharded matrix, then the RMS of every update. Gradients are overwritten by the updates: no second copy is held.
    """

    def __init__(self, params: Iterable[Tensor], *, lr: float, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        moves = [_Move(weight, self.state[weight], group["lr"], group["weight_decay"])
                 for group in self.param_groups for weight in group["params"] if weight.grad is not None]
        split = [move for move in moves if move.mesh is not None]
        for move, total in zip(split, _summed([move.observe() for move in split], split), strict=True):
            move.learn(total)
        for move in moves:
            if move.mesh is None:
                move.observe()
        norms = [move.scale() for move in moves]
        squares = _summed([norm.square()[None] for norm, move in zip(norms, moves, strict=True) if move.mesh is not None], split)
        whole = iter(squares)
        for norm, move in zip(norms, moves, strict=True):
            move.apply(norm if move.mesh is None else next(whole)[0].sqrt())


class _Move:
    """One parameter in one step: its gradient, its second moments, its update. Sharded ones are sharded by their first dimension."""

    def __init__(self, weight: Tensor, state: dict[str, Any], lr: float, weight_decay: float) -> None:
        self.weight, self.state, self.lr, self.weight_decay = local(weight), state, lr, weight_decay
        self.mesh = _mesh(weight)
        self.shape = weight.shape
        self.update = local(weight.grad).float()  # type: ignore[arg-type]
        if "step" not in state:
            state.update(_blank(weight))
        state["step"] += 1
        self.decay = 1.0 - state["step"] ** DECAY_EXPONENT

    @property
    def has_split_columns(self) -> bool:
        """Whether the columns of the matrix are spread over workers."""
        return self.mesh is not None and len(self.shape) == 2

    def observe(self) -> Tensor:
        """Take the gradient into the moments; return what must be summed over workers before `scale`."""
        squared = self.update.square() + EPSILON
        if len(self.shape) < 2:
            self._keep("all", squared)
            return squared.new_zeros(0)
        rows = self._keep("rows", squared.mean(-1))
        if self.has_split_columns:
            return torch.cat([squared.sum(-2), rows.sum()[None]])
        self._keep("cols", squared.mean(-2))
        return squared.new_zeros(0)

    def learn(self, total: Tensor) -> None:
        """Take what `observe` returned, summed over workers."""
        if self.has_split_columns:
            self._keep("cols", total[:-1] / self.shape[0])
            self.state["row_mean"] = total[-1:] / self.shape[0]

    def scale(self) -> Tensor:
        """Turn the gradient into the update; return the 2-norm of this worker's part."""
        if len(self.shape) < 2:
            self.update.mul_(local(self.state["all"]).rsqrt())
            return self.update.norm(2)
        rows, cols = local(self.state["rows"]), local(self.state["cols"])
        row_mean = self.state.pop("row_mean") if self.has_split_columns else rows.mean(-1, keepdim=True)
        self.update.mul_((rows / row_mean).rsqrt().unsqueeze(-1)).mul_(cols.unsqueeze(-2).rsqrt())
        return self.update.norm(2)

    def apply(self, norm: Tensor) -> None:
        """Clip the update by the RMS of the whole tensor, and move the weight."""
        rms = norm / math.sqrt(self.shape.numel())
        self.update.mul_(self.lr / (rms / CLIP_RMS).clamp(min=1.0))
        if self.weight_decay:
            self.weight.mul_(1 - self.lr * self.weight_decay)
        self.weight.sub_(self.update.to(self.weight.dtype))

    def _keep(self, name: str, value: Tensor) -> Tensor:
        return local(self.state[name]).mul_(self.decay).add_(value, alpha=1 - self.decay)


def local(tensor: Tensor) -> Tensor:
    """Return this worker's part of a sharded tensor, the tensor itself if it is whole."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def _mesh(weight: Tensor) -> DeviceMesh | None:
    if not isinstance(weight, DTensor):
        return None
    if tuple(weight.placements) != (Shard(0),):
        raise ValueError(f"a parameter of shape {tuple(weight.shape)} is placed as {weight.placements}; allowed: sharded by its first "
                         "dimension on one mesh dimension")
    return weight.device_mesh


def _summed(parts: list[Tensor], moves: list[_Move]) -> list[Tensor]:
    """Sum each part over the workers, all of them in one message."""
    if not parts:
        return []
    total = torch.cat(parts)
    dist.all_reduce(total, group=moves[0].mesh.get_group())  # type: ignore[union-attr]
    return list(total.split([len(part) for part in parts]))


def _blank(weight: Tensor) -> dict[str, Any]:
    """Return the state of a parameter that was never moved; sharded as the parameter is, columns of a sharded matrix whole."""
    start = weight.detach()
    if weight.ndim < 2:
        return {"step": 0, "all": torch.zeros_like(start, dtype=torch.float32)}
    rows = torch.zeros_like(start.select(-1, 0), dtype=torch.float32)
    if isinstance(weight, DTensor) and weight.ndim == 2:
        return {"step": 0, "rows": rows, "cols": torch.zeros(weight.shape[-1], device=local(start).device)}
    return {"step": 0, "rows": rows, "cols": torch.zeros_like(start.select(-2, 0), dtype=torch.float32)}


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """Build the optimizer; AdamW has betas 0.9 and 0.95."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    if config.optimizer == "adafactor":
        return Adafactor(weights, lr=config.lr, weight_decay=config.weight_decay)
    return torch.optim.AdamW(weights, lr=config.lr, betas=(0.9, 0.95), weight_decay=config.weight_decay, foreach=True)


def empty_state(optimizer: torch.optim.Optimizer, weight: Tensor) -> dict[str, Any]:
    """Return what the optimizer keeps of a parameter, as it is before the first step: to be filled from a checkpoint."""
    if isinstance(optimizer, Adafactor):
        return _blank(weight)
    return {"step": torch.tensor(0.0), "exp_avg": torch.zeros_like(weight), "exp_avg_sq": torch.zeros_like(weight)}
