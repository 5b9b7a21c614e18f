"""Compute what sharing saves: a stage that several trials need, or that the ledger has already, is executed once.

- Of a stage that this study executes, all uses but one are saved; of one that an earlier study executed, all uses.
- Times are added as if stages ran one after the other. GPU-hours are these times multiplied by the GPUs of a stage.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from model.config.stages import TRAINING


class StageUse(NamedTuple):
    """A distinct stage of a study, and how often it is used."""

    kind: str
    uses: int
    """The number of trials that need it."""
    is_known: bool
    """Whether an earlier study executed it."""
    seconds: float
    """Its duration in seconds, measured or estimated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """The stages that need not be executed, and their time."""

    stages: int
    seconds: float
    gpu_hours: float


def saving(stages: Iterable[StageUse], *, gpus: float, workers: int) -> Saving:
    """Return what sharing saves.

    Args:
        stages: the distinct stages of a study, without imports.
        gpus: the GPUs of all workers of a training stage together; an evaluation has those of one worker.
        workers: the number of workers of a training stage, >= 1.
    """
    number, seconds, gpu_s = 0, 0.0, 0.0
    for stage in stages:
        spared = stage.uses - (not stage.is_known)
        number += spared
        seconds += spared * stage.seconds
        gpu_s += spared * stage.seconds * (gpus if stage.kind in TRAINING else gpus / workers)
    return Saving(stages=number, seconds=seconds, gpu_hours=gpu_s / 3600)
