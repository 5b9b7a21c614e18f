"""How long stages will take: from what their like took before at the same scale, else from the scale's own rate. Pure.

- A stage costs FLOPs by formula; finished stages say how many FLOPs a second the workers reach, by scale, kind, class
  of device and numeric type: the rate of a small model on a CPU says nothing of a large one on a GPU.
- What runs now says it itself. Where nothing of a kind ever ran at the scale, the rate that the scale declares stands
  in.
- Stages run side by side in slots, one of several workers in several: the time left is the work left divided by the
  slots, never below the longest stage.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


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
    key: str = ""
    """What it shares with stages that take as long, by `rate_key`; empty is the kind alone."""
    rate: float | None = None
    """FLOPs per second that it reports now, if it runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The time that the unfinished stages will take."""

    seconds: float
    declared_kinds: tuple[str, ...] = ()
    """Kinds of stage that never ran here at this scale: the rate that the scale declares stands in."""

    @property
    def is_measured(self) -> bool:
        """Whether measured stages set every rate."""
        return not self.declared_kinds


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """FLOPs per second at one scale, on the class of device that worked there last."""

    declared: float
    """As the scale says."""
    measured: Mapping[str, float] = field(default_factory=dict)
    """Of finished stages: by `rate_key`, and by kind alone for what never ran in this way."""

    def of(self, key: str) -> tuple[float, bool]:
        """Return the rate of stages with this key, and whether any of their kind was measured."""
        found = self.measured.get(key) or self.measured.get(key.partition(" ")[0])
        return (found, True) if found else (self.declared, False)


def rate_key(kind: str, spec: Mapping[str, Any]) -> str:
    """Return what stages share that take their FLOPs at one rate: kind, numeric type, and of an evaluation the benchmark.

    FLOPs of an evaluation are counted for the longest answers, which some benchmarks need and others never do.
    """
    config = spec.get("config") or {}
    parts = (kind, config.get("dtype", "fp32"), spec.get("benchmark"))
    return " ".join(str(part) for part in parts if part)


def time_left(works: Sequence[TimedStage], *, slots: int, rates: Rates) -> Estimate:
    """Estimate when all of `works` will be finished.

    Args:
        works: all stages of a plan or study; finished ones set the rate of their kind and add nothing.
        slots: stages that run at the same time, >= 1.
        rates: known from elsewhere, for kinds without a finished or running stage among `works`.
    """
    own = _running_rates(works) | _finished_rates(works)
    left = [work for work in works if not work.is_done and work.flops > 0]
    known = [(work.rate or own.get(work.kind), *rates.of(work.key or work.kind)) for work in left]
    speeds = [mine or other for mine, other, _ in known]
    total = sum(work.flops * _left(work) / speed * work.workers for work, speed in zip(left, speeds, strict=True))
    longest = max(
        ((work.largest_flops or work.flops) * _left(work) / speed for work, speed in zip(left, speeds, strict=True)),
        default=0.0,
    )
    declared = dict.fromkeys(
        work.kind for work, (mine, _, is_measured) in zip(left, known, strict=True) if not (mine or is_measured)
    )
    return Estimate(seconds=max(total / max(slots, 1), longest), declared_kinds=tuple(declared))


def _finished_rates(works: Iterable[TimedStage]) -> dict[str, float]:
    """Return FLOPs per second reached by finished stages, for each kind that has any."""
    flops: dict[str, float] = defaultdict(float)
    seconds: dict[str, float] = defaultdict(float)
    for work in works:
        if work.is_done and work.seconds and work.flops > 0:
            flops[work.kind] += work.flops
            seconds[work.kind] += work.seconds
    return {kind: flops[kind] / seconds[kind] for kind in flops}


def _running_rates(works: Iterable[TimedStage]) -> dict[str, float]:
    """Return the mean of what running stages report, for each kind that has any."""
    found: dict[str, list[float]] = defaultdict(list)
    for work in works:
        if work.rate:
            found[work.kind].append(work.rate)
    return {kind: sum(each) / len(each) for kind, each in found.items()}


def _left(work: TimedStage) -> float:
    return 1 - min(max(work.fraction, 0.0), 1.0)
