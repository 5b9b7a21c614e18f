"""Estimate how long stages will take, from similar finished stages at the same scale, else from the scale's own rate.

Pure.

- A stage costs FLOPs by formula. Finished stages show how many FLOPs per second workers reach, by scale, kind, class of
  device and numeric type: the rate of a small model on a CPU does not predict that of a large one on a GPU.
- A running stage reports its own speed. If no stage of a kind ever ran at the scale, the rate that the scale declares
  is used.
- Stages run at the same time in slots; a stage with several workers takes several. The time left is the work left
  divided by the slots, but at least the time of the longest stage.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedStage:
    """One stage, or several of a kind, as far as time estimates need to know."""

    kind: str
    flops: float
    largest_flops: float | None = None
    """FLOPs of the largest of several stages, because one stage cannot be spread over slots; None for a single stage.
    """
    seconds: float | None = None
    """Its duration in seconds, if it is finished."""
    is_done: bool = False
    fraction: float = 0.0
    """The fraction of it that is done, 0 to 1."""
    workers: int = 1
    """The slots that it takes. Its seconds and its rate are those of all its workers together."""
    key: str = ""
    """The key from `rate_key` that stages with the same rate share; empty means the kind alone."""
    rate: float | None = None
    """FLOPs per second by its last report, if it runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The time that the unfinished stages will take."""

    seconds: float
    declared_kinds: tuple[str, ...] = ()
    """Kinds of stage that never ran here at this scale, so that the scale's declared rate is used."""

    @property
    def is_measured(self) -> bool:
        """Whether measured stages set every rate."""
        return not self.declared_kinds


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """FLOPs per second at one scale, on the class of device that was used last."""

    declared: float
    """The rate that the scale declares."""
    measured: Mapping[str, float] = field(default_factory=dict)
    """Rates of finished stages by `rate_key`, and by kind alone for keys that never ran."""

    def of(self, key: str) -> tuple[float, bool]:
        """Return the rate of stages with this key, and whether any of their kind was measured."""
        found = self.measured.get(key) or self.measured.get(key.partition(" ")[0])
        return (found, True) if found else (self.declared, False)


def rate_key(kind: str, spec: Mapping[str, Any]) -> str:
    """Return the key of stages with the same rate: kind, numeric type, and for an evaluation the benchmark.

    FLOPs of an evaluation are computed for the longest answers, which some benchmarks need and others never do.
    """
    config = spec.get("config") or {}
    parts = (kind, config.get("dtype", "fp32"), spec.get("benchmark"))
    return " ".join(str(part) for part in parts if part)


def time_left(works: Sequence[TimedStage], *, slots: int, rates: Rates) -> Estimate:
    """Estimate when all of `works` will be finished.

    Args:
        works: all stages of a plan or study. Finished ones set the rate of their kind and add no time.
        slots: the number of stages that run at the same time, >= 1.
        rates: rates for kinds without a finished or running stage among `works`.
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
    """Return the FLOPs per second of finished stages, for each kind that has any."""
    flops: dict[str, float] = defaultdict(float)
    seconds: dict[str, float] = defaultdict(float)
    for work in works:
        if work.is_done and work.seconds and work.flops > 0:
            flops[work.kind] += work.flops
            seconds[work.kind] += work.seconds
    return {kind: flops[kind] / seconds[kind] for kind in flops}


def _running_rates(works: Iterable[TimedStage]) -> dict[str, float]:
    """Return the mean rate that running stages report, for each kind that has any."""
    found: dict[str, list[float]] = defaultdict(list)
    for work in works:
        if work.rate:
            found[work.kind].append(work.rate)
    return {kind: sum(each) / len(each) for kind, each in found.items()}


def _left(work: TimedStage) -> float:
    return 1 - min(max(work.fraction, 0.0), 1.0)
