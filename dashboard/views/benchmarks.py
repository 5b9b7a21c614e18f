"""The page Benchmarks: arms by benchmarks, coloured by the difference to the baseline, with what is missing or unread."""

from __future__ import annotations

import streamlit as st

from dashboard.charts import heat
from dashboard.charts.heat import HeatCell
from dashboard.rows import arms
from dashboard.views import downloads, shared
from orchestrator.analysis.scores import Answers
from orchestrator.analysis.table import ArmResult
from orchestrator.results.results import Metric
from orchestrator.results.tables import MUCH, all_answers
from orchestrator.results.titles import title

MOST_ARMS = 60
MOST_ACROSS = 12
"""Metrics beside each other whose numbers can be read; more stand below each other, if the arms are fewer."""


def show() -> None:
    """Show the matrix of the chosen categories."""
    results = shared.results(shared.chosen())
    benchmarks = [metric for metric in results.metrics if metric.kind == "benchmark"]
    if not benchmarks or not any(arm.metrics for arm in results.arms):
        st.info("No scores yet.", icon=":material/hourglass_top:")
        return
    categories = list(dict.fromkeys(metric.category or "" for metric in benchmarks))
    picked = st.pills("Categories", categories, selection_mode="multi", default=categories, format_func=title,
                      key="categories", bind="query-params")
    columns = [
        metric
        for metric in results.metrics
        if metric.kind == "aggregate"
        or metric.name in picked
        or (metric.kind == "benchmark" and metric.category in picked)
    ]
    columns.sort(
        key=lambda metric: (
            metric.kind != "aggregate",
            categories.index(metric.category or metric.name) if (metric.category or metric.name) in categories else -1,
            metric.kind == "benchmark",
        )
    )
    shown = results.arms[:MOST_ARMS]
    answers = all_answers(results)
    cells = [[_cell(arm, metric, answers.get((arm.key, metric.name))) for metric in columns] for arm in shown]
    down, across = [arm.name for arm in shown], [title(metric.name) for metric in columns]
    if len(across) > max(MOST_ACROSS, len(down)):
        cells, down, across = [list(each) for each in zip(*cells, strict=True)], across, down
    shared.draw(
        heat.heat_figure(
            cells,
            down,
            across,
            revision=results.study.study_id,
            colours=shared.colours(),
        ),
        key="matrix",
        alt=f"{len(shown)} arms by {len(columns)} metrics, coloured by the difference to the baseline",
        rows=arms.benchmark_rows(results),
    )
    if len(shown) < len(results.arms):
        shared.note(f"showing {len(shown)} of {len(results.arms)} arms; the table has all")
    shared.note(
        "Blue is better than the baseline, orange worse. ✓ is told apart from it after Holm's correction over the "
        "arms; ? marks scores of which a fifth of the answers or more could not be read; – is withheld or still to come."
    )
    downloads.offer(results, [])


def _cell(arm: ArmResult, metric: Metric, found: Answers | None) -> HeatCell:
    cell = arm.metrics.get(metric.name)
    name = f"{arm.name}: {title(metric.name)}"
    if cell is None:
        return HeatCell(colour=None, text="–", hover=f"{name}\n{arm.withheld.get(metric.name, 'no score yet')}")
    unread = f"\n{found.num_unparseable} of {found.num_items} answers unread" if found and found.num_unparseable else ""
    half = "n=1" if cell.half_width is None else f"± {cell.half_width:.1f}, n={cell.n}"
    delta = cell.delta
    against = f"\n{delta.value:+.1f} against the baseline" if delta else "\nbaseline" if arm.is_baseline else ""
    is_much = found is not None and 0 < found.num_unparseable >= MUCH * found.num_items
    mark = ("✓" if delta and delta.is_told_apart else "") + ("?" if is_much else "")
    change = delta.value if delta else 0.0 if arm.is_baseline else None
    return HeatCell(colour=change, text=f"{cell.mean:.1f} {mark}".rstrip(),
                    hover=f"{name}\n{cell.mean:.1f} ({half}){against}{unread}")


study = shared.chosen()
shared.title("Benchmarks", study)
shared.repeating(show, every=shared.live(study, shared.SLOW_S), key="benchmarks")
