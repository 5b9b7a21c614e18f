"""Recomputation and compilation of the blocks of encoder and decoder, and other levers of `SpeedConfig` in the model.

- A recomputed block keeps its input only and repeats its forward pass in the backward pass: the same numbers, less
  memory, a third more work. Recomputation is not part of a stage's identity.
- A compiled block fuses its operations, so sums and roundings (of bf16 above all) happen in another order. The result
  is as close as with another number of threads, but not equal. Like the threads, compilation is part of a stage's
  identity. Layers with experts are compiled if all experts are one grouped product; a loop over experts is not, since
  its control flow depends on the data. Where transformers records the logits of a router, the compiler begins a new
  graph.
- Where a pass may keep `activations_gib`, as many blocks are recomputed as exceed it, pass by pass.
- Blocks of the same kind share their code, so each kind is compiled once (twice, if it is recomputed in some passes).
- `forward` is replaced, not the module: the names of weights stay, and FSDP2 gathers the weights around a block.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from model.config.speed import SpeedConfig
from model.config.stages import TrainConfig
from model.cost.memory import blocks_beyond, precision_of
from model.network.mm15 import MM15, Batch
from model.network.vision import Block

Forward = Callable[..., Any]
"""The forward pass of a module."""
GROUPED = "grouped_mm"
"""Name in transformers of the experts' function that has no loop over them."""


def blocks(model: MM15) -> list[nn.Module]:
    """Return the blocks of encoder and decoder, in order."""
    # Decoders of transformers name their list of layers differently (`layers`, `h`, ...): it is the first ModuleList.
    layers = next(each for each in model.decoder.base_model.modules() if isinstance(each, nn.ModuleList))
    return [*model.vision.blocks, *layers]


def prepare(model: MM15, config: TrainConfig) -> None:
    """Set blocks and encoder up as the stage says. Call this before the model is sharded.

    Raises:
        ValueError: the stage's kernel does not take the heads of the encoder.
    """
    speed = config.speed
    model.vision.stream = torch.bfloat16 if speed.vision_stream == "bf16" else torch.float32
    is_grouped = model.decoder.config._experts_implementation == GROUPED
    for number, block in enumerate(blocks(model)):
        if isinstance(block, Block):
            block.kernel = speed.vision_attention
        is_compiled = config.compile and (is_grouped or not _has_experts(block))
        compiled: Callable[[Forward], Forward] = partial(_compiled, speed=speed) if is_compiled else _as_it_is
        again = _recomputed(block, compiled, is_recorded=model.config.decoder.experts > 0)
        if speed.activations_gib:
            block.forward = partial(_either, model, number, compiled(block.forward), again)
        else:
            block.forward = again if config.recompute else compiled(block.forward)
    if speed.compile_connector:
        model.connector.forward = _compiled(model.connector.forward, speed=speed)  # type: ignore[method-assign]


def choose_recomputed(model: MM15, config: TrainConfig, batch: Batch) -> None:
    """Set how many blocks the pass of a batch recomputes, if the stage limits what a pass may keep."""
    if config.speed.activations_gib:
        predicted = batch.located().loss_at
        assert predicted is not None
        model.num_recomputed = blocks_beyond(
            model.config, config.speed.activations_gib * 2**30, tiles=len(batch.tiles_NCXX),
            tokens=config.images.tokens, length=batch.ids_BT.numel(), predicted=len(predicted),
            precision=precision_of(config))


def _recomputed(block: nn.Module, compiled: Callable[[Forward], Forward], *, is_recorded: bool) -> Forward:
    """Return a block's forward pass that the backward pass repeats; its non-reentrant form restores autocast there.

    Args:
        block: of encoder or decoder.
        compiled: compiles a forward pass, or leaves it as it is.
        is_recorded: whether transformers records outputs within blocks.
    """
    if is_recorded:
        # Where the compiler must begin a new graph, it would leave a block that is recomputed inside of it as it is.
        return partial(checkpoint, compiled(block.forward), use_reentrant=False)
    # Recomputation is wrapped first, so that the compiler traces the repeated pass too, and may keep what is cheap to keep.
    return compiled(partial(checkpoint, block.forward, use_reentrant=False))


def _either(model: MM15, number: int, kept: Forward, again: Forward, *given: Any, **named: Any) -> Any:
    return (again if number < model.num_recomputed else kept)(*given, **named)


def _compiled(forward: Forward, *, speed: SpeedConfig) -> Forward:
    return torch.compile(forward, mode="reduce-overhead") if speed.cuda_graphs else torch.compile(forward)


def _as_it_is(forward: Forward) -> Forward:
    return forward


def _has_experts(block: nn.Module) -> bool:
    return any(name.endswith("experts") for name, _ in block.named_modules())
