"""Arms as table rows: means, differences and intervals in columns of their own. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dashboard.text import safe
from orchestrator.analysis.crossed import Advice
from orchestrator.analysis.scores import Answers
from orchestrator.analysis.statistics import Difference
from orchestrator.analysis.table import ArmResult, Cell
from orchestrator.results.item_statistics import ItemResults
from orchestrator.results.panels import Panel, arm_notes
from orchestrator.results.plane import Plane
from orchestrator.results.results import Results
from orchestrator.results.tables import all_answers
from orchestrator.results.titles import title
from orchestrator.study.metric_names import TOKENS

Row = dict[str, Any]
DIGITS = 2
"""Decimal places of scores in tables."""


def mark_of(results: Results, arm: ArmResult) -> str:
    """Return what the rule says about an arm: `chosen`, `baseline`, `tied`, or several of them."""
    verdict = results.verdict
    marks = [("chosen", arm.key == verdict.chosen), ("baseline", arm.is_baseline),
             ("tied", verdict.kind != "selected" and arm.key in verdict.tied)]
    return ", ".join(name for name, is_on in marks if is_on)


def arm_rows(results: Results, metrics: Sequence[str]) -> list[Row]:
    """Return one row for each arm: mean, half-width, n, difference and its interval for each metric."""
    notes, answers = arm_notes(results, metrics[0] if metrics else None), all_answers(results)
    rows = []
    for arm in results.arms:
        row: Row = {"arm": safe(arm.name), "mark": mark_of(results, arm),
                    "trials": arm.num_trials, "scored": arm.num_scored}
        for metric in metrics:
            row |= _score(arm, metric, answers.get((arm.key, metric)))
        rows.append(row | {title(TOKENS): _number(arm.tokens_per_image), "note": notes[arm.key]})
    return rows


def _score(arm: ArmResult, metric: str, found: Answers | None) -> Row:
    cell, name = arm.metrics.get(metric), title(metric)
    row: Row = {name: _number(cell.mean if cell else None), f"{name} ±": _number(cell.half_width if cell else None),
                f"{name} n": cell.n if cell else 0} | _difference(cell, name)
    return row | ({f"{name} unread": found.num_unparseable, f"{name} answers": found.num_items} if found else {})


def _difference(cell: Cell | None, name: str) -> Row:
    delta = cell.delta if cell else None
    half = delta.half_width if delta else None
    low, high = (delta.value - half, delta.value + half) if delta and half is not None else (None, None)
    return {f"Δ {name}": _number(delta.value if delta else None), f"Δ {name} low": _number(low),
            f"Δ {name} high": _number(high), f"Δ {name} told apart": delta.is_told_apart if delta else None}


def panel_rows(panel: Panel) -> list[Row]:
    """Return the numbers behind one panel, a row for each arm and seed count."""
    return [{panel.factor: safe(point.label), panel.title: _number(point.mean), "±": _number(point.half_width),
             "n": point.n, "seeds": "  ".join(f"{value:.1f}" for _, value in sorted(point.seeds.items())),
             "Δ": _number(point.delta), "Δ ±": _number(point.delta_half_width), "told apart": point.is_told_apart,
             "paper Δ": _number(point.published), "chosen": point.is_chosen, "baseline": point.is_baseline,
             "note": point.note} for point in panel.points]


def both_intervals(results: Results, found: ItemResults) -> list[Row]:
    """Return the differences to the baseline with both intervals: for these items, and for their population."""
    return [{"arm": safe(results.arm(each.arm_key).name), "Δ": _number(each.these.value),
             "± these items": _number(each.these.half_width),
             "± population": _number(each.population.half_width if each.population else None), "n": each.these.n,
             "told apart, these": each.these.is_told_apart,
             "told apart, population": each.population.is_told_apart if each.population else None,
             "to add next": advised(each.advice)} for each in found.arms]


def advised(advice: Advice | None) -> str:
    """Return what would narrow the second interval to the study's effect; "" where that is not known."""
    if advice is None:
        return ""
    ways = {"seeds": advice.seeds and f"{advice.seeds} seeds in all",
            "pictures": advice.pictures and f"{advice.pictures} pictures in all"}
    if advice.add not in ways:
        return "nothing" if advice.add == "nothing" else "seeds and pictures"
    return str(ways[advice.add])


def plane_rows(plane: Plane) -> list[Row]:
    """Return one row for each arm with both numbers, those on the front first."""
    return [
        {
            "arm": safe(point.name),
            plane.x_title: _number(point.x, 3),
            f"{plane.x_title} ±": _number(point.x_half_width),
            plane.y_title: _number(point.y),
            f"{plane.y_title} ±": _number(point.y_half_width),
            "n": point.n,
            "front": point.is_front,
            "feasible": point.is_feasible,
            "chosen": point.is_chosen,
            "baseline": point.is_baseline,
        }
        for point in sorted(plane.points, key=lambda each: (not each.is_front, each.x))
    ]


def difference_rows(found: Sequence[tuple[str, Difference]]) -> list[Row]:
    """Return one row for each label and difference."""
    return [{"what": safe(label), "Δ": _number(each.value), "±": _number(each.half_width),
             "± Holm": _number(each.half_width_holm), "n": each.n, "told apart": each.is_told_apart}
            for label, each in found]


def benchmark_rows(results: Results) -> list[Row]:
    """Return one row for each arm and benchmark: score, difference, completeness, unreadable answers."""
    rows, answers = [], all_answers(results)
    for metric in results.metrics:
        for arm in results.arms if metric.kind == "benchmark" else ():
            cell, found = arm.metrics.get(metric.name), answers.get((arm.key, metric.name))
            delta = cell.delta if cell else None
            rows.append(
                {
                    "benchmark": metric.name,
                    "category": title(metric.category or ""),
                    "arm": safe(arm.name),
                    "score": _number(cell.mean if cell else None),
                    "±": _number(cell.half_width if cell else None),
                    "n": cell.n if cell else 0,
                    "Δ": _number(delta.value if delta else None),
                    "Δ ±": _number(delta.half_width if delta else None),
                    "told apart": delta.is_told_apart if delta else None,
                    "answers": found.num_items if found else 0,
                    "unread": found.num_unparseable if found else 0,
                    "withheld": arm.withheld.get(metric.name, ""),
                }
            )
    return rows


def _number(value: float | None, digits: int = DIGITS) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, digits)
