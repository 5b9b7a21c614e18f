"""Draw arms by a cost and a score, with the feasible front."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from dashboard.charts.look import LIGHT, Palette, escaped, figure, note, ring, short
from orchestrator.results.plane import Plane, PlanePoint

Span = tuple[float, float]
"""The first and last value of an axis that are shown."""


def plane_figure(plane: Plane, *, study_id: str, colours: Palette = LIGHT, height: int = 460, compact: bool = False,
                 zoom: tuple[Span, Span] | None = None) -> go.Figure:
    """Draw the arms; a line joins those on the front, arms that miss a constraint are crosses.

    Only arms on the front, the chosen one and the baseline are named; in a compact figure none is.

    Args:
        plane: the arms.
        study_id: names what is drawn, for the reader's zoom.
        colours: of the theme.
        height: in px.
        compact: for one of several side by side.
        zoom: the parts of the horizontal and the vertical axis to show; None shows all arms.
    """
    drawn = figure(f"{study_id}/{plane.x}/{plane.y}/{zoom}", colours, height=height, compact=compact)
    front = sorted((point for point in plane.points if point.is_front), key=lambda point: point.x)
    rest = [point for point in plane.points if not point.is_front]
    kinds = [("dominated", "circle-open", [point for point in rest if point.is_feasible], colours.quiet),
             ("misses a constraint", "x-thin-open", [point for point in rest if not point.is_feasible], colours.quiet)]
    for name, symbol, points, colour in kinds:
        if points:
            drawn.add_trace(_arms(points, name, symbol, colour, colours))
    if front:
        line = {"color": colours.series, "width": 1.5, "dash": "dot"}
        trace = _arms(front, "front: no feasible arm is better in both", "circle", colours.series, colours)
        drawn.add_trace(trace.update(mode="lines+markers", line=line))
    for point in plane.points:
        if point.is_chosen:
            drawn.add_trace(ring(point.x, point.y, colours, size=22))
    named = [] if compact else [point for point in plane.points if point.is_marked]
    _add_names(drawn, named, [point.x for point in plane.points], colours)
    if plane.limit is not None:
        drawn.add_hline(y=plane.limit, line={"color": colours.chosen, "width": 1.5, "dash": "dot"},
                        annotation=note("limit", colours.chosen), annotation_position="bottom right")
    better = "" if compact else " (fewer is cheaper)" if plane.is_x_cost else " (0 to 100)"
    drawn.update_xaxes(title_text=plane.x_title + better, rangemode="tozero" if plane.is_x_cost else "normal")
    drawn.update_yaxes(title_text="" if compact else f"{plane.y_title} (0 to 100)")
    if zoom is not None:
        drawn.update_xaxes(range=zoom[0])
        drawn.update_yaxes(range=zoom[1])
    return drawn


def _arms(points: Sequence[PlanePoint], name: str, symbol: str, colour: str, colours: Palette) -> go.Scatter:
    words = [f"<b>{escaped(point.name)}</b><br>{point.x:.4g} → {point.y:.1f}, n={point.n}" for point in points]
    return go.Scatter(
        x=[point.x for point in points], y=[point.y for point in points], mode="markers", name=name,
        customdata=[[each] for each in words], hovertemplate="%{customdata[0]}<extra></extra>",
        marker={"symbol": symbol, "size": 11, "color": colour, "line": {"width": 2, "color": colour}},
        error_y=_bars([point.y_half_width for point in points], colour),
        error_x=_bars([point.x_half_width for point in points], colour))


def _add_names(drawn: go.Figure, named: Sequence[PlanePoint], xs: Sequence[float], colours: Palette) -> None:
    """Name arms on the side where there is room; of two arms of one cost the second is named below."""
    marked = sorted(named, key=lambda point: (point.x, -point.y))
    middle = (min(xs) + max(xs)) / 2 if xs else 0.0
    for i, point in enumerate(marked):
        is_below = i > 0 and marked[i - 1].x == point.x
        words = f"{escaped(short(point.name))}{' (baseline)' if point.is_baseline else ''}"
        drawn.add_annotation(x=point.x, y=point.y, text=words, showarrow=False, bgcolor=colours.veil, borderpad=1,
                             xanchor="right" if point.x > middle else "left", xshift=-12 if point.x > middle else 12,
                             yshift=-14 if is_below else 14, font={"size": 11, "color": colours.text})


def _bars(half_widths: Sequence[float | None], colour: str) -> dict[str, Any]:
    return {"type": "data", "array": [half or 0 for half in half_widths], "color": colour, "thickness": 1.3,
            "width": 3 if all(half_widths) else 0}
