"""How long stages will take: from what stages of the same kind took before, else from the scale's own rate. Pure.

- A stage costs FLOPs by formula; finished stages of its kind say how many FLOPs a second this ledger's workers reach.
- Without any finished stage of the kind the rate that the scale declares stands in (`is_measured` is False then).
- Stages run side by side in slots, one of several workers in several: the time left is the work left divided by the slots,
  never below the longest stage.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedStage:
    """One stage, or several of a kind, as far as their time goes."""

    kind: str
    flops: float
    largest_flops: float | None = None
    """Of the largest of several stages, since one stage runs in one slot; None for a single stage."""
    seconds: float | None = None
    """What it took, if it is finished."""
    is_done: bool = False
    fraction: float = 0.0
    """How much of it is already done, 0 to 1."""
    workers: int = 1
    """Slots that it takes; its seconds and its rate are those of all its workers together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The time that the unfinished stages will take."""

    seconds: float
    is_measured: bool
    """False where the declared rate stood in for a kind of stage that never ran here."""


def rates(works: Iterable[TimedStage]) -> dict[str, float]:
    """Return FLOPs per second reached by finished stages, for each kind that has any."""
    flops: dict[str, float] = defaultdict(float)
    seconds: dict[str, float] = defaultdict(float)
    for work in works:
        if work.is_done and work.seconds and work.flops > 0:
            flops[work.kind] += work.flops
            seconds[work.kind] += work.seconds
    return {kind: flops[kind] / seconds[kind] for kind in flops}


def time_left(works: Sequence[TimedStage], *, slots: int, declared: float, measured: Mapping[str, float]) -> Estimate:
    """Estimate when all of `works` will be finished.

    Args:
        works: all stages of a plan or study; finished ones set the rate and add nothing.
        slots: stages that run at the same time, >= 1.
        declared: FLOPs per second of one slot as the scale says.
        measured: FLOPs per second known from elsewhere, for kinds without a finished stage among `works`.
    """
    known = {**measured, **rates(works)}
    left = [work for work in works if not work.is_done and work.flops > 0]
    rate = {work.kind: known.get(work.kind, declared) for work in left}
    total = sum(work.flops * _left(work) / rate[work.kind] * work.workers for work in left)
    longest = max(((work.largest_flops or work.flops) * _left(work) / rate[work.kind] for work in left), default=0.0)
    seconds = max(total / max(slots, 1), longest)
    return Estimate(seconds=seconds, is_measured=all(work.kind in known for work in left))


def _left(work: TimedStage) -> float:
    return 1 - min(max(work.fraction, 0.0), 1.0)
