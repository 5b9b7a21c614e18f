"""The blocks of encoder and decoder, by themselves: recomputed in the backward pass, and compiled.

- Recomputing keeps a block's input alone and runs its forward pass again for the gradients: the same numbers, less memory, a third
  more work. It is no part of a stage's identity.
- A compiled block fuses its operations, so that sums and roundings (of bf16 above all) come in another order: as close as another
  number of threads, not equal. It is part of a stage's identity, as the threads are. Layers with experts stay as they are, since
  their control flow follows the data.
- Blocks of one kind share their code: each kind is compiled once.
- `forward` is replaced, not the module: names of weights stay, and FSDP2 gathers a block around it.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from model.config.stages import TrainConfig
from model.network.mm15 import MM15


def blocks(model: MM15) -> list[nn.Module]:
    """Return the blocks of encoder and decoder, in order."""
    layers = next(each for each in model.decoder.base_model.modules() if isinstance(each, nn.ModuleList))
    return [*model.vision.blocks, *layers]


def prepare(model: MM15, config: TrainConfig) -> None:
    """Make the blocks recompute and compile as the stage says; before the model is spread over workers."""
    for block in blocks(model):
        if config.recompute:
            block.forward = partial(checkpoint, block.forward, use_reentrant=False)
        if config.compile and not _has_experts(block):
            block.forward = torch.compile(block.forward)


def _has_experts(block: nn.Module) -> bool:
    return any(name.endswith("experts") for name, _ in block.named_modules())
