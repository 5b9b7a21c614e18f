"""What each arm was trained on, by source: samples asked for and drawn, tokens, passes. A pure function of results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_COUNTS = ("asked", "samples", "tokens", "supervised", "broken")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSeen:
    """One source in one training stage of an arm: means over the arm's trials."""

    arm_key: str
    kind: str
    """pretrain, continual or sft."""
    source: str
    asked: float
    """Samples that the mixture asks for."""
    samples: float
    tokens: float
    supervised: float
    """Tokens that contribute to the loss."""
    passes: float | None
    """How many times the data set was used up; None for a source without end."""
    broken: float
    """Samples that could not be read and were replaced by others."""
    filled: float | None
    """Share of the stage's token positions that held tokens, over all sources; None where it was not measured."""
    data_wait: float | None
    """Share of the stage's time in which training waited for samples; None where it was not measured."""
    num_trials: int


def supplied(trials: Sequence[tuple[str, Sequence[str]]],
             stages: Mapping[str, tuple[str, Mapping[str, Any] | None]]) -> tuple[DataSeen, ...]:
    """Return what the arms were trained on, in the order of trials, stages and sources.

    Args:
        trials: arm key and stage ids of each trial.
        stages: stage id -> its kind and its result, None without a result.
    """
    found: dict[tuple[str, str, str], list[list[tuple[Mapping[str, Any], Mapping[str, Any]]]]] = {}
    for arm_key, stage_ids in trials:
        parts: dict[tuple[str, str], list[tuple[Mapping[str, Any], Mapping[str, Any]]]] = {}
        for stage_id in stage_ids:
            kind, result = stages.get(stage_id, ("", None))
            for source, row in (result or {}).get("sources", {}).items():
                parts.setdefault((kind, source), []).append((row, result or {}))
        for key, seen in parts.items():
            found.setdefault((arm_key, *key), []).append(seen)
    return tuple(_mean(*key, [_together([row for row, _ in seen]) for seen in trials],
                       [result for seen in trials for _, result in seen]) for key, trials in found.items())


def _together(parts: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return what the parts of a stage that was cut at branching points drew together."""
    if len(parts) == 1:
        return parts[0]
    names = (*_COUNTS, *(("passes",) if "passes" in parts[0] else ()))
    return {name: sum(each.get(name, 0) for each in parts) for name in names}


def _mean(
    arm_key: str, kind: str, source: str, rows: Sequence[Mapping[str, Any]], results: Sequence[Mapping[str, Any]]
) -> DataSeen:
    mean = {name: sum(row.get(name, 0) for row in rows) / len(rows) for name in _COUNTS}
    passes = sum(row["passes"] for row in rows) / len(rows) if "passes" in rows[0] else None
    return DataSeen(arm_key=arm_key, kind=kind, source=source, passes=passes, filled=_share(results, "filled"),
                    data_wait=_share(results, "data_wait"), num_trials=len(rows), **mean)


def _share(results: Sequence[Mapping[str, Any]], name: str) -> float | None:
    measured = [result[name] for result in results if result.get(name) is not None]
    return sum(measured) / len(measured) if measured else None
