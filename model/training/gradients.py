"""The gradients of one optimizer step, over all micro-batches and workers.

- The loss is the sum over supervised tokens divided by their number in the whole batch, whatever the micro-batch and whoever works.
- Every worker makes as many passes as the one with most of them: one that has nothing left passes a single padded position, which
  adds zeros. Workers that gather weights from one another would otherwise wait for ever.
- Figures are those of the whole batch, the same at every worker: all of them see a divergence.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from model.config.stages import TrainConfig
from model.network.mm15 import IGNORED, MM15, Batch
from model.training.parallel import Workers
from model.training.router_losses import choices, router_losses, weighted


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """Of one optimizer step, over the whole batch."""

    loss: float
    """Cross-entropy in nats per supervised token."""
    supervised: int
    tokens: int
    positions: int
    """Of all rows, padding included."""
    load_balance: float | None = None
    """1 where all experts are used alike; None without experts."""
    router_z: float | None = None

    @property
    def of_routers(self) -> dict[str, float]:
        """The routers' losses by name; nothing without experts."""
        if self.load_balance is None or self.router_z is None:
            return {}
        return {"load_balance": self.load_balance, "router_z": self.router_z}


def gradients(model: MM15, batches: Sequence[Batch], config: TrainConfig, workers: Workers) -> Losses:
    """Add the gradients of the step to the model's weights.

    Args:
        model: whole, or spread by `parallel.spread`.
        batches: this worker's micro-batches; may be none.
        config: of the stage.
        workers: who works on the step.

    Raises:
        ValueError: nothing in the batch carries loss.
    """
    supervised, tokens, positions = workers.sum_scalars(sum(int((batch.labels_BT != IGNORED).sum()) for batch in batches),
                                                 sum(int(batch.mask_BT.sum()) for batch in batches),
                                                 sum(batch.mask_BT.numel() for batch in batches))
    if not supervised:
        raise ValueError(f"no token of the step's {int(tokens)} carries loss")
    (passes,) = workers.max_scalars(len(batches))
    filled = [*batches, *[_idle(model)] * (int(passes) - len(batches))]
    counts = _choices(model, filled, config, workers) if model.config.decoder.experts and len(filled) > 1 else None
    totals = torch.zeros(3, dtype=torch.float64, device=workers.device)
    for batch in filled:
        placed = batch.to(workers.device)
        with _compute(config, workers):
            parts = _losses(model, placed, counts, config, workers, tokens=tokens)
            loss = parts[0] / supervised
            loss = loss + weighted(parts[1], parts[2]) if len(parts) > 1 else loss
        loss.backward()
        totals[: len(parts)] += torch.stack([part.detach().double() for part in parts])
    nats, balance, z = workers.sum_scalars(*totals.tolist())
    routed = {"load_balance": balance, "router_z": z} if model.config.decoder.experts else {}
    return Losses(loss=nats / supervised, supervised=int(supervised), tokens=int(tokens), positions=int(positions), **routed)


def _losses(model: MM15, batch: Batch, counts: Tensor | None, config: TrainConfig, workers: Workers, *, tokens: float) -> list[Tensor]:
    """Return the summed cross-entropy, and of a model with experts the parts of the routers' losses."""
    nats = model(batch, tokens=config.images.tokens)
    if not model.config.decoder.experts:
        return [nats]
    logits = model.router_logits
    if counts is None:
        counts = workers.all_reduce(choices(logits, batch.mask_BT, per_token=model.config.decoder.experts_per_token))
    return [nats, *router_losses(logits, batch.mask_BT, counts, tokens=tokens)]


@torch.no_grad()
def _choices(model: MM15, batches: Sequence[Batch], config: TrainConfig, workers: Workers) -> Tensor:
    """Count the routers' choices over the global batch, without gradients."""
    total: Tensor | None = None
    for batch in batches:
        placed = batch.to(workers.device)
        with _compute(config, workers):
            model(placed, tokens=config.images.tokens)
        counts = choices(model.router_logits, placed.mask_BT, per_token=model.config.decoder.experts_per_token)
        total = counts if total is None else total + counts
    assert total is not None
    return workers.all_reduce(total)


def _compute(config: TrainConfig, workers: Workers) -> torch.autocast | nullcontext[None]:
    return torch.autocast(workers.device.type, torch.bfloat16) if config.dtype == "bf16" else nullcontext()


def _idle(model: MM15) -> Batch:
    """Return a batch of one padded position."""
    side, nothing = model.config.vision.tile, torch.zeros(1, 1, dtype=torch.long)
    image_id = -1  # no token is an image
    return Batch(nothing, torch.full_like(nothing, IGNORED), nothing.bool(), torch.zeros(0, 3, side, side, dtype=torch.uint8), image_id)
