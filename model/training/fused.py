"""Adafactor with compiled passes over the weights.

- `Adafactor` writes what it computes between its operations: 76 bytes of traffic a weight and step with the scaling of
  the gradients, of which 28 are needed. Here moments, norm of the update and movement are one compiled function each,
  which read the gradient anew and write the weight only. The norm of all gradients reads it once more.
- Weights of one shape go through a function eight at a time: a call takes longer than the work on a small weight. Sizes
  are dynamic, so that the functions are compiled for 8 weights and for 1, and not for each shape. What else a compiler
  tells apart is made alike: tensors are no views and have the strides of their shape, and dimensions of 1 are dropped.
  A function that is compiled more often than PyTorch allows would run as it is written from then on.
- The same arithmetic, so the state is that of `Adafactor`, and checkpoints of one resume with the other; roundings
  differ, since a compiler multiplies and adds in one operation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from model.training.adafactor import CLIP_RMS, DECAY_EXPONENT, EPSILON, Adafactor, blank

TOGETHER = 8
"""Weights of one shape that go through a function at once."""


class FusedAdafactor(Adafactor):
    """Adafactor with compiled passes, for weights that are not sharded."""

    gradient_scale = 1.0
    """Factor of all gradients in the next step."""

    def clip(self, norm: float, largest: float) -> None:
        """Scale gradients of a norm down to `largest` (0: no limit) on the way of the next step."""
        self.gradient_scale = min(1.0, largest / (norm + 1e-6)) if largest else 1.0

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every weight that has a gradient."""
        for chunk in self._chunks():
            if chunk.is_matrix:
                rows, cols = chunk.moments
                _observe(chunk.gradients, rows, cols, chunk.numbers)
                rms = _rms(chunk.gradients, rows, cols, chunk.numbers)
                _move(chunk.weights, chunk.gradients, rows, cols, rms, chunk.numbers)
            else:
                *same, moments = chunk.moments
                _observe_vector(chunk.gradients, moments, chunk.numbers)
                _move_vector(chunk.weights, chunk.gradients, moments, chunk.numbers)
                for each in same:
                    torch._foreach_copy_(each, moments)

    def _chunks(self) -> Iterator[_Chunk]:
        """Cut weights of one shape, type, rate and decay into chunks of `TOGETHER` and single ones."""
        alike: dict[tuple[int, int, object], list[Tensor]] = {}
        for number, group in enumerate(self.param_groups):
            for weight in group["params"]:
                if weight.grad is not None:
                    form = weight.shape, weight.stride(), weight.dtype
                    alike.setdefault((number, self._count(weight), form), []).append(weight)
        for (number, step, _), weights in alike.items():
            group, keep = self.param_groups[number], 1.0 - step**DECAY_EXPONENT
            # On the device, so that a new rate compiles nothing; filled there, since a copy would wait for the device.
            given = keep, 1 - keep, self.gradient_scale, group["lr"], 1 - group["lr"] * group["weight_decay"]
            numbers = torch.stack([torch.full((), each, device=weights[0].device) for each in given])
            whole = len(weights) - len(weights) % TOGETHER
            for start in range(0, whole, TOGETHER):
                yield self._chunk(weights[start : start + TOGETHER], numbers)
            for weight in weights[whole:]:
                yield self._chunk([weight], numbers)

    def _count(self, weight: Tensor) -> int:
        state = self.state[weight]
        if "step" not in state:
            state.update(blank(weight))
        state["step"] += 1
        return int(state["step"])

    def _chunk(self, weights: list[Tensor], numbers: Tensor) -> _Chunk:
        rows, cols = (1, *weights[0].shape)[-2:]
        batch = weights[0].numel() // (rows * cols)
        # Of 1 x 1 matrices (convolutions of one pixel) row and column moments are alike, and do what a vector's do.
        is_matrix = weights[0].ndim >= 2 and rows * cols > 1
        names = ("rows", "cols") if weights[0].ndim >= 2 else ("all",)
        if not is_matrix:
            shapes: tuple[tuple[int, ...], ...] = ((-1,), (-1,), (-1,))
        elif batch == 1:
            shapes = (rows, cols), (rows,), (cols,)
        else:
            shapes = (batch, rows, cols), (batch, rows), (batch, cols)
        moments = [[_plain(self.state[weight][name], shape) for weight in weights]
                   for name, shape in zip(names, shapes[1:], strict=False)]
        # A gradient whose elements lie in another order is copied; it is only read.
        gradients = [_plain(each.grad.contiguous(), shapes[0]) for each in weights if each.grad is not None]
        return _Chunk(is_matrix, [_plain(each, shapes[0]) for each in weights], gradients, moments, numbers)


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Weights of one shape with what belongs to them, as matrices (perhaps several to a weight) or as vectors."""

    is_matrix: bool
    weights: list[Tensor]
    gradients: list[Tensor]
    moments: list[list[Tensor]]
    """Row and column moments, or the moments of vectors; before these, row moments that are to be the same."""
    numbers: Tensor
    """Decay, its complement, factor of the gradients, learning rate, factor that weight decay leaves."""


def _plain(tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return the memory of a contiguous tensor in a shape, as no view and with the strides of that shape."""
    return tensor.data.view(-1).view(shape).data


@torch.compile(dynamic=True)
def _observe(gradients: list[Tensor], rows: list[Tensor], cols: list[Tensor], numbers: Tensor) -> None:
    """Update the second moments of matrices."""
    keep, take, scale, _, _ = numbers.unbind()
    for gradient, row, col in zip(gradients, rows, cols, strict=True):
        squared = (gradient.float() * scale).square() + EPSILON
        row.mul_(keep).add_(squared.mean(-1) * take)
        col.mul_(keep).add_(squared.mean(-2) * take)


@torch.compile(dynamic=True)
def _rms(gradients: list[Tensor], rows: list[Tensor], cols: list[Tensor], numbers: Tensor) -> list[Tensor]:
    """Return the root mean square of each update, before the learning rate."""
    return [_update(gradient, row, col, numbers[2]).square().mean().sqrt()
            for gradient, row, col in zip(gradients, rows, cols, strict=True)]


@torch.compile(dynamic=True)
def _move(weights: list[Tensor], gradients: list[Tensor], rows: list[Tensor], cols: list[Tensor], rms: list[Tensor],
          numbers: Tensor) -> None:
    """Move matrices by their updates, which are clipped by their root mean square."""
    for weight, gradient, row, col, size in zip(weights, gradients, rows, cols, rms, strict=True):
        _moved(weight, _update(gradient, row, col, numbers[2]), size, numbers)


@torch.compile(dynamic=True)
def _observe_vector(gradients: list[Tensor], moments: list[Tensor], numbers: Tensor) -> None:
    keep, take, scale, _, _ = numbers.unbind()
    for gradient, moment in zip(gradients, moments, strict=True):
        moment.mul_(keep).add_(((gradient.float() * scale).square() + EPSILON) * take)


@torch.compile(dynamic=True)
def _move_vector(weights: list[Tensor], gradients: list[Tensor], moments: list[Tensor], numbers: Tensor) -> None:
    for weight, gradient, moment in zip(weights, gradients, moments, strict=True):
        update = gradient.float() * numbers[2] * moment.rsqrt()
        _moved(weight, update, update.square().mean().sqrt(), numbers)


def _update(gradient: Tensor, row: Tensor, col: Tensor, scale: Tensor) -> Tensor:
    """Divide by the root of the estimated second moment, row * column / mean of rows (arXiv:1804.04235)."""
    rows = (row / row.mean(-1, keepdim=True)).rsqrt()
    return gradient.float() * scale * rows.unsqueeze(-1) * col.rsqrt().unsqueeze(-2)


def _moved(weight: Tensor, update: Tensor, rms: Tensor, numbers: Tensor) -> None:
    _, _, _, rate, shrink = numbers.unbind()
    weight.mul_(shrink).sub_(update * (rate / (rms / CLIP_RMS).clamp(min=1.0)))
