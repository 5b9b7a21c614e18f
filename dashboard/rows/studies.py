"""Studies as table rows, and the numbers of one study. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.queries import Health, Outcome, label_of, shown_state
from dashboard.text import safe, state
from orchestrator import formatting
from orchestrator.results.outcome import in_words, states_of, total
from orchestrator.results.progress import Progress
from orchestrator.results.results import Results
from orchestrator.results.titles import title

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A study in the list of all studies."""

    progress: Progress
    trials: Mapping[str, int]
    """Trial state -> number of trials."""
    reason: str
    """Why most of its stages failed; "" if none did."""
    outcome: Outcome | None
    """None while it has not been computed."""


def study_rows(listed: Sequence[Listed], health: Health) -> list[Row]:
    """Return one row for each study."""
    return [_row(each, each.outcome, health) for each in listed]


def _row(each: Listed, found: Outcome | None, health: Health) -> Row:
    row, shown = each.progress.study, each.progress
    is_waiting = shown.is_terminal or row.state == "PAUSED" or not health.is_driven
    return {
        "study": safe(label_of(row)), "state": state(shown_state(row, health)),
        "verdict": "…" if found is None else "no verdict" if found.verdict == "incomplete" else found.verdict,
        "chosen": safe(found.chosen) if found else "", "metric": title(found.metric) if found and found.metric else "",
        "effect": found.effect if found else None, "±": found.half_width if found else None,
        "done": 100.0 if shown.is_terminal else 100 * shown.fraction,
        "failed": each.trials.get("FAILED", 0),
        "time left": None if is_waiting else round(shown.left.seconds / 60, 1),
        "reason": safe(each.reason or row.reason),
        "hours": round(found.hours, 3) if found else None, "GPU-hours": round(found.gpu_hours, 3) if found else None,
        "saved": round(found.saved_s / 3600, 3) if found else None,
        "trials": sum(each.trials.values()), "succeeded": each.trials.get("SUCCEEDED", 0),
        "diverged": each.trials.get("DIVERGED", 0), "cancelled": each.trials.get("CANCELLED", 0),
        "question": safe(row.spec["study"]["question"])}


def tiles(results: Results) -> list[tuple[str, str, str]]:
    """Return label, value and explanation of the study's numbers: trials, stages, compute, and what sharing saved."""
    counts, cost, spent = results.counts, results.cost, results.spent
    others = in_words(total(states_of(results).values())) or "none failed, diverged or was cancelled"
    guess = results.study.estimate
    expected = f"; {formatting.duration(guess['hours'] * 3600)} expected" if guess else ""
    gpus = f", {spent.gpu_hours:.3g} GPU-hours" if spent.gpu_hours else ""
    return [
        ("Trials succeeded", f"{counts.trials_done} of {counts.trials}", others),
        ("Stages done", f"{counts.stages_done} of {counts.stages_unique}",
         f"distinct stages; without sharing the trials would need {counts.stages_requested}"),
        ("Compute", formatting.duration(spent.hours * 3600), f"of all attempts, failed ones too{gpus}{expected}"),
        ("Saved by sharing", formatting.duration(max(0.0, cost.seconds_saved)),
         f"{counts.stages_saved} stages need no second run, {counts.stages_reused} of them from earlier studies"
         if counts.stages_saved else "no two trials have a stage in common")]
