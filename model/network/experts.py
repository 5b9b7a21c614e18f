"""The precision of layers with experts under autocast: routers in fp32, experts in the low type.

- Autocast does the reverse: it rounds a router's product like any other, and it does not know the grouped product that
  transformers uses for experts, which then runs in fp32. A router that is rounded chooses other experts for tokens whose
  scores are close; experts hold most of the weights and of the work.
- Without autocast nothing changes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from transformers import PreTrainedModel


def set_precision(decoder: PreTrainedModel) -> None:
    """Make routers of a decoder compute in fp32 and experts in the low type wherever autocast is on.

    By a class for all layers: the compiler compiles a forward pass that is replaced in each module once for each.
    """
    for router in routers(decoder):
        router.__class__ = _in_fp32(type(router))  # type: ignore[arg-type]
    for module in decoder.modules():
        # One table for all experts; experts that are modules of their own have linear layers, which autocast knows.
        if any(weight.ndim == 3 for weight in module.parameters(recurse=False)):
            module.__class__ = _in_low_type(type(module))  # type: ignore[arg-type]


def routers(decoder: PreTrainedModel) -> list[nn.Module]:
    """Return the routers of a decoder, in order: the modules whose logits transformers records.

    Empty where this release of transformers records none of the family's; training then refuses the decoder.
    """
    recorded = (decoder.base_model._can_record_outputs or {}).get("router_logits", [])
    # A class, or a record with the class, and for a plain linear layer the name that it has.
    several: list[Any] = recorded if isinstance(recorded, list) else [recorded]
    kinds = [(getattr(each, "target_class", each), getattr(each, "layer_name", None)) for each in several]
    return [module for name, module in decoder.named_modules()
            if any(isinstance(module, kind) and (layer is None or f".{layer}." in f".{name}.") for kind, layer in kinds)]


@lru_cache
def _in_fp32(kind: type[nn.Module]) -> type[nn.Module]:
    def forward(self: nn.Module, hidden: Tensor, *others: Any, **named: Any) -> Any:
        device = hidden.device.type
        if not torch.is_autocast_enabled(device):
            return kind.forward(self, hidden, *others, **named)
        with torch.autocast(device, enabled=False):
            return kind.forward(self, hidden.float(), *others, **named)

    return type(kind.__name__, (kind,), {"forward": forward})


@lru_cache
def _in_low_type(kind: type[nn.Module]) -> type[nn.Module]:
    def forward(self: nn.Module, hidden: Tensor, *others: Any, **named: Any) -> Any:
        device = hidden.device.type
        if not torch.is_autocast_enabled(device):
            return kind.forward(self, hidden, *others, **named)
        low = torch.get_autocast_dtype(device)
        weights = dict(self.named_parameters())
        if all(weight.dtype == low for weight in weights.values()):  # cast below, or gathered by several workers in it
            return kind.forward(self, hidden.to(low), *others, **named)
        # The casts are part of the graph, so gradients reach the fp32 weights in fp32.
        return functional_call(self, {name: weight.to(low) for name, weight in weights.items()}, (hidden, *others), named)

    return type(kind.__name__, (kind,), {"forward": forward})
