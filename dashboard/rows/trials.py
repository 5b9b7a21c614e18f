"""Trials, stages and attempts as table rows. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from dashboard.text import clock, safe, state
from orchestrator.ledger.rows import AttemptRow, StageRow
from orchestrator.results.results import Results
from orchestrator.results.titles import title

Row = dict[str, Any]


def trial_rows(results: Results) -> list[Row]:
    """Return one row for each trial: state, finished stages, attempts, time and scores."""
    names = {arm.key: arm.name for arm in results.arms}
    stages = {stage.stage_id: stage for stage in results.stages if stage.kind != "import"}
    metrics = list(dict.fromkeys([results.objective, "mmbase"]))
    rows = []
    for trial, row in zip(results.trials, results.trial_rows, strict=True):
        own = [stages[stage_id] for stage_id in row.stage_ids if stage_id in stages]
        rows.append({
            "arm": safe(names[trial.arm_key]), "seed": trial.seed, "state": state(trial.state),
            "stages": len(own), "stages done": sum(stage.state == "SUCCEEDED" for stage in own),
            "attempts": sum(stage.attempts_made for stage in own),
            "seconds": round(math.fsum(stage.seconds or 0.0 for stage in own), 1),
            **{title(metric): _rounded(trial.metrics.get(metric)) for metric in metrics}, "reason": safe(reason(own))})
    return rows


def state_rows(cells: Mapping[tuple[str, int], str], names: Sequence[str], seeds: Sequence[int]) -> list[Row]:
    """Return one row for each arm, with the state of its trial with each seed; arguments as of `states_figure`."""
    return [{"arm": safe(name), **{f"seed {seed}": state(cells.get((name, seed), "")) or None for seed in seeds}}
            for name in names]


def reason(stages: Sequence[StageRow]) -> str:
    """Return why the first of these stages failed or diverged; "" if none did."""
    return next((str((stage.failure or {}).get("message", "")) for stage in stages
                 if stage.state in ("FAILED", "DIVERGED")), "")


def stage_rows(results: Results, stage_ids: Sequence[str]) -> list[Row]:
    """Return the stages of one trial in order of execution, with attempts, checkpoints and failures."""
    stages = {stage.stage_id: stage for stage in results.stages}
    uses = Counter(stage_id for row in results.trial_rows for stage_id in row.stage_ids)
    return [
        {
            "stage": safe(stage.label),
            "kind": stage.kind,
            "state": state(stage.state),
            "attempts": stage.attempts_made,
            "seconds": _rounded(stage.seconds),
            "trials that use it": uses[stage.stage_id],
            "problem": safe(str((stage.failure or {}).get("message", ""))),
            "artifact": safe(stage.artifact or ""),
            "identity": stage.stage_id,
        }
        for stage in (stages[stage_id] for stage_id in stage_ids if stage_id in stages)
    ]


def attempt_rows(attempts: Sequence[AttemptRow]) -> list[Row]:
    """Return one row for each attempt."""
    return [{"stage": safe(each.label), "attempt": each.attempt_no, "state": state(each.state),
             "began": clock(each.started_at), "seconds": _rounded(each.ended_at and each.ended_at - each.started_at),
             "problem": safe(str((each.failure or {}).get("message", "")))} for each in attempts]


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a nested configuration as dotted path -> value."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        path = f"{prefix}{name}"
        found |= flat(value, f"{path}.") if isinstance(value, Mapping) else {path: value}
    return found


def config_rows(own: Mapping[str, Any], other: Mapping[str, Any], *, names: tuple[str, str]) -> list[Row]:
    """Return one row for each path in which two configurations differ, with both values."""
    mine, theirs = flat(own), flat(other)
    paths = sorted({path for path in (*mine, *theirs) if mine.get(path) != theirs.get(path)})
    return [{"path": path, safe(names[0]): str(mine.get(path, "–")), safe(names[1]): str(theirs.get(path, "–"))}
            for path in paths]


def _rounded(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, 2)
