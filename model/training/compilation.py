"""Recomputation and compilation of the blocks of encoder and decoder.

- A recomputed block keeps its input only and repeats its forward pass in the backward pass: the same numbers, less
  memory, a third more work. Recomputation is not part of a stage's identity.
- A compiled block fuses its operations, so sums and roundings (of bf16 above all) happen in another order. The result
  is as close as with another number of threads, but not equal. Like the threads, compilation is part of a stage's
  identity. Layers with experts are compiled if all experts are one grouped product; a loop over experts is not, since
  its control flow depends on the data. Where transformers records the logits of a router, the compiler begins a new
  graph.
- Blocks of the same kind share their code, so each kind is compiled once.
- `forward` is replaced, not the module: the names of weights stay, and FSDP2 gathers the weights around a block.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from model.config.stages import TrainConfig
from model.network.mm15 import MM15

GROUPED = "grouped_mm"
"""Name in transformers of the experts' function that has no loop over them."""


def blocks(model: MM15) -> list[nn.Module]:
    """Return the blocks of encoder and decoder, in order."""
    # Decoders of transformers name their list of layers differently (`layers`, `h`, ...): it is the first ModuleList.
    layers = next(each for each in model.decoder.base_model.modules() if isinstance(each, nn.ModuleList))
    return [*model.vision.blocks, *layers]


def prepare(model: MM15, config: TrainConfig) -> None:
    """Set the blocks up for recomputation and compilation as the stage says. Call this before the model is sharded."""
    is_grouped = model.decoder.config._experts_implementation == GROUPED
    for block in blocks(model):
        # Recomputation is wrapped first, so that the compiler also traces the repeated forward pass. The non-reentrant
        # form is the one that it can trace; it restores autocast, so both forward passes have the same types.
        if config.recompute:
            block.forward = partial(checkpoint, block.forward, use_reentrant=False)
        if config.compile and (is_grouped or not _has_experts(block)):
            block.forward = torch.compile(block.forward)


def _has_experts(block: nn.Module) -> bool:
    return any(name.endswith("experts") for name, _ in block.named_modules())
