"""Find confounds: what differs between arms although the study does not vary it. Pure.

- Arms that are compared must have seen the same number of samples in the same number of steps, by the same schedule, in
  the same order of data, with the same threads, on the same class of device, with the same versions, unless that is the
  factor.
- The check compares the resolved configurations of the trials and the records of the accepted attempts, not what the
  study's author intended.
- Numbers of tokens follow from mixture and images, so they differ by design. They are reported side by side, not
  flagged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from model.config.stages import TRAINING

_SCHEDULE = ("lr", "warmup_steps", "schedule", "decay_steps", "final_lr", "optimizer", "weight_decay", "clip", "dtype", "threads",
             "max_tokens")
_MISSING = "not trained"


class Executed(NamedTuple):
    """One finished stage of a trial."""

    kind: str
    result: Mapping[str, Any]
    """What the attempt returned: totals, and `environment` with device and versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One trial, as this check sees it."""

    arm: str
    """The arm's key."""
    seed: int
    config: Mapping[str, Any]
    """The resolved trial configuration."""
    stages: Sequence[Executed]
    is_done: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Confound:
    """One setting that differs between arms and is no factor."""

    what: str
    values: dict[str, str]
    """Arm key -> its value."""
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleInfo:
    """How much data an arm was trained on: the mean over its finished trials."""

    samples: float
    tokens: float
    supervised: float


def confounds(runs: Sequence[Run], names: Mapping[str, str], factors: Iterable[str]) -> tuple[Confound, ...]:
    """Return what differs between arms and is no factor.

    Args:
        runs: all trials of the study.
        names: arm key -> name.
        factors: paths that the study varies; paths below a factor differ because of it and are skipped.
    """
    factors = tuple(factors)
    found = [_configured(path, what, runs) for path, what in _paths(runs) if not _is_factor(path, factors)]
    found += [_recorded(name, kind, runs) for kind in ("training", "evaluation") for name in _facts(runs, kind)]
    found.append(_seeds(runs))
    return tuple(_told(what, values, names) for what, values in found if len(set(values.values())) > 1)


def seen(runs: Sequence[Run]) -> dict[str, SampleInfo]:
    """Return arm -> samples and tokens of its training stages. Arms that trained nothing are left out."""
    by_arm: dict[str, list[Run]] = {}
    for run in runs:
        if run.is_done:
            by_arm.setdefault(run.arm, []).append(run)
    found = {}
    for arm, mine in by_arm.items():
        totals = {
            name: sum(float(each.result.get(name) or 0) for run in mine for each in run.stages if each.kind in TRAINING)
            / len(mine)
            for name in ("samples", "tokens", "supervised")
        }
        if totals["samples"]:
            found[arm] = SampleInfo(**totals)
    return found


Values = tuple[str, dict[str, str]]


def _paths(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """Return the paths to compare, each with its readable name."""
    kinds = [kind for kind in TRAINING if any(run.config.get(kind) for run in runs)]
    found = [
        (f"{kind}.{name}", f"{kind} {name.replace('_', ' ')}")
        for kind in kinds
        for name in ("steps", "batch", *_SCHEDULE)
    ]
    return [
        *found,
        *((f"data.{name}", f"data {name}") for name in ("source", "seed")),
        ("evaluate.num_items", "items of a benchmark"),
        ("evaluate.threads", "evaluation threads"),
    ]


def _is_factor(path: str, factors: Sequence[str]) -> bool:
    return any(path == factor or path.startswith(factor + ".") for factor in factors)


def _configured(path: str, what: str, runs: Sequence[Run]) -> Values:
    values: dict[str, str] = {}
    for run in runs:
        part, _, name = path.partition(".")
        own = run.config.get(part)
        value = own.get(name) if isinstance(own, Mapping) else _MISSING
        values[run.arm] = "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
    return what, values


def _facts(runs: Sequence[Run], kind: str) -> list[str]:
    return list(
        dict.fromkeys(name for run in runs for each in _of(run, kind) for name in each.result.get("environment", {}))
    )


def _of(run: Run, kind: str) -> list[Executed]:
    return [
        each for each in run.stages if (each.kind == "evaluate") == (kind == "evaluation") and each.kind != "import"
    ]


def _recorded(name: str, kind: str, runs: Sequence[Run]) -> Values:
    """Return what each arm's stages ran with. Several values within an arm differ between its seeds or stages."""
    values: dict[str, set[str]] = {}
    for run in runs:
        for each in _of(run, kind):
            known = each.result.get("environment", {}).get(name)
            if known:
                values.setdefault(run.arm, set()).add(known)
    return f"{kind} {name}", {arm: " and ".join(sorted(own)) for arm, own in values.items()}


def _seeds(runs: Sequence[Run]) -> Values:
    values: dict[str, list[int]] = {}
    for run in runs:
        own = values.setdefault(run.arm, [])
        if run.is_done:
            own.append(run.seed)
    is_open = any(not own for own in values.values())
    return "seeds", {} if is_open else {arm: ", ".join(map(str, sorted(own))) for arm, own in values.items()}


def _told(what: str, values: dict[str, str], names: Mapping[str, str]) -> Confound:
    groups: dict[str, list[str]] = {}
    for arm, value in values.items():
        groups.setdefault(value, []).append(names.get(arm, arm))
    parts = [
        f"{value} ({', '.join(arms[:3])}{f' and {len(arms) - 3} more' if len(arms) > 3 else ''})"
        for value, arms in groups.items()
    ]
    return Confound(what=what, values=values, sentence=f"{what} differs between arms: {'; '.join(parts)}")
