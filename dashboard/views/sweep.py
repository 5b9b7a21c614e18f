"""The page Score vs α: one metric over the levels of a factor, with the smooth curve and how probable each arm is best."""

from __future__ import annotations

import streamlit as st

from dashboard import text
from dashboard.charts import panels
from dashboard.rows import arms
from dashboard.views import downloads, shared
from orchestrator.analysis.curve import FEWEST_ARMS, Curve
from orchestrator.results import panels as described
from orchestrator.results.factors import factor_curve
from orchestrator.results.results import Results
from orchestrator.results.titles import title

AXES = {"symlog": "spread, with 0", "linear": "true to value", "steps": "equal steps"}


def show() -> None:
    """Show the chosen metrics, each over the factor's levels."""
    row = shared.chosen()
    results = shared.results(row)
    offered = described.offered_metrics(results)
    if not offered:
        st.info("No scores yet.", icon=":material/hourglass_top:")
        return
    factor = described.numeric_factor(results)
    if not factor:
        shared.note("This study varies more than one factor, or one whose levels are no numbers: its arms are rows, "
                    "and no curve goes through them.")
    metrics = st.pills("Metrics", offered, selection_mode="multi", default=offered[:2], format_func=title,
                       key="metrics", bind="query-params")
    axis = _axis() if factor else "steps"
    span = _span(described.panel(results, offered[0])) if factor else None
    for metric in metrics:
        _one(results, metric, axis, span)
    shared.note(text.legend(results))
    downloads.offer(results, metrics)


def _axis() -> panels.Axis:
    names: list[panels.Axis] = ["symlog", "linear", "steps"]
    found = st.segmented_control("Axis", names, default=names[0], format_func=lambda name: AXES[name], key="axis",
                                 bind="query-params", required=True)
    return found or "steps"


def _span(panel: described.Panel) -> tuple[str, str] | None:
    """Choose the levels to zoom to; they are part of the page's address."""
    labels = [point.label for point in panel.points]
    if len(set(labels)) < 3 or len(set(labels)) < len(labels):
        return None
    found: tuple[str, str] = st.select_slider(
        "Levels", labels, value=(labels[0], labels[-1]), key="levels", bind="query-params"
    )
    return found


def _one(results: Results, metric: str, axis: panels.Axis, span: tuple[str, str] | None) -> None:
    panel = described.panel(results, metric)
    axis = axis if panels.has_axis(panel) else "steps"
    curve = factor_curve(results, metric) if axis != "steps" else None
    st.header(panel.title + (f" ({panel.role})" if panel.role else ""))
    figure = panels.panel_figure(panel, study_id=results.study.study_id, colours=shared.colours(), axis=axis,
                                 curve=curve, height=400, span=span)
    shared.draw(figure, key=f"sweep-{metric}", alt=described.words(panel), rows=arms.panel_rows(panel))
    shared.note(text.panel_note(panel))
    if curve is not None:
        _probabilities(results, curve)
    elif axis != "steps":
        shared.note(f"No smooth curve: it takes {FEWEST_ARMS} levels or more with scores, and two seeds.")


def _probabilities(results: Results, curve: Curve) -> None:
    ranked = sorted(curve.is_best.items(), key=lambda each: -each[1])
    words = ", ".join(f"{results.arm(key).name} {100 * share:.0f} %" for key, share in ranked if share >= 0.005)
    low, high = curve.peak
    shared.note(
        text.plain_markdown(
            f"Probability of being the best of these arms: {words}. The best level lies between {low:.3g} and {high:.3g} "
            "with 95 % probability. Line and band: a smooth curve (Gaussian process) and its pointwise 95 % band; they rank "
            "arms and decide nothing."
        )
    )


study = shared.chosen()
shared.title("Score vs α", study)
shared.repeating(show, every=shared.live(study, shared.SLOW_S), key="sweep")
