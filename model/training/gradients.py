"""The gradients of one optimizer step, over all micro-batches and workers.

- The loss is the sum over supervised tokens divided by their number in the whole batch. How the batch is split into
  micro-batches and over workers does not change it.
- All workers run the same number of passes. A worker that has fewer micro-batches than another one runs passes over a
  single padded position, which add zeros: workers that gather weights from one another would otherwise wait for ever.
- Several workers sum their gradients after each pass, or with `sync_once` after the last one only.
- The returned figures are those of the whole batch and the same at every worker, so all workers see a divergence.
- The device is waited for once a step, after its last pass, when loss and gradient norm are read together: both must be
  finite before the optimizer moves a weight. (Decoders with experts are waited for in each pass.)
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from torch.nn.utils import clip_grad_norm_, get_total_norm

from model.config.stages import TrainConfig
from model.network.mm15 import IGNORED, MM15, Batch
from model.training.compilation import choose_recomputed
from model.training.low_weights import LowWeights
from model.training.parallel import Workers
from model.training.router_losses import choices, router_losses, weighted


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """The losses and token counts of one optimizer step, over the whole batch."""

    loss: float
    """Cross-entropy in nats per supervised token."""
    norm: float
    """Norm of the gradients over all weights and workers, before they were scaled down to `clip`."""
    supervised: int
    """Tokens that carry loss."""
    tokens: int
    """Real tokens, image tokens included, padding left out."""
    positions: int
    """Positions of all rows, padding included."""
    load_balance: float | None = None
    """Load-balance loss, averaged over the MoE layers: 1 if all experts are used alike; None without experts."""
    router_z: float | None = None
    """Router z-loss, averaged over the MoE layers; None without experts."""

    @property
    def of_routers(self) -> dict[str, float]:
        """The router losses by name; empty without experts."""
        if self.load_balance is None or self.router_z is None:
            return {}
        return {"load_balance": self.load_balance, "router_z": self.router_z}


def gradients(model: MM15, batches: Sequence[Batch], config: TrainConfig, workers: Workers, *,
              low: LowWeights | None = None) -> Losses:
    """Give the model's weights the gradients of one optimizer step, scaled down to `clip`. Every worker must call this.

    Args:
        model: on one device, or sharded by `parallel.shard`.
        batches: the micro-batches of this worker; may be empty.
        config: the configuration of the stage.
        workers: the workers that share the step.
        low: the bf16 copies of the weights that the passes use; without them autocast casts in each pass.

    Raises:
        ValueError: no token of the whole batch carries loss.
    """
    # Counted before any pass: the loss of the first micro-batch is divided by the tokens of all, so that the gradients
    # of micro-batches and workers can simply be added. Batches are still on the CPU here, so counting waits for no GPU.
    supervised, tokens, positions = workers.sum_scalars(
        sum(int((batch.labels_BT != IGNORED).sum()) for batch in batches),
        sum(int(batch.mask_BT.sum()) for batch in batches),
        sum(batch.mask_BT.numel() for batch in batches))
    if not supervised:
        raise ValueError(f"no token of the step's {int(tokens)} carries loss")
    # Each pass gathers the weights of every block from all workers (FSDP2), so no worker may run a pass fewer.
    # Shares of a batch differ by one sample at most, but packing and micro-batches can turn that into a pass.
    (num_passes,) = workers.max_scalars(len(batches))
    padded = [*batches, *[_idle(model)] * (int(num_passes) - len(batches))]
    with low.in_place() if low else nullcontext():
        totals = _run(model, padded, config, workers, supervised=supervised, tokens=tokens)
    norm = _clip(model, config.clip)
    # The one read of a step that waits for the device; the norm is that of all workers already.
    *sums, gradient_norm = torch.cat([totals, norm.double()[None]]).tolist()
    nats, balance, z = workers.sum_scalars(*sums)
    routed = {"load_balance": balance, "router_z": z} if model.config.decoder.experts else {}
    return Losses(loss=nats / supervised, norm=gradient_norm, supervised=int(supervised), tokens=int(tokens),
                  positions=int(positions), **routed)


def _run(model: MM15, batches: Sequence[Batch], config: TrainConfig, workers: Workers, *, supervised: float,
         tokens: float) -> Tensor:
    """Run the passes of a step, forward and backward; return the sums of cross-entropy and router losses.

    Args:
        model: receives the gradients.
        batches: as many at every worker.
        config: the configuration of the stage.
        workers: the workers that share the step.
        supervised: tokens of the whole step that carry loss.
        tokens: real tokens of the whole step.
    """
    # The load-balance loss needs the choices of the whole batch before the first backward pass. With several passes
    # they are counted first; with one pass `_losses` counts them on the way. `batches` is equally long at every worker,
    # so all of them take the same branch and meet in the same collectives.
    counts = _choices(model, batches, config, workers) if model.config.decoder.experts and len(batches) > 1 else None
    # fp64, so that a sum over many micro-batches loses no digits; on the device, so that adding to it does not wait.
    totals = torch.zeros(3, dtype=torch.float64, device=workers.device)
    for number, batch in enumerate(batches, 1):
        if config.sync_once and isinstance(model, FSDPModule):
            model.set_requires_gradient_sync(number == len(batches))
        if config.speed.cuda_graphs:
            torch.compiler.cudagraph_mark_step_begin()  # what the last step's graphs wrote may be overwritten now
        choose_recomputed(model, config, batch)
        placed = batch.to(workers.device)
        with _compute(config, workers):
            parts = _losses(model, placed, counts, config, workers, tokens=tokens)
            # The router losses are already parts of a mean over the batch: only the cross-entropy is divided.
            loss = parts[0] / supervised
            loss = loss + weighted(parts[1], parts[2]) if len(parts) > 1 else loss
        # Outside autocast: each operation of the backward pass uses the type that its forward pass used. It frees the
        # activations of its micro-batch, so memory holds those of one micro-batch at a time.
        loss.backward()
        totals[: len(parts)] += torch.stack([part.detach().double() for part in parts])
    return totals


def _clip(model: MM15, largest: float) -> Tensor:
    """Scale the gradients down to the norm `largest` (0: no limit); return their norm before that, over all workers."""
    weights = [weight for weight in model.parameters() if weight.grad is not None]
    # Without a limit the norm is computed all the same, since it is reported and checked.
    norm = clip_grad_norm_(weights, largest) if largest else get_total_norm([each.grad for each in weights if each.grad is not None])
    # Of sharded gradients each worker holds a part of the norm; `full_tensor` is a collective that combines them.
    return norm.full_tensor() if isinstance(norm, DTensor) else norm


def _losses(model: MM15, batch: Batch, counts: Tensor | None, config: TrainConfig, workers: Workers, *,
            tokens: float) -> list[Tensor]:
    """Return the summed cross-entropy and, for a model with experts, this micro-batch's parts of the router losses."""
    # Called as a module, not as `model.forward`: the hooks of FSDP2 gather the weights around the call.
    nats = model(batch, tokens=config.images.tokens)
    if not model.config.decoder.experts:
        return [nats]
    logits = model.router_logits
    if counts is None:
        # The only pass of every worker: its choices, summed over the workers, are those of the whole batch.
        counts = workers.all_reduce(choices(logits, batch.mask_BT, per_token=model.config.decoder.experts_per_token))
    return [nats, *router_losses(logits, batch.mask_BT, counts, tokens=tokens)]


@torch.no_grad()
def _choices(model: MM15, batches: Sequence[Batch], config: TrainConfig, workers: Workers) -> Tensor:
    """Count the experts that the routers choose over the whole batch: (layers, experts), without gradients."""
    total: Tensor | None = None
    for batch in batches:
        placed = batch.to(workers.device)
        # The same autocast as in the pass with gradients: in another precision a router could choose other experts.
        with _compute(config, workers):
            model(placed, tokens=config.images.tokens)
        counts = choices(model.router_logits, placed.mask_BT, per_token=model.config.decoder.experts_per_token)
        total = counts if total is None else total + counts
    assert total is not None
    # One collective after all passes: the counts of micro-batches are added on the device first.
    return workers.all_reduce(total)


def _compute(config: TrainConfig, workers: Workers) -> torch.autocast | nullcontext[None]:
    # autocast converts the inputs of matrix products and leaves the fp32 master weights as they are.
    return torch.autocast(workers.device.type, torch.bfloat16) if config.dtype == "bf16" else nullcontext()


def _idle(model: MM15) -> Batch:
    """Return a batch of one padded position: it has no label and no tile, so it adds zeros to loss and gradients."""
    # Without tiles the model encodes a blank one while it trains (`MM15.embed`), so the encoder's blocks are gathered
    # in an idle pass too.
    side, nothing = model.config.vision.tile, torch.zeros(1, 1, dtype=torch.long)
    image_id = -1  # no token is an image
    return Batch(nothing, torch.full_like(nothing, IGNORED), nothing.bool(),
                 torch.zeros(0, 3, side, side, dtype=torch.uint8), image_id)
