"""Draw what happened over steps and over time: learning curves with restarts, and the timeline of attempts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import plotly.graph_objects as go

from dashboard.charts.look import DASHES, LIGHT, SYMBOLS, Palette, escaped, figure, marks, shades, short
from dashboard.text import state

MOST_POINTS = 400
"""Points of one curve that are drawn; of more, the extremes of each part are kept."""
STATE_COLOURS = {"SUCCEEDED": "#009E73", "RUNNING": "#56B4E9", "LEASED": "#56B4E9", "DIVERGED": "#CC79A7",
                 "CANCELLED": "#8A929E", "IMPORTED": "#0072B2", "PREEMPTED": "#8A929E", "FENCED": "#8A929E"}
FAILED = "#D55E00"


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """One curve of a training stage."""

    name: str
    steps: tuple[float, ...]
    values: tuple[float, ...]
    """As reported; what is not finite is marked, not joined."""
    restarts: tuple[float, ...] = ()
    """Steps at which another attempt took over."""
    is_quiet: bool = False
    """Whether it is one of several seeds, drawn faintly behind the one looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One attempt on the timeline."""

    row: str
    began: float
    ended: float
    """In seconds since the beginning of the study."""
    state: str
    words: str = field(default="")


def learning_figure(curves: Sequence[Learning], *, revision: str, metric: str, colours: Palette = LIGHT,
                    span: tuple[float, float] | None = None) -> go.Figure:
    """Draw the curves; the faint ones are other seeds. Crosses mark values that are not finite, lines restarts.

    Args:
        curves: of one metric.
        revision: names what is drawn, for the reader's zoom.
        metric: title of the vertical axis.
        colours: of the theme.
        span: the first and last step to show; None shows all.
    """
    drawn = figure(revision, colours, height=340)
    loud = [each for each in curves if not each.is_quiet]
    for each in curves:
        number = loud.index(each) if each in loud else 0
        colour = colours.more[number % len(colours.more)] if each in loud else shades(colours.quiet, 0.5)
        points = thinned(each.steps, each.values)
        finite = [(step, value) for step, value in points if math.isfinite(value)]
        drawn.add_trace(marks(len(finite))(
            x=[step for step, _ in finite], y=[value for _, value in finite], mode="lines", name=escaped(each.name),
            line={"color": colour, "width": 2 if each in loud else 1.2, "dash": DASHES[number % len(DASHES)]},
            hovertemplate=f"{escaped(each.name)}<br>step %{{x}}: %{{y:.4g}}<extra></extra>"))
        _add_marks(drawn, each, [step for step, value in points if not math.isfinite(value)], finite, colours)
    drawn.update_xaxes(title_text="step", range=span)
    drawn.update_yaxes(title_text=escaped(metric))
    return drawn


def _add_marks(drawn: go.Figure, each: Learning, broken: Sequence[float], finite: Sequence[tuple[float, float]],
               colours: Palette) -> None:
    if broken:
        height = finite[-1][1] if finite else 0.0
        drawn.add_trace(go.Scatter(x=list(broken), y=[height] * len(broken), mode="markers",
                                   name=f"not finite ({escaped(each.name)})",
                                   marker={"symbol": "x", "size": 11, "color": colours.chosen}))
    for step in each.restarts:
        drawn.add_vline(x=step, line={"color": colours.baseline, "width": 1, "dash": "dot"},
                        annotation={"text": "restart", "font": {"size": 10, "color": colours.baseline}})


def thinned(steps: Sequence[float], values: Sequence[float], limit: int = MOST_POINTS) -> list[tuple[float, float]]:
    """Return at most about `limit` points: the lowest and highest of each part, and everything that is not finite."""
    points = list(zip(steps, values, strict=True))
    if len(points) <= limit:
        return points
    size = math.ceil(2 * len(points) / limit)
    kept: list[tuple[float, float]] = []
    for start in range(0, len(points), size):
        part = points[start:start + size]
        finite = [point for point in part if math.isfinite(point[1])]
        extremes = (
            {min(finite, key=lambda point: point[1]), max(finite, key=lambda point: point[1])} if finite else set()
        )
        kept += [point for point in part if point in extremes or not math.isfinite(point[1])]
    return kept


def timeline_figure(spans: Sequence[Span], *, revision: str, colours: Palette = LIGHT) -> go.Figure:
    """Draw a bar for each attempt, a row for each stage."""
    rows = list(dict.fromkeys(each.row for each in spans))
    drawn = figure(revision, colours, height=90 + 26 * len(rows))
    for name in dict.fromkeys(each.state for each in spans):
        own = [each for each in spans if each.state == name]
        drawn.add_trace(go.Bar(
            base=[each.began for each in own], x=[max(each.ended - each.began, 0.05) for each in own],
            y=[rows.index(each.row) for each in own], orientation="h", width=0.6, name=state(name),
            marker={"color": STATE_COLOURS.get(name, FAILED), "line": {"width": 1, "color": colours.text}},
            customdata=[[f"<b>{escaped(each.row)}</b><br>{escaped(each.words)}"] for each in own],
            hovertemplate="%{customdata[0]}<extra></extra>"))
    drawn.update_yaxes(tickmode="array", tickvals=list(range(len(rows))), autorange="reversed", showgrid=False,
                       ticktext=[escaped(short(each, 44)) for each in rows])
    drawn.update_xaxes(title_text="seconds since the first of these attempts began")
    drawn.update_layout(barmode="overlay", showlegend=True)
    return drawn


def slope_figure(sides: Sequence[tuple[str, Sequence[float | None]]], columns: Sequence[str], *, revision: str,
                 colours: Palette = LIGHT) -> go.Figure:
    """Draw one line for each arm over the columns, such as categories.

    Args:
        sides: name and one score for each column, 0 to 100; None where there is none.
        columns: titles.
        revision: names what is drawn.
        colours: of the theme.
    """
    drawn = figure(revision, colours, height=380)
    for number, (name, values) in enumerate(sides):
        colour = colours.more[number % len(colours.more)]
        drawn.add_trace(go.Scatter(
            x=list(columns), y=list(values), mode="lines+markers", name=escaped(short(name)),
            line={"color": colour, "width": 2, "dash": DASHES[number % len(DASHES)]},
            marker={"size": 9, "symbol": SYMBOLS[number % len(SYMBOLS)]},
            hovertemplate=f"<b>{escaped(name)}</b><br>%{{x}}: %{{y:.1f}}<extra></extra>"))
    drawn.update_yaxes(title_text="score, 0 to 100")
    return drawn
