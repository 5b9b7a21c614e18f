"""Adafactor, also for sharded weights.

- Adafactor (arXiv:1804.04235) has the form that transformers uses with `scale_parameter=False, relative_step=False`:
  the learning rate is the RMS of the update. `torch.optim.Adafactor` also scales by the parameter's RMS and moves
  weights some 50 times less at the same rate. The MM1.5 paper names Adafactor and gives no details.
- Second moments of matrices are kept as row and column means; there is no first moment.
- This class supports sharded weights: `torch.optim.Adafactor` and that of transformers both fail under `fully_shard`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Shard

EPSILON = 1e-30
"""Added to squared gradients."""
CLIP_RMS = 1.0
"""Largest RMS of an update before it is multiplied by the learning rate."""
DECAY_EXPONENT = -0.8
"""The decay of second moments at a step is 1 - step ** exponent."""


class Adafactor(torch.optim.Optimizer):
    """Adafactor without first moment and without parameter scaling, for unsharded tensors and for shards of FSDP2.

    A step goes through the weights three times: second moments, update and its RMS, move. After the first and the
    second pass one all-reduce combines what a shard does not know by itself: column means and row mean of a matrix that
    is split by rows, then the norm of every update. Updates overwrite the gradients, so no second copy is held.
    """

    def __init__(self, params: Iterable[Tensor] | Iterable[dict[str, Any]], *, lr: float, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every weight that has a gradient. Every worker must call this."""
        # All workers run the same passes, so the same weights have a gradient everywhere and the parts of each
        # all-reduce below line up.
        moves = [_Move(weight, self.state[weight], group["lr"], group["weight_decay"])
                 for group in self.param_groups for weight in group["params"] if weight.grad is not None]
        sharded = [move for move in moves if move.mesh is not None]
        for move, total in zip(sharded, _summed([move.observe() for move in sharded], sharded), strict=True):
            move.learn(total)
        for move in moves:
            if move.mesh is None:
                move.observe()
        norms = [move.scale() for move in moves]
        # Squares of norms add up over shards; norms do not.
        partial = [norm.square()[None] for norm, move in zip(norms, moves, strict=True) if move.mesh is not None]
        squares = iter(_summed(partial, sharded))
        for norm, move in zip(norms, moves, strict=True):
            move.apply(norm if move.mesh is None else next(squares)[0].sqrt())


class _Move:
    """One weight in one step: its gradient, second moments and update. A sharded weight is split by its rows.

    The methods are called in the order `observe`, `learn` (sharded weights only), `scale`, `apply`.
    """

    def __init__(self, weight: Tensor, state: dict[str, Any], lr: float, weight_decay: float) -> None:
        self.weight, self.state, self.lr, self.weight_decay = local(weight), state, lr, weight_decay
        self.mesh = _mesh(weight)
        self.shape = weight.shape  # of the unsharded weight: means and RMS are taken over all of it
        # fp32, because moments in bf16 would lose digits. An fp32 gradient is not copied: `scale` turns it into the
        # update in place.
        self.update = local(weight.grad).float()  # type: ignore[arg-type]
        if "step" not in state:
            state.update(blank(weight))
        state["step"] += 1
        # The first step has decay 0, so the moments need no bias correction.
        self.decay = 1.0 - state["step"] ** DECAY_EXPONENT

    @property
    def has_split_columns(self) -> bool:
        """Whether each column of the matrix is spread over the workers."""
        # Tensors of more dimensions (convolutions) are factored over their last two, which no split by rows cuts.
        return self.mesh is not None and len(self.shape) == 2

    def observe(self) -> Tensor:
        """Update the second moments with the gradient; return what must be summed over the workers before `scale`."""
        squared = self.update.square() + EPSILON
        if len(self.shape) < 2:
            self._keep("all", squared)
            return squared.new_zeros(0)
        # A row lies on one worker as a whole, so its mean is known here.
        rows = self._keep("rows", squared.mean(-1))
        if self.has_split_columns:
            # (columns + 1): sums over this worker's rows of each column, and of the row moments.
            return torch.cat([squared.sum(-2), rows.sum()[None]])
        self._keep("cols", squared.mean(-2))
        return squared.new_zeros(0)

    def learn(self, total: Tensor) -> None:
        """Update the column moments from the result of `observe`, summed over the workers."""
        if self.has_split_columns:
            self._keep("cols", total[:-1] / self.shape[0])
            self.state["row_mean"] = total[-1:] / self.shape[0]

    def scale(self) -> Tensor:
        """Turn the gradient into the update, in place; return the 2-norm of this worker's shard of it."""
        if len(self.shape) < 2:
            self.update.mul_(local(self.state["all"]).rsqrt())
            return self.update.norm(2)
        # The second moment of an entry is estimated as row * column / mean of rows (arXiv:1804.04235).
        rows, cols = local(self.state["rows"]), local(self.state["cols"])
        row_mean = self.state.pop("row_mean") if self.has_split_columns else rows.mean(-1, keepdim=True)
        self.update.mul_((rows / row_mean).rsqrt().unsqueeze(-1)).mul_(cols.unsqueeze(-2).rsqrt())
        return self.update.norm(2)

    def apply(self, norm: Tensor) -> None:
        """Clip the update by its RMS and move the weight; `norm` is the 2-norm over the unsharded tensor."""
        # The number of elements is that of the unsharded tensor, as the norm is.
        rms = norm / math.sqrt(self.shape.numel())
        self.update.mul_(self.lr / (rms / CLIP_RMS).clamp(min=1.0))
        # Decoupled from the gradient, as in AdamW.
        if self.weight_decay:
            self.weight.mul_(1 - self.lr * self.weight_decay)
        self.weight.sub_(self.update.to(self.weight.dtype))

    def _keep(self, name: str, value: Tensor) -> Tensor:
        """Update a running mean of the state in place; return it."""
        return local(self.state[name]).mul_(self.decay).add_(value, alpha=1 - self.decay)


def local(tensor: Tensor) -> Tensor:
    """Return this worker's shard of a sharded tensor; return an unsharded tensor as it is."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def _mesh(weight: Tensor) -> DeviceMesh | None:
    if not isinstance(weight, DTensor):
        return None
    if tuple(weight.placements) != (Shard(0),):
        raise ValueError(f"a parameter of shape {tuple(weight.shape)} is placed as {weight.placements}; "
                         "allowed: sharded by its first dimension on one mesh dimension")
    return weight.device_mesh


def _summed(parts: list[Tensor], moves: list[_Move]) -> list[Tensor]:
    """Sum each part over the workers, in one collective for all parts."""
    if not parts:
        return []
    # Hundreds of small messages would each pay the latency of the network.
    total = torch.cat(parts)
    dist.all_reduce(total, group=moves[0].mesh.get_group())  # type: ignore[union-attr]
    return list(total.split([len(part) for part in parts]))


def blank(weight: Tensor) -> dict[str, Any]:
    """Return the Adafactor state of a weight before its first step.

    The state is sharded as the weight is, except that every worker holds all column moments of a sharded matrix.
    """
    start = weight.detach()
    if weight.ndim < 2:
        return {"step": 0, "all": torch.zeros_like(start, dtype=torch.float32)}
    # `zeros_like` of a slice, not `zeros` of a shape: the slice of a DTensor keeps its sharding.
    rows = torch.zeros_like(start.select(-1, 0), dtype=torch.float32)
    if isinstance(weight, DTensor) and weight.ndim == 2:
        return {"step": 0, "rows": rows, "cols": torch.zeros(weight.shape[-1], device=local(start).device)}
    return {"step": 0, "rows": rows, "cols": torch.zeros_like(start.select(-2, 0), dtype=torch.float32)}
