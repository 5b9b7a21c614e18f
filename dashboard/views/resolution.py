"""The page Resolution and tokens: scores against what they cost, with the feasible front, overall and by category."""

from __future__ import annotations

import streamlit as st

from dashboard import text
from dashboard.charts import plane as charts
from dashboard.rows import arms
from dashboard.views import downloads, shared
from orchestrator.results import plane as planes
from orchestrator.results.results import Results
from orchestrator.results.titles import title


def show() -> None:
    """Show the plane of the chosen numbers, then one panel for each category."""
    results = shared.results(shared.chosen())
    across = planes.axes(results)
    up = [metric.name for metric in results.metrics if metric.kind in ("aggregate", "category")
          and any(metric.name in arm.metrics for arm in results.arms)]
    if not across or not up:
        st.info("No scores yet.", icon=":material/hourglass_top:")
        return
    left, right = st.columns(2)
    x = left.selectbox("Across", across, format_func=_name, key="x", bind="query-params") or across[0]
    first = up.index(results.objective) if results.objective in up else 0
    y = right.selectbox("Up", up, index=first, format_func=title, key="y", bind="query-params") or up[0]
    plane = planes.plane(results, x, y)
    shared.draw(charts.plane_figure(plane, study_id=results.study.study_id, colours=shared.colours(), zoom=_zoom(plane)),
                key="plane", alt=planes.words(plane), rows=arms.plane_rows(plane))
    _notes(results, plane, across)
    if x in planes.COSTS:
        _categories(results, x, [metric for metric in up if metric != y])
    downloads.offer(results, [y], plane)


def _zoom(plane: planes.Plane) -> tuple[charts.Span, charts.Span] | None:
    """Choose the parts of both axes to show; they are part of the page's address."""
    if len(plane.points) < 2:
        return None
    with st.expander("Zoom"):
        spans = [_span(name, reach, key) for name, reach, key in (
            (plane.x_title, _reach([(point.x, point.x_half_width) for point in plane.points]), "zoom_x"),
            (plane.y_title, _reach([(point.y, point.y_half_width) for point in plane.points]), "zoom_y"))]
    return None if all(is_whole for _, is_whole in spans) else (spans[0][0], spans[1][0])


def _reach(values: list[tuple[float, float | None]]) -> charts.Span:
    low = min(value - (half or 0.0) for value, half in values)
    high = max(value + (half or 0.0) for value, half in values)
    margin = 0.08 * (high - low) or 1.0
    return low - margin, high + margin


def _span(name: str, reach: charts.Span, key: str) -> tuple[charts.Span, bool]:
    found: charts.Span = st.slider(name, *reach, reach, step=(reach[1] - reach[0]) / 200, format="%.4g", key=key,
                                   bind="query-params")
    return found, found == reach


def _name(axis: str) -> str:
    return planes.COSTS.get(axis, title(axis))


def _notes(results: Results, plane: planes.Plane, across: list[str]) -> None:
    shared.note("The front is taken over arms whose means meet every constraint of the study. Named are the arms on "
                "it, the chosen one and the baseline; the pointer names the others.")
    if plane.without:
        shared.note(
            text.plain_markdown(
                f"{len(plane.without)} of {len(results.arms)} arms lack one of the two numbers: "
                f"{', '.join(plane.without[:6])}{' …' if len(plane.without) > 6 else ''}"
            )
        )
    if not any(name in across for name in planes.COSTS):
        shared.note("All arms cost the same in tokens, megapixels and FLOPs, so no cost is offered as an axis.")


def _categories(results: Results, x: str, metrics: list[str]) -> None:
    st.header("By category")
    columns = st.columns(3)
    for i, metric in enumerate(metrics):
        plane = planes.plane(results, x, metric)
        with columns[i % 3]:
            st.markdown(f"**{title(metric)}**")
            shared.draw(
                charts.plane_figure(
                    plane, study_id=results.study.study_id, colours=shared.colours(), height=260, compact=True
                ),
                key=f"plane-{metric}",
                alt=planes.words(plane),
                rows=arms.plane_rows(plane),
            )


study = shared.chosen()
shared.title("Resolution and tokens", study)
shared.repeating(show, every=shared.live(study, shared.SLOW_S), key="resolution")
