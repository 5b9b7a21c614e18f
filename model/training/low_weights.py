"""bf16 copies of the weights, made once a step and used in all of its passes.

- Autocast casts each weight in each pass, and again where a block is recomputed: with n passes a step it reads 4 and
  writes 2 bytes a weight n times (2 n times with recomputation), and each gradient goes through an fp32 copy before it
  is added. Here a step casts once, and a bf16 gradient is added to the fp32 one in one operation: 10 n + 2 bytes a
  weight instead of 24 n - 12 (30 n - 12 with recomputation), for 2 bytes a weight that stay.
- The numbers are the same, bit for bit: the copies are what autocast makes, and gradients are added in fp32.
- Only weights of products are copied: those of linear layers, convolutions and tables of experts. Norms, positions and
  a table that also embeds tokens stay fp32, and so do routers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from model.network.experts import routers
from model.network.mm15 import MM15


class LowWeights:
    """The bf16 copies of a model that is not sharded."""

    def __init__(self, model: MM15) -> None:
        self._places = list(_places(model))
        self._whole = [module._parameters[name] for module, name in self._places]
        self._low = [_copy(weight) for weight in self._whole if weight is not None]

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Cast the weights as they are now, and put the copies into the model for as long as the context lasts.

        Gradients of the copies are added to those of the weights, in fp32, while a backward pass runs.
        """
        whole = [weight.data for weight in self._whole if weight is not None]
        torch._foreach_copy_([weight.data for weight in self._low], whole)
        self._put(self._low)
        try:
            yield
        finally:
            self._put(self._whole)

    def _put(self, weights: list[nn.Parameter] | list[nn.Parameter | None]) -> None:
        for (module, name), weight in zip(self._places, weights, strict=True):
            # Not by `setattr`, which checks the name a second time: there are hundreds of weights in each step.
            module._parameters[name] = weight


def lower(model: MM15) -> None:
    """Make the weights of products bf16 for good, for a model that answers under autocast and learns no more."""
    for module, name in list(_places(model)):
        whole = module._parameters[name]
        assert whole is not None
        module._parameters[name] = nn.Parameter(whole.detach().to(torch.bfloat16), requires_grad=False)


def _places(model: MM15) -> Iterator[tuple[nn.Module, str]]:
    """Find the weights that are factors of products, as module and name, each once."""
    embeddings = [module for module in model.modules() if isinstance(module, nn.Embedding)]
    apart = {id(weight) for module in embeddings for weight in module.parameters()}
    apart |= {id(weight) for router in routers(model.decoder) for weight in router.parameters()}
    # One table for all experts has three dimensions, as `set_precision` knows it.
    tables = {id(module) for module in model.decoder.modules()
              if any(weight.ndim == 3 for weight in module.parameters(recurse=False))}
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d) or id(module) in tables:
            for name, weight in module.named_parameters(recurse=False):
                if id(weight) not in apart:
                    apart.add(id(weight))
                    yield module, name


def _copy(weight: nn.Parameter) -> nn.Parameter:
    low = nn.Parameter(weight.detach().to(torch.bfloat16), requires_grad=weight.requires_grad)
    if weight.requires_grad:
        low.register_post_accumulate_grad_hook(partial(_hand_over, weight))
    return low


def _hand_over(weight: nn.Parameter, low: Tensor) -> None:
    """Add a bf16 gradient to the weight's own, in fp32."""
    if low.grad is None:
        return
    if weight.grad is None:
        weight.grad = low.grad.float()
    else:
        weight.grad.add_(low.grad)
    low.grad = None
