"""Read what attempts reported while they trained: curves with restarts, spans on a timeline, the end of a log. No Streamlit."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dashboard.charts.series import Learning, Span
from model.config.stages import TRAINING
from orchestrator.artifacts.store import LOG, PROGRESS, Artifacts
from orchestrator.ledger.rows import AttemptRow, TrialRow
from orchestrator.results.results import Results

BESIDE = ("at", "started", "step", "steps")
"""What a report says besides its metrics."""
TAIL_BYTES = 6000


def reports(artifacts: Artifacts, attempts: Sequence[AttemptRow]) -> list[tuple[int, dict[str, Any]]]:
    """Return (attempt, report) of all attempts of one stage in order; a half-written last line is left for later."""
    found = []
    for each in attempts:
        path = artifacts.fetch_record(each.stage_id, each.attempt_no) / PROGRESS
        whole = path.read_text(encoding="utf-8").rpartition("\n")[0] if path.is_file() else ""
        found += [(each.attempt_no, json.loads(line)) for line in whole.splitlines() if line]
    return found


def metrics_of(found: Sequence[tuple[int, dict[str, Any]]]) -> list[str]:
    """Return the metrics that reports carry: the loss, then the others in the order of their first appearance."""
    names = dict.fromkeys(name for _, report in found for name, value in report.items()
                          if name not in BESIDE and isinstance(value, int | float))
    return sorted(names, key=lambda name: name != "loss")


def last_step(found: Sequence[tuple[int, dict[str, Any]]]) -> int:
    """Return the last step of the stage, whether it was reached or not; 0 before the first report."""
    return max((int(report.get("steps") or report.get("step") or 0) for _, report in found), default=0)


def curve(found: Sequence[tuple[int, dict[str, Any]]], metric: str, *, name: str, is_quiet: bool = False) -> Learning:
    """Return the curve of one metric; a value that JSON cannot hold is not finite."""
    points = [(no, report["step"], report[metric]) for no, report in found if "step" in report and metric in report]
    starts = [step for (before, _, _), (no, step, _) in zip(points, points[1:], strict=False) if no != before]
    values = tuple(float(value) if isinstance(value, int | float) else math.nan for _, _, value in points)
    return Learning(name=name, steps=tuple(float(step) for _, step, _ in points), values=values,
                    restarts=tuple(map(float, starts)), is_quiet=is_quiet)


def branch_curves(results: Results, row: TrialRow) -> dict[str, list[Learning]]:
    """Return benchmark -> its scores over steps: at branching points, and at the end.

    They are those of the last training stage that has branching points. The trial's own curve comes first, those of the
    arm's other seeds follow, drawn faintly.
    """
    own = [each for each in results.at_branches if each.trial_key == row.trial_key]
    if not own:
        return {}
    kind = own[-1].kind
    others = [each for each in results.trial_rows if each.arm_key == row.arm_key and each.trial_key != row.trial_key]
    finals = {each.trial_key: each.metrics for each in results.trials}
    is_last = kind == _last_kind(row.config)
    found: dict[str, list[Learning]] = {}
    for name in dict.fromkeys(each.benchmark for each in own):
        for trial in (row, *others):
            points = [(float(each.step), each.score) for each in results.at_branches
                      if (each.trial_key, each.benchmark, each.kind) == (trial.trial_key, name, kind)]
            final = finals.get(trial.trial_key, {}).get(name)
            points += [(float(trial.config[kind]["steps"]), final)] if points and is_last and final is not None else []
            found.setdefault(name, []).append(Learning(
                name=f"seed {trial.seed}", steps=tuple(step for step, _ in points),
                values=tuple(value for _, value in points), is_quiet=trial is not row))
    return {name: [each for each in curves if each.steps] for name, curves in found.items()}


def _last_kind(config: Mapping[str, Any]) -> str:
    return [kind for kind in TRAINING if config.get(kind)][-1]


def spans(attempts: Sequence[AttemptRow], *, now: float) -> list[Span]:
    """Return the attempts as spans in seconds since the first of them began; those that are live reach to now."""
    first = min((each.started_at for each in attempts), default=now)
    return [Span(row=each.label, began=each.started_at - first, ended=(each.ended_at or now) - first, state=each.state,
                 words=f"attempt {each.attempt_no}: {each.state.lower().replace('_', ' ')}"
                       + (f", {each.failure.get('message', '')}" if each.failure else "")) for each in attempts]


def log_tail(artifacts: Artifacts, each: AttemptRow) -> str:
    """Return the end of an attempt's log as text; "" if it has none."""
    path: Path = artifacts.fetch_record(each.stage_id, each.attempt_no) / LOG
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        return file.read().decode(errors="replace")


def trial_of(results: Results, arm: str, seed: int) -> int | None:
    """Return the position of a trial in the results; None if there is no such trial."""
    return next((i for i, row in enumerate(results.trial_rows) if (row.arm_name, row.seed) == (arm, seed)), None)
