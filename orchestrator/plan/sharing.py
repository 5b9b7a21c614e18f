"""What sharing saves: stages that several trials ask for, or that the ledger has already, are executed once. Pure.

- What is saved is what is not executed: the uses of a stage but one, or all of them where an earlier study has it.
- Time is of stages one after the other; GPU-hours count the devices that a stage holds meanwhile, 0 where it holds none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from model.config.stages import TRAINING


class StageUse(NamedTuple):
    """One distinct stage."""

    kind: str
    uses: int
    """Trials that ask for it."""
    is_known: bool
    """Whether an earlier study executed it."""
    seconds: float
    """What it takes, measured or estimated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """What need not be executed."""

    stages: int
    seconds: float
    gpu_hours: float


def saving(stages: Iterable[StageUse], *, gpus: float, workers: int) -> Saving:
    """Add up what sharing saves.

    Args:
        stages: the distinct stages of a study, without imports.
        gpus: that a training stage holds, all its workers together; an evaluation holds one worker's.
        workers: of a training stage, >= 1.
    """
    number, seconds, gpu_s = 0, 0.0, 0.0
    for stage in stages:
        spared = stage.uses - (not stage.is_known)
        number += spared
        seconds += spared * stage.seconds
        gpu_s += spared * stage.seconds * (gpus if stage.kind in TRAINING else gpus / workers)
    return Saving(stages=number, seconds=seconds, gpu_hours=gpu_s / 3600)
