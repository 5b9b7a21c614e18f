"""The one training loop.

- The loss is the sum over supervised tokens divided by their number in the whole batch, whatever the micro-batch.
- A non-finite loss or gradient stops before the optimiser moves: divergence is a result, not a crash.
- Stop and resume equals straight through, bit for bit on a CPU: data come from (seed, step) alone, the rest is in the checkpoint.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from model.config import TrainConfig
from model.data.conversation import Encoded, Encoder
from model.mm15 import MM15
from model.training import checkpoints
from model.training.optimisers import learning_rate, optimiser
from model.training.tally import Tally

HISTORY = 50
"""Losses kept for the record of a divergence."""

Report = Callable[[dict[str, Any]], None]
BatchOf = Callable[[int], list[Encoded]]
"""From an optimiser step to its samples."""


class Diverged(ValueError):
    """The loss or the gradient became non-finite; `record` says where."""

    def __init__(self, record: dict[str, Any]) -> None:
        """Keep the record for the ledger."""
        super().__init__(f"non-finite {record['what']} at step {record['step']}; last losses {record['losses'][-3:]}")
        self.record = record


class Stopped(Exception):  # noqa: N818 - an event, not an error
    """Training was asked to stop; a checkpoint lies behind it."""


def train(model: MM15, encoder: Encoder, batch_of: BatchOf, config: TrainConfig, *, folder: Path, report: Report,
          should_stop: Callable[[], bool], tally: Tally) -> dict[str, Any]:
    """Train from the newest checkpoint in `folder`, or from the start.

    Returns:
        totals over the whole stage: samples, tokens, supervised tokens, last loss, seconds of this attempt; `tally` holds them by
        source.

    Raises:
        Diverged: non-finite loss or gradient norm.
        Stopped: `should_stop` said so; a checkpoint was written first.
    """
    movement = optimiser(model, config)
    first, totals = checkpoints.resume(folder, model, movement, on_corrupt=lambda text: report({"corrupt": text}))
    tally.restore(totals.pop("tally", tally.state()))
    totals = totals or {"samples": 0, "tokens": 0, "supervised": 0, "loss": math.nan}
    losses: deque[float] = deque(maxlen=HISTORY)
    began, model = time.monotonic(), model.train()
    for step in range(first, config.steps):
        if should_stop():
            checkpoints.save(folder, model, movement, step=step, extra={**totals, "tally": tally.state()})
            raise Stopped(f"stopped before step {step} of {config.steps}")
        encoded = batch_of(step)
        tally.add(encoded)
        for group in movement.param_groups:
            group["lr"] = learning_rate(step, config)
        losses.append(_backward(model, encoder, encoded, config))
        _check(losses, "loss", losses[-1], step)
        norm = float(torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip or math.inf))
        _check(losses, "gradient norm", norm, step)
        movement.step()
        movement.zero_grad(set_to_none=True)
        totals = {"samples": totals["samples"] + len(encoded), "tokens": totals["tokens"] + sum(len(e.ids) for e in encoded),
                  "supervised": totals["supervised"] + sum(e.num_supervised for e in encoded), "loss": losses[-1]}
        done = step + 1
        report({"step": done, "steps": config.steps, "lr": learning_rate(step, config), "gradient_norm": norm, **totals,
                "samples_per_s": (done - first) * config.batch / (time.monotonic() - began)})
        if done % config.checkpoint_every == 0 and done < config.steps:
            checkpoints.save(folder, model, movement, step=done, extra={**totals, "tally": tally.state()})
    return {**totals, "seconds": time.monotonic() - began, "resumed_from": first}


def _backward(model: MM15, encoder: Encoder, encoded: Sequence[Encoded], config: TrainConfig) -> float:
    """Accumulate gradients over micro-batches; return the loss in nats per supervised token."""
    supervised = sum(each.num_supervised for each in encoded)
    # Sequences of like length together: padding would cost up to half of the time.
    encoded = sorted(encoded, key=lambda each: len(each.ids))
    size = config.micro_batch or len(encoded)
    device = next(model.parameters()).device
    total = 0.0
    for start in range(0, len(encoded), size):
        batch = encoder.collate(encoded[start : start + size]).to(device)
        with torch.autocast(device.type, torch.bfloat16) if config.dtype == "bf16" else nullcontext():
            loss = model(batch, tokens=config.images.tokens) / supervised
        loss.backward()
        total += float(loss.detach())
    return total


def _check(losses: Sequence[float], what: str, value: float, step: int) -> None:
    if not math.isfinite(value):
        raise Diverged({"what": what, "step": step, "value": str(value), "losses": list(losses)})
