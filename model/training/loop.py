"""The one training loop.

- The loss is the sum over supervised tokens divided by their number in the whole batch, however it is split or packed.
- A non-finite loss or gradient stops before the optimiser moves: divergence is a result, not a crash.
- Stop and resume equals straight through, bit for bit on a CPU: data come from (seed, step) alone, the rest is in the checkpoint.
"""

from __future__ import annotations

import math
import resource
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.distributed.tensor import DTensor

from model.config.stages import TrainConfig
from model.data.step import Seen, Step
from model.network.attention import use_packed_attention
from model.network.mm15 import MM15
from model.training import checkpoints
from model.training.gradients import gradients
from model.training.optimizer import learning_rate, optimiser
from model.training.parallel import World
from model.training.tally import Tally
from model.training.throughput import Meter, step_flops

HISTORY = 50
"""Losses kept for the record of a divergence."""

Report = Callable[[dict[str, Any]], None]
StepOf = Callable[[int], Step]
"""From the number of an optimiser step to this worker's part of it."""


class Diverged(ValueError):
    """The loss or the gradient became non-finite; `record` holds what, step, value, the last losses and the step's sample ids."""

    def __init__(self, record: dict[str, Any]) -> None:
        """Keep the record for the ledger."""
        super().__init__(f"non-finite {record['what']} at step {record['step']}; last losses {record['losses'][-3:]}")
        self.record = record


class Stopped(Exception):  # noqa: N818 - an event, not an error
    """Training was asked to stop; a checkpoint lies behind it."""


def train(model: MM15, step_of: StepOf, config: TrainConfig, *, folder: Path, report: Report, should_stop: Callable[[], bool],
          tally: Tally, workers: World | None = None) -> dict[str, Any]:
    """Train from the newest checkpoint in `folder`, or from the start.

    Args:
        model: on its device, spread over the workers if there are several.
        step_of: this worker's part of an optimiser step.
        config: of the stage.
        folder: of checkpoints to resume from.
        report: told every step.
        should_stop: asked before every step, at the first worker.
        tally: counts the samples of all workers.
        workers: who trains together; None is this process alone.

    Returns:
        totals over the whole stage: samples, tokens, supervised tokens, last loss; of this attempt: seconds, the share of them
        that it waited for samples, and the share of positions that held tokens; `tally` holds the totals by source.

    Raises:
        Diverged: non-finite loss or gradient norm.
        Stopped: `should_stop` said so; a checkpoint was written first.
    """
    freeze(model, config)
    device = next(model.parameters()).device
    if config.pack:
        use_packed_attention(model.decoder, device)
    workers, movement = workers or World(device), optimiser(model, config)
    first, totals = checkpoints.resume(folder, model, movement, workers=workers, on_corrupt=lambda text: report({"corrupt": text}))
    tally.restore(totals.pop("tally", tally.state()))
    totals = totals or {"samples": 0, "tokens": 0, "supervised": 0, "loss": math.nan}
    losses: deque[float] = deque(totals.pop("losses", ()), maxlen=HISTORY)
    meter = Meter(torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu", config.dtype,
                  devices=workers.size)
    began, model = time.monotonic(), model.train()
    tokens = positions = 0

    def keep(steps_done: int) -> None:
        extra = {**totals, "tally": tally.state(), "losses": list(losses)}
        checkpoints.save(folder, model, movement, step=steps_done, extra=extra, workers=workers)

    for step in range(first, config.steps):
        if any(workers.sums(workers.is_first and should_stop())):
            keep(step)
            raise Stopped(f"stopped before step {step} of {config.steps}")
        asked = time.monotonic()
        ours = step_of(step)
        waited = time.monotonic() - asked
        everything = workers.all_of(list(ours.seen))
        shown = replace(config, images=ours.images)
        tally.add(everything)
        for group in movement.param_groups:
            group["lr"] = learning_rate(step, config)
        found = gradients(model, ours.batches, shown, workers)
        losses.append(found.loss)
        _check(losses, "loss", losses[-1], step, everything)
        norm = _clip(model, config.clip)
        _check(losses, "gradient norm", norm, step, everything)
        movement.step()
        movement.zero_grad(set_to_none=True)
        totals = {"samples": totals["samples"] + len(everything), "tokens": totals["tokens"] + found.tokens,
                  "supervised": totals["supervised"] + found.supervised, "loss": losses[-1]}
        tokens, positions = tokens + found.tokens, positions + found.positions
        done = step + 1
        flops, = workers.sums(step_flops(model.config, shown, ours.seen))
        report({"step": done, "steps": config.steps, "lr": learning_rate(step, config), "gradient_norm": norm, **totals, **found.of_routers,
                "filled": found.tokens / found.positions, **meter.step(len(everything), flops, waited=waited),
                "peak_memory_gib": _peak_memory(device)})
        if done % config.checkpoint_every == 0 and done < config.steps:
            keep(done)
    seconds = time.monotonic() - began
    return {**totals, "filled": tokens / max(positions, 1), "data_wait": meter.waited_s / max(seconds, 1e-9), "seconds": seconds,
            "resumed_from": first}


def _peak_memory(device: torch.device) -> float:
    """Return the most memory held so far, in GiB: of the device, or of this process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def freeze(model: MM15, config: TrainConfig) -> None:
    """Let the parts learn that the stage does not freeze."""
    for part, is_frozen in (("vision", config.freeze_vision), ("connector", config.freeze_connector), ("decoder", config.freeze_decoder)):
        getattr(model, part).requires_grad_(not is_frozen)


def _clip(model: MM15, largest: float) -> float:
    """Scale the gradients down to a norm, 0 for none; return the norm that they had, over all workers."""
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), largest or math.inf)
    return float(norm.full_tensor() if isinstance(norm, DTensor) else norm)


def _check(losses: Sequence[float], what: str, value: float, step: int, samples: Sequence[Seen]) -> None:
    if not math.isfinite(value):
        raise Diverged({"what": what, "step": step, "value": str(value), "losses": list(losses),
                        "samples": [each.name for each in samples]})
