"""Convert results to table rows. Pure; cells are plain text and numbers, harmless in a spreadsheet (`text.safe`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dashboard.queries import Health, TradeoffPoint, arm_note
from dashboard.text import clock, interval, safe, state, title
from orchestrator import formatting
from orchestrator.analysis.scores import TOKENS
from orchestrator.analysis.table import ArmResult, Cell
from orchestrator.ledger.rows import DriverRow, EventRow
from orchestrator.results.results import Results
from orchestrator.results.tables import unread_text

_YEAR_S = 365 * 86400.0


def arm_rows(results: Results, metrics: Sequence[str]) -> list[dict[str, Any]]:
    """Return one row for each arm: the mean and interval of each metric, and the difference to the baseline."""
    rows = []
    for arm in results.arms:
        row: dict[str, Any] = {"arm": safe(arm.name), "trials": f"{arm.num_scored} of {arm.num_trials}"}
        for metric in metrics:
            cell = arm.metrics.get(metric)
            beside = unread_text(results, arm.key, metric)
            row[title(metric)] = (interval(cell.mean, cell.half_width) if cell else "–") + (f" ({beside})" if beside else "")
            row[f"Δ {title(metric)}"] = _delta(arm, cell)
        row["tokens per image"] = arm.tokens_per_image
        row["note"] = arm_note(arm, arm.metrics.get(metrics[0]) if metrics else None)
        rows.append(row)
    return rows


def _delta(arm: ArmResult, cell: Cell | None) -> str:
    if arm.is_baseline:
        return "baseline"
    if cell is None or cell.delta is None:
        return "–"
    return interval(cell.delta.value, cell.delta.half_width, sign=True) + (" ✓" if cell.delta.is_told_apart else "")


def trial_rows(results: Results) -> list[dict[str, Any]]:
    """Return one row for each trial: state, finished stages, attempts, time and scores."""
    names = {arm.key: arm.name for arm in results.arms}
    stages = {stage.stage_id: stage for stage in results.stages if stage.kind != "import"}
    rows = []
    for trial, row in zip(results.trials, results.trial_rows, strict=True):
        of_trial = [stages[stage_id] for stage_id in row.stage_ids if stage_id in stages]
        rows.append({
            "arm": safe(names[trial.arm_key]), "seed": trial.seed, "state": state(trial.state),
            "stages": f"{sum(stage.state == 'SUCCEEDED' for stage in of_trial)} of {len(of_trial)}",
            "attempts": sum(stage.attempts_made for stage in of_trial),
            "seconds": round(sum(stage.seconds or 0.0 for stage in of_trial), 1),
            title(results.objective): _rounded(trial.metrics.get(results.objective)),
            "MMBase": _rounded(trial.metrics.get("mmbase"))})
    return rows


def stage_rows(results: Results, trial_number: int) -> list[dict[str, Any]]:
    """Return the stages of one trial in order of execution, with attempts and failures.

    Args:
        results: the results of the study.
        trial_number: the position of the trial in `results.trial_rows`.
    """
    stages = {stage.stage_id: stage for stage in results.stages}
    shared = _uses(results)
    return [{"stage": safe(stage.label), "kind": stage.kind, "state": state(stage.state),
             "attempts": stage.attempts_made, "seconds": _rounded(stage.seconds), "shared by": shared[stage.stage_id],
             "problem": safe(str((stage.failure or {}).get("message", ""))), "id": stage.stage_id[:12]}
            for stage in (stages[stage_id] for stage_id in results.trial_rows[trial_number].stage_ids)]


def _uses(results: Results) -> dict[str, int]:
    uses: dict[str, int] = {}
    for row in results.trial_rows:
        for stage_id in row.stage_ids:
            uses[stage_id] = uses.get(stage_id, 0) + 1
    return uses


def event_rows(events: Sequence[EventRow]) -> list[dict[str, Any]]:
    """Return one row for each event: time, entity, old and new state, and who caused it."""
    return [{"at": clock(event.at), "what": event.entity, "which": safe(event.entity_id[:24]),
             "from": state(event.from_state), "to": state(event.to_state), "by": safe(event.actor[:15])}
            for event in events]


def _rounded(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, 1)


def trade_rows(found: Sequence[TradeoffPoint], x: str, y: str) -> list[dict[str, Any]]:
    """Return one row for each arm with both metrics, those on the Pareto front first."""
    marks = {(True, True): "front, chosen", (True, False): "front", (False, True): "chosen", (False, False): ""}
    return [{"arm": safe(trade.name),
             title(x): round(trade.x) if x == TOKENS else interval(trade.x, trade.x_half_width),
             title(y): interval(trade.y, trade.y_half_width), "mark": marks[trade.is_front, trade.is_chosen]}
            for trade in sorted(found, key=lambda each: (not each.is_front, each.x))]


def tiles(results: Results) -> list[tuple[str, str, str]]:
    """Return label, value and explanation of the study's numbers: trials, stages, compute, and what sharing saved."""
    counts, cost = results.counts, results.cost
    lost = counts.trials_failed + counts.trials_diverged
    return [
        ("Trials", f"{counts.trials_done} of {counts.trials}", f"{lost or 'none'} failed or diverged"),
        ("Stages", f"{counts.stages_unique} for {counts.stages_requested}",
         "distinct stages executed for the stages requested"),
        ("Compute", formatting.duration(cost.seconds), "total time of the accepted attempts"),
        ("Saved by sharing", formatting.duration(max(0.0, cost.seconds_saved)),
         f"{counts.stages_reused} stages came from earlier studies")]


def vital_signs(found: Health) -> list[tuple[str, str, str]]:
    """Return label, value and explanation of the driver, its lease, the queue and tracking."""
    driver = found.driver
    holder = driver.holder if driver else {}
    where = ", ".join(f"{name} {holder[name]}" for name in ("host", "pid") if name in holder)
    is_live = driver is not None and driver.is_live
    return [
        ("Driver", "running" if is_live else "none", where or "no driver has ever run here"),
        ("Lease", _lease(driver),
         "left until another driver may take over" if is_live else "whether the last driver exited properly"),
        ("Waiting studies", f"{found.num_waiting} of {found.num_studies}", "queued or running"),
        ("Tracking", f"{found.outbox} behind", "events that wait to be sent to MLflow")]


def _lease(driver: DriverRow | None) -> str:
    """Return the time left of the driver's lease, or how it ended; a released lease expired at the epoch, in 1970."""
    if driver is None:
        return "never taken"
    if driver.is_live:
        return formatting.duration(driver.expires_in_s)
    return "released" if driver.expires_in_s < -_YEAR_S else f"expired {formatting.duration(-driver.expires_in_s)} ago"
