"""The page Search: how an adaptive study went on: history, its arms over all parameters, refused and stopped arms."""

from __future__ import annotations

import streamlit as st

from dashboard import text
from dashboard.charts import search as charts
from dashboard.rows import arms
from dashboard.views import downloads, shared
from orchestrator.results.results import Results
from orchestrator.results.titles import title

FEWEST_PARAMETERS = 2


def show() -> None:
    """Show what the search proposed, and what became of it."""
    results = shared.results(shared.chosen())
    found = results.search
    if found is None:
        shared.note("This study is no search: its arms were declared before it ran.")
        return
    metrics = [metric for metric, _ in found.objectives if any(metric in arm.metrics for arm in results.arms)]
    if not metrics:
        st.info("No scores yet.", icon=":material/hourglass_top:")
    for metric, way in found.objectives:
        if metric in metrics:
            _history(results, metric, is_maximized=way == "maximize")
    _pareto(results)
    _parallel(results, metrics)
    _ended(results)
    if metrics:
        downloads.offer(results, metrics)


def _history(results: Results, metric: str, *, is_maximized: bool) -> None:
    st.header(f"History of {title(metric)}")
    names = [arm.name for arm in results.arms]
    scores = [cell.mean if (cell := arm.metrics.get(metric)) else None for arm in results.arms]
    chosen = next((i for i, arm in enumerate(results.arms) if arm.key == results.verdict.chosen), None)
    known = [score for score in scores if score is not None]
    best = max(known) if is_maximized else min(known)
    shared.draw(
        charts.history_figure(
            names,
            scores,
            revision=f"{results.study.study_id}/{metric}",
            metric=title(metric),
            is_maximized=is_maximized,
            chosen=chosen,
            colours=shared.colours(),
        ),
        key=f"history-{metric}",
        alt=f"{len(known)} arms with {title(metric)}; best {best:.1f}",
        rows=arms.arm_rows(results, [metric]),
    )


def _pareto(results: Results) -> None:
    found = results.search
    if found is not None and len(found.objectives) > 1:
        st.header("Pareto set")
        goals = ", ".join(f"{way} {title(metric)}" for metric, way in found.objectives)
        names = ", ".join(results.arm(key).name for key in found.pareto) or "none yet"
        st.markdown(text.plain_markdown(f"No feasible arm beats these in all of: {goals}. {names}"))


def _parallel(results: Results, metrics: list[str]) -> None:
    scored = [arm for arm in results.arms if metrics and metrics[0] in arm.metrics]
    if len({path for arm in scored for path in arm.levels}) < FEWEST_PARAMETERS or len(scored) < 2:
        return
    st.header("Parameters")
    shared.draw(
        charts.parallel_figure(
            [arm.levels for arm in scored],
            [arm.metrics[metrics[0]].mean for arm in scored],
            revision=results.study.study_id,
            metric=title(metrics[0]),
            colours=shared.colours(),
        ),
        key="parallel",
        alt=f"{len(scored)} arms over their parameters, coloured by {title(metrics[0])}",
        rows=[{"arm": text.safe(arm.name), **arm.levels, title(metrics[0]): round(arm.metrics[metrics[0]].mean, 2),
               "n": arm.metrics[metrics[0]].n} for arm in scored],
    )
    shared.note("One line an arm. Drag along an axis to keep the lines that pass there.")


def _ended(results: Results) -> None:
    found = results.search
    if found is None:
        return
    for name, ended in (("Not trained: a constraint is missed before training", found.refused),
                        ("Stopped early", found.stopped)):
        if ended:
            st.header(name)
            shared.table(
                [
                    {"arm": text.safe(str(why["name"])), "reason": text.safe(str(why["reason"]))}
                    for why in ended.values()
                ],
                key=name,
                alt=f"{len(ended)} arms: {name}",
            )


study = shared.chosen()
shared.title("Search", study)
shared.repeating(show, every=shared.live(study, shared.SLOW_S), key="search")
