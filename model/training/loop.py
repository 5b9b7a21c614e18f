"""The training loop. There is one, for all stages.

- The loss is the sum over supervised tokens divided by their number in the whole batch, however the batch is split or
  packed.
- A non-finite loss or gradient stops the stage before the optimizer moves a weight: divergence is a result, no crash.
- A stage that was stopped and resumed equals one that ran through, bit for bit on a CPU: the samples of a step follow
  from (seed, step) alone, and a checkpoint holds everything else.
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

from model.config.packable import require_packable
from model.config.routing import require_plain_routing
from model.config.stages import TrainConfig
from model.data.step import Step, TokensSeen
from model.network.attention import use_packed_attention
from model.network.mm15 import MM15
from model.training import checkpoints
from model.training.fused import FusedAdafactor
from model.training.gradients import gradients
from model.training.low_weights import LowWeights
from model.training.optimizer import make_optimizer
from model.training.parallel import Workers
from model.training.schedule import learning_rate
from model.training.tally import Tally
from model.training.throughput import Meter, step_flops

HISTORY = 50
"""Number of latest losses that are kept for the record of a divergence."""

Report = Callable[[dict[str, Any]], None]
"""A function that receives the progress of each step, as JSON values by name."""
StepOf = Callable[[int], Step]
"""A function from the number of an optimizer step, counted from 0, to this worker's share of its samples."""


class Diverged(ValueError):
    """The loss or the gradient norm became non-finite.

    `record` holds what diverged, the step, the value, the latest losses and the names of the step's samples.
    """

    def __init__(self, record: dict[str, Any]) -> None:
        super().__init__(f"non-finite {record['what']} at step {record['step']}; last losses {record['losses'][-3:]}")
        self.record = record


class Stopped(Exception):  # noqa: N818 - an event, not an error
    """Training was asked to stop and has written a checkpoint to resume from."""


def train(model: MM15, step_of: StepOf, config: TrainConfig, *, folder: Path, report: Report,
          should_stop: Callable[[], bool], tally: Tally, workers: Workers | None = None,
          trunk: Path | None = None) -> dict[str, Any]:
    """Train from the newest checkpoint in `folder`, or from the first step if there is none. Every worker must call this.

    Args:
        model: on its device; sharded if there are several workers.
        step_of: returns this worker's share of an optimizer step.
        config: the configuration of the stage.
        folder: where checkpoints to resume from are read and written.
        report: called after every step, and for every checkpoint that is skipped.
        should_stop: called before every step, at the first worker only.
        tally: counts the samples of all workers.
        workers: the workers that train together; None is this process alone.
        trunk: where the checkpoint of step `config.begin` lies, from which the stage goes on; None begins with step 0.

    Returns:
        totals over all attempts of the stage (`samples`, `tokens`, `supervised` tokens, last `loss`) and, of this attempt alone,
        its `seconds`, `data_wait` (share of them spent waiting for samples, 0 to 1), `filled` (share of positions that
        held tokens, 0 to 1) and `resumed_from` (step). Totals by source are in `tally`.

    Raises:
        FieldError: the stage packs rows, and the decoder would mix the samples of a row; or its routers choose experts in
            a way that the load-balance loss does not describe.
        Diverged: the loss or the gradient norm is not finite.
        Stopped: `should_stop` returned true; a checkpoint was written first.
    """
    # Before the optimizer is made: it holds state for trainable weights only.
    freeze(model, config)
    device = next(model.parameters()).device
    require_plain_routing(model.config.decoder)
    if config.pack:
        require_packable(model.config.decoder, max_tokens=config.max_tokens)
        # Packed rows need masks that keep samples apart; the attention function for them depends on the device.
        use_packed_attention(model.decoder, device)
    workers, optimizer = workers or Workers(device), make_optimizer(model, config)
    is_fused = isinstance(optimizer, FusedAdafactor)  # it scales the gradients down itself
    low = LowWeights(model) if config.speed.cast_once and workers.mesh is None else None
    first, totals = _begun(model, optimizer, config, folder=folder, trunk=trunk, workers=workers, report=report)
    # A checkpoint keeps one JSON object: without the tally and the latest losses, the totals remain.
    tally.restore(totals.pop("tally", tally.state()))
    totals = totals or {"samples": 0, "tokens": 0, "supervised": 0, "loss": math.nan}
    losses: deque[float] = deque(totals.pop("losses", ()), maxlen=HISTORY)
    meter = Meter(torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu", config.dtype,
                  devices=workers.size)
    began, model = time.monotonic(), model.train()
    tokens = positions = 0

    def keep(steps_done: int) -> None:
        extra = {**totals, "tally": tally.state(), "losses": list(losses)}
        checkpoints.save(folder, model, optimizer, step=steps_done, extra=extra, workers=workers)

    for step in range(first, config.steps):
        # The first worker decides for all of them: one that stopped by itself would leave the others waiting in their
        # next collective. The sum tells the decision to every worker before the same step.
        if any(workers.sum_scalars(workers.is_first and should_stop())):
            keep(step)
            raise Stopped(f"stopped before step {step} of {config.steps}")
        asked = time.monotonic()
        share = step_of(step)
        waited = time.monotonic() - asked
        # In the order of the batch, so that the tally and the record of a divergence do not depend on the number of
        # workers. Every worker counts all samples: a source with too many broken ones fails everywhere at once.
        seen = workers.all_gather(list(share.seen))
        # FLOPs and losses are those of the image setting that this step drew, not of the stage's own.
        shown = replace(config, images=share.images, clip=0.0 if is_fused else config.clip)
        tally.add(seen)
        # The rate follows from the step alone and is set anew each time: a checkpoint need not hold it.
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, config) * group["lr_scale"]
        result = gradients(model, share.batches, shown, workers, low=low)
        # Before the check, so that the record of a divergence shows the non-finite loss after those that led to it.
        losses.append(result.loss)
        # Both checks come before the optimizer moves a weight, on the host, and on figures that are the same at every
        # worker: all of them raise, and the last checkpoint holds weights from before the divergence.
        _check(losses, "loss", losses[-1], step, seen)
        _check(losses, "gradient norm", result.norm, step, seen)
        if isinstance(optimizer, FusedAdafactor):
            optimizer.clip(result.norm, config.clip)
        optimizer.step()
        # None rather than zeros: the memory of the gradients is free while the next batch is prepared.
        optimizer.zero_grad(set_to_none=True)
        totals = {"samples": totals["samples"] + len(seen), "tokens": totals["tokens"] + result.tokens,
                  "supervised": totals["supervised"] + result.supervised, "loss": losses[-1]}
        tokens, positions = tokens + result.tokens, positions + result.positions
        done = step + 1
        # A worker counts the FLOPs of its own samples; every worker takes part in the sum, the first one reports it.
        flops, = workers.sum_scalars(step_flops(model.config, shown, share.seen))
        report({"step": done, "steps": config.steps, "lr": learning_rate(step, config), "gradient_norm": result.norm, **totals,
                **result.of_routers, "filled": result.tokens / result.positions,
                **meter.step(len(seen), flops, waited=waited), "peak_memory_gib": _peak_memory(device)})
        # No checkpoint after the last step: the stage publishes the trained model instead. At a branching point it
        # publishes both.
        if done == config.steps and config.keeps_state or done % config.checkpoint_every == 0 and done < config.steps:
            keep(done)
    seconds = time.monotonic() - began
    return {**totals, "filled": tokens / max(positions, 1), "data_wait": meter.waited_s / max(seconds, 1e-9),
            "seconds": seconds, "resumed_from": first}


def _begun(model: MM15, optimizer: torch.optim.Optimizer, config: TrainConfig, *, folder: Path, trunk: Path | None,
           workers: Workers, report: Report) -> tuple[int, dict[str, Any]]:
    """Load the newest checkpoint of this stage, or the state at the branching point that it goes on from."""
    def newest(place: Path) -> tuple[int, dict[str, Any]]:
        return checkpoints.resume(place, model, optimizer, workers=workers,
                                  on_corrupt=lambda text: report({"corrupt": text}))

    first, totals = newest(folder)
    if first or trunk is None:
        return first, totals
    first, totals = newest(trunk)
    if first != config.begin:
        raise ValueError(f"{trunk}: no state of step {config.begin}, from which the stage goes on; found: step {first}")
    # Each part of a stage counts its own samples, so that the parts of a trial add up. What was broken stays known.
    return first, {**totals, "samples": 0, "tokens": 0, "supervised": 0, "tally": {**totals["tally"], "counts": {}}}


def _peak_memory(device: torch.device) -> float:
    """Return the largest memory use so far, in GiB: of the device, or of this process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # Linux counts it in KiB


def freeze(model: MM15, config: TrainConfig) -> None:
    """Mark encoder, connector and decoder as trainable or frozen, as the stage says."""
    for part, is_frozen in (("vision", config.freeze_vision), ("connector", config.freeze_connector),
                            ("decoder", config.freeze_decoder)):
        getattr(model, part).requires_grad_(not is_frozen)


def _check(losses: Sequence[float], what: str, value: float, step: int, samples: Sequence[TokensSeen]) -> None:
    if not math.isfinite(value):
        raise Diverged({"what": what, "step": step, "value": str(value), "losses": list(losses),
                        "samples": [each.name for each in samples]})
