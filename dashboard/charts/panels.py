"""Draw one metric over all arms: a curve over the levels of a factor, or a row for each named arm.

- All seeds are drawn, then the mean with its 95 % interval. The baseline is a dashed line, a ring marks the chosen arm.
- The levels of a factor are equally far apart (`steps`), true to their value (`linear`), or spread by asinh
  (`symlog`), which has a place for 0 and makes steps of a ratio equally long.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import plotly.graph_objects as go

from dashboard.charts.look import LIGHT, Palette, escaped, figure, marks, note, ring, shades, short
from orchestrator.analysis.curve import Curve
from orchestrator.results.panels import Panel, Point, delta_text

Axis = Literal["steps", "linear", "symlog"]
MOST_TICKS = 24
"""The most levels that the axis of a panel names, besides those of the baseline and the chosen arm."""
_SEED_SPREAD = 0.13
"""Half the width over which the seeds of an arm are spread, in units of the distance between arms."""


def panel_figure(panel: Panel, *, study_id: str, colours: Palette = LIGHT, axis: Axis = "steps",
                 curve: Curve | None = None, height: int = 320, span: tuple[str, str] | None = None) -> go.Figure:
    """Draw a panel.

    Args:
        panel: one metric over all arms.
        study_id: names what is drawn, for the reader's zoom.
        colours: of the theme.
        axis: how the levels of one factor lie; has no meaning for named arms.
        curve: the smooth curve with its band; not drawn over equal steps.
        height: of a curve, in px.
        span: labels of the first and last level to show; None shows all.
    """
    if not panel.is_ordered:
        return _rows(panel, study_id, colours)
    places = _places(panel, axis)
    drawn = figure(f"{study_id}/{axis}", colours, height=height, compact=True)
    size = 1.0 if len(panel.points) <= MOST_TICKS else 0.5
    if curve is not None and axis != "steps":
        _add_curve(drawn, curve, _unit(panel), axis, colours)
    _add_lines(drawn, panel, places, colours, is_upright=True)
    gap = min((b - a for a, b in zip(places, places[1:], strict=False)), default=1.0)
    drawn.add_trace(_seeds(panel, places, colours, is_upright=True, size=size, gap=gap))
    drawn.add_trace(_means(panel, places, colours, is_upright=True, size=size, joined=curve is None or axis == "steps"))
    _add_paper(drawn, panel, places, colours, is_upright=True)
    _add_ring(drawn, panel, places, colours, is_upright=True)
    ticks, reach = _ticks(panel.points), places[-1] - places[0] or 1
    margin = 0.45 * gap if axis == "steps" else max(0.04 * reach, 1.6 * _SEED_SPREAD * gap)
    labels = [point.label for point in panel.points]
    ends = [places[labels.index(each)] for each in span or (labels[0], labels[-1])]
    drawn.update_xaxes(tickmode="array", tickvals=[places[i] for i in ticks],
                       ticktext=[_tick(panel.points[i]) for i in ticks],
                       range=[ends[0] - margin, ends[1] + margin], title_text=escaped(axis_title(panel)),
                       showgrid=False)
    return drawn


def _rows(panel: Panel, study_id: str, colours: Palette) -> go.Figure:
    places = [float(i) for i in range(len(panel.points))]
    drawn = figure(
        study_id, colours, height=90 + (36 if len(panel.points) <= 15 else 22) * len(panel.points), compact=True
    )
    _add_lines(drawn, panel, places, colours, is_upright=False)
    drawn.add_trace(_seeds(panel, places, colours, is_upright=False))
    drawn.add_trace(_means(panel, places, colours, is_upright=False, joined=False))
    _add_paper(drawn, panel, places, colours, is_upright=False)
    _add_ring(drawn, panel, places, colours, is_upright=False)
    drawn.update_yaxes(tickmode="array", tickvals=places, ticktext=[_tick(point) for point in panel.points],
                       range=[len(panel.points) - 0.4, -0.6], showgrid=False)
    return drawn


def axis_title(panel: Panel) -> str:
    """Return the title of the horizontal axis, with the unit of a mixture ratio."""
    return panel.factor.replace("_", " ") + (" (samples per sample of General)" if panel.is_alpha else "")


def has_axis(panel: Panel) -> bool:
    """Return whether the levels can lie true to their value: one numeric factor, two levels or more, none negative."""
    levels = [point.level for point in panel.points if point.level is not None]
    return panel.is_ordered and len(set(levels)) > 1 and min(levels) >= 0


def _places(panel: Panel, axis: Axis) -> list[float]:
    """Return the horizontal position of each point."""
    if axis == "steps" or not has_axis(panel):
        return [float(i) for i in range(len(panel.points))]
    unit = _unit(panel)
    return [_place(point.level or 0.0, unit, axis) for point in panel.points]


def _place(level: float, unit: float, axis: Axis) -> float:
    return math.asinh(level / unit) if axis == "symlog" else level


def _unit(panel: Panel) -> float:
    return min((point.level for point in panel.points if point.level), default=1.0)


def _ticks(points: Sequence[Point]) -> list[int]:
    """Return the levels that the axis names: all, or evenly spaced ones, and always the baseline and the chosen arm.

    Plotly compares every label with all others: 200 labels take a second for each panel, and are not readable anyway.
    """
    if len(points) <= MOST_TICKS:
        return list(range(len(points)))
    step = math.ceil(len(points) / MOST_TICKS)
    marked = {i for i, point in enumerate(points) if point.is_chosen or point.is_baseline}
    free = {i for i in range(0, len(points), step) if all(abs(i - each) >= step for each in marked)}
    return sorted(marked | free)


def _tick(point: Point) -> str:
    """Return an arm's label, and below it the note on missing trials, so that failed and pending arms stay visible."""
    aside = f'<br><span style="font-size:10px">{escaped(short(point.note))}</span>' if point.note else ""
    return escaped(short(point.label)) + aside


def _add_lines(drawn: go.Figure, panel: Panel, places: Sequence[float], colours: Palette, *, is_upright: bool) -> None:
    """Draw lines at the baseline, at the constraint's bound, and at the level that the paper chose."""
    add = drawn.add_hline if is_upright else drawn.add_vline
    is_below = panel.chosen is not None and (panel.chosen.delta or 0) < 0
    axis, where = ("y", "top right" if is_below else "bottom right") if is_upright else ("x", "top right")
    if panel.baseline:
        add(**{axis: panel.baseline.mean}, line={"color": colours.baseline, "width": 1.5, "dash": "dash"},
            annotation=note("baseline", colours.baseline), annotation_position=where)
    if panel.limit is not None:
        add(**{axis: panel.limit}, line={"color": colours.chosen, "width": 1.5, "dash": "dot"},
            annotation=note("limit", colours.chosen), annotation_position=where)
    for position, point in zip(places, panel.points, strict=True):
        if is_upright and point.label == panel.paper_choice:
            drawn.add_vline(x=position, line={"color": colours.paper, "width": 1.5, "dash": "dot"},
                            annotation=note("paper's choice", colours.paper) | {"xshift": 3}, annotation_position="bottom right")


def _means(panel: Panel, places: Sequence[float], colours: Palette, *, is_upright: bool, joined: bool,
           size: float = 1.0) -> go.Scatter:
    scored = panel.scored
    across, along = [places[i] for i, _ in scored], [point.mean for _, point in scored]
    error = {"type": "data", "array": [point.half_width or 0 for _, point in scored], "color": colours.series,
             "thickness": 1.6, "width": 5}
    x, y = (across, along) if is_upright else (along, across)
    return go.Scatter(
        x=x, y=y, mode="lines+markers" if joined else "markers", name="mean ± 95 %",
        line={"color": colours.series, "width": 2}, marker={"size": 9 * size, "color": colours.series},
        **{"error_y" if is_upright else "error_x": error},
        customdata=[[_hover(point)] for _, point in scored], hovertemplate="%{customdata[0]}<extra></extra>")


def _seeds(panel: Panel, places: Sequence[float], colours: Palette, *, is_upright: bool, size: float = 1.0,
           gap: float = 1.0) -> Any:
    across, along, words = [], [], []
    for i, point in panel.scored:
        for offset, (seed, value) in zip(_spread(len(point.seeds)), sorted(point.seeds.items()), strict=True):
            across.append(places[i] + gap * offset)
            along.append(value)
            words.append(f"seed {seed}: {value:.1f}")
    x, y = (across, along) if is_upright else (along, across)
    marker = {"symbol": "circle-open", "size": 7 * size, "color": colours.quiet, "line": {"width": 1.3}}
    return marks(len(across))(x=x, y=y, mode="markers", name="one seed", text=words,
                              hovertemplate="%{text}<extra></extra>", marker=marker)


def _spread(number: int) -> list[float]:
    """Return offsets around 0 for a number of seeds, so that equal scores do not hide each other."""
    return [0.0] if number == 1 else [_SEED_SPREAD * (2 * i / (number - 1) - 1) for i in range(number)]


def _add_paper(drawn: go.Figure, panel: Panel, places: Sequence[float], colours: Palette, *, is_upright: bool) -> None:
    """Draw the paper's differences to its own baseline, set off from ours; they enter no statistic."""
    ours = panel.baseline.mean if panel.baseline else None
    printed = [(places[i], point.published) for i, point in enumerate(panel.points) if point.published is not None]
    if ours is None or not printed:
        return
    positions, values = [place for place, _ in printed], [ours + value for _, value in printed]
    x, y = (positions, values) if is_upright else (values, positions)
    drawn.add_trace(go.Scatter(
        x=x, y=y, mode="markers", name="paper, n=1, different setup",
        marker={"symbol": "diamond-open", "size": 11, "color": colours.paper, "line": {"width": 2}},
        text=[f"paper: {value:+.1f} against its own baseline, n=1, different setup" for _, value in printed],
        hovertemplate="%{text}<extra></extra>"))


def _add_ring(drawn: go.Figure, panel: Panel, places: Sequence[float], colours: Palette, *, is_upright: bool) -> None:
    """Draw a ring around the chosen arm, and its difference to the baseline beside it."""
    chosen = panel.chosen
    if chosen is None:
        return
    number = panel.points.index(chosen)
    position = places[number]
    x, y = (position, chosen.mean) if is_upright else (chosen.mean, position)
    drawn.add_trace(ring(x, y, colours, size=20))
    if chosen.delta is not None:
        is_right = is_upright and position >= (places[0] + places[-1]) / 2
        is_above = chosen.delta >= 0 or not is_upright
        drawn.add_annotation(x=x, y=y, text=f"<b>{delta_text(chosen)}</b>", showarrow=False,
                             xshift=-10 if is_right else 10, xanchor="right" if is_right else "left",
                             yshift=18 if is_above else -18, bgcolor=colours.veil, borderpad=1,
                             font={"size": 13, "color": colours.chosen})


def _add_curve(drawn: go.Figure, curve: Curve, unit: float, axis: Axis, colours: Palette) -> None:
    """Draw the smooth curve and its pointwise 95 % band."""
    x = [_place(float(level), unit, axis) for level in curve.levels]
    band = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    drawn.add_trace(go.Scatter(x=x, y=list(curve.low), name="band, lower end", **band))
    drawn.add_trace(go.Scatter(x=x, y=list(curve.high), name="95 % band", fill="tonexty",
                               fillcolor=shades(colours.series, 0.16), **band))
    drawn.add_trace(go.Scatter(x=x, y=list(curve.mean), mode="lines", name="smooth curve", hoverinfo="skip",
                               line={"color": colours.series, "width": 2}))


def _hover(point: Point) -> str:
    spread = "n=1" if point.half_width is None else f"± {point.half_width:.1f}, n={point.n}"
    words = f"<b>{escaped(point.label)}</b>: {point.mean:.1f} ({spread})"
    if point.delta is not None:
        words += f"<br>{delta_text(point)} against the baseline"
    return words + (f"<br>{escaped(point.note)}" if point.note else "")


def num_columns(panels: Sequence[Panel]) -> int:
    """Return the number of panels side by side: three if all have few levels, else two."""
    widest = max((len(each.points) for each in panels), default=0)
    return min(len(panels), 3 if widest <= 5 and all(each.is_ordered for each in panels) else 2) or 1
