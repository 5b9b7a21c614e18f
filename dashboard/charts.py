"""Draw panels as Plotly figures, and describe them in words. Pure; only this module imports plotly.

- The colours are those of Okabe and Ito, with one set for light and one for dark pages, and a contrast of at least 3:1.
  Every series also has its own symbol or dash.
- All seeds are drawn, then the mean with its 95 % interval. The baseline is a dashed line, a ring marks the chosen arm.
- Names are written by people, and Plotly interprets some HTML in labels, so every name is escaped.
- `uirevision` is the study's id, so that a refresh keeps the zoom.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from dashboard.queries import Panel, Point, TradeoffPoint
from dashboard.text import title
from orchestrator.analysis.scores import TOKENS

CONFIG = {"displayModeBar": False, "responsive": True}
"""Without Plotly's tool bar, which screen readers read as links without names."""
FONT = '"Source Sans", "Source Sans Pro", sans-serif'
"""The font of Streamlit, which serves it locally."""
_NO_LEGEND = {"showlegend": False, "margin": {"l": 10, "r": 16, "t": 14, "b": 10}}
"""Panels side by side have no room for a legend each; they share one in words (`text.legend`)."""
_CLEAR = "rgba(0,0,0,0)"
MOST_TICKS = 24
"""The most levels that the axis of a panel names, besides those of the baseline and the chosen arm."""
_SEED_SPREAD = 0.13
"""Half the width over which the seeds of an arm are spread, in units of the distance between arms."""


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of a theme, by their meaning."""

    series: str
    chosen: str
    baseline: str
    paper: str
    quiet: str
    grid: str
    text: str
    veil: str
    """The background of text that lies on lines."""


LIGHT = Palette(series="#0072B2", chosen="#D55E00", baseline="#4D5562", paper="#009E73", quiet="#7A8290",
                grid="#E6E8EC", text="#262B33", veil="rgba(255,255,255,0.8)")
DARK = Palette(series="#56B4E9", chosen="#E69F00", baseline="#B4BBC6", paper="#009E73", quiet="#8A929E",
               grid="#2B303A", text="#E8EAED", veil="rgba(14,17,23,0.8)")


def palette(theme: str | None) -> Palette:
    """Return the colours of the theme: `dark`, or light for any other."""
    return DARK if theme == "dark" else LIGHT


# ---- score against the factor --------------------------------------------------------------------------------------


def panel_figure(panel: Panel, *, study_id: str, colours: Palette = LIGHT) -> go.Figure:
    """Draw one metric over all arms: a curve over the levels of a factor, or a row for each named arm."""
    return _curve(panel, study_id, colours) if panel.is_ordered else _rows(panel, study_id, colours)


def _curve(panel: Panel, study_id: str, colours: Palette) -> go.Figure:
    figure = go.Figure(layout=_layout(study_id, colours, height=320) | _NO_LEGEND)
    scored, size = _scored(panel), 1.0 if len(panel.points) <= MOST_TICKS else 0.5
    _add_lines(figure, panel, colours, is_upright=True)
    figure.add_trace(_seeds(scored, colours, is_upright=True, size=size))
    figure.add_trace(go.Scatter(
        x=[i for i, _ in scored], y=[point.mean for _, point in scored], mode="lines+markers", name="mean ± 95 %",
        line={"color": colours.series, "width": 2}, marker={"size": 9 * size, "color": colours.series},
        error_y=_error([point for _, point in scored], colours.series),
        customdata=[[_hover(point)] for _, point in scored], hovertemplate="%{customdata[0]}<extra></extra>"))
    _add_paper(figure, scored, colours, is_upright=True)
    _add_ring(figure, panel, colours, is_upright=True)
    ticks = _ticks(panel.points)
    figure.update_xaxes(tickmode="array", tickvals=ticks, ticktext=[_tick(panel.points[i]) for i in ticks],
                        range=[-0.45, len(panel.points) - 0.55], title_text=_escaped(_axis(panel)), showgrid=False)
    return figure


def _rows(panel: Panel, study_id: str, colours: Palette) -> go.Figure:
    figure = go.Figure(layout=_layout(study_id, colours, height=90 + 36 * len(panel.points)) | _NO_LEGEND)
    scored = _scored(panel)
    _add_lines(figure, panel, colours, is_upright=False)
    figure.add_trace(_seeds(scored, colours, is_upright=False))
    figure.add_trace(go.Scatter(
        x=[point.mean for _, point in scored], y=[i for i, _ in scored], mode="markers", name="mean ± 95 %",
        marker={"size": 9, "color": colours.series}, error_x=_error([point for _, point in scored], colours.series),
        customdata=[[_hover(point)] for _, point in scored], hovertemplate="%{customdata[0]}<extra></extra>"))
    _add_paper(figure, scored, colours, is_upright=False)
    _add_ring(figure, panel, colours, is_upright=False)
    figure.update_yaxes(tickmode="array", tickvals=list(range(len(panel.points))),
                        ticktext=[_tick(point) for point in panel.points],
                        range=[len(panel.points) - 0.4, -0.6], showgrid=False)
    return figure


def _scored(panel: Panel) -> list[tuple[int, Point]]:
    return [(i, point) for i, point in enumerate(panel.points) if point.mean is not None]


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
    note = f'<br><span style="font-size:10px">{_escaped(point.note)}</span>' if point.note else ""
    return _escaped(_short(point.label)) + note


def _add_lines(figure: go.Figure, panel: Panel, colours: Palette, *, is_upright: bool) -> None:
    """Draw lines at the baseline, at the constraint's bound, and at the level that the paper chose."""
    add = figure.add_hline if is_upright else figure.add_vline
    is_below = panel.chosen is not None and (panel.chosen.delta or 0) < 0
    axis, where = ("y", "top right" if is_below else "bottom right") if is_upright else ("x", "top right")
    if panel.baseline:
        add(**{axis: panel.baseline.mean}, line={"color": colours.baseline, "width": 1.5, "dash": "dash"},
            annotation=_note("baseline", colours.baseline), annotation_position=where)
    if panel.limit is not None:
        add(**{axis: panel.limit}, line={"color": colours.chosen, "width": 1.5, "dash": "dot"},
            annotation=_note("limit", colours.chosen), annotation_position=where)
    for position, point in enumerate(panel.points):
        if is_upright and point.label == panel.paper_choice:
            figure.add_vline(x=position, line={"color": colours.paper, "width": 1.5, "dash": "dot"},
                             annotation=_note("paper's choice", colours.paper), annotation_position="bottom right")


def _note(text: str, colour: str) -> dict[str, Any]:
    return {"text": text, "font": {"size": 11, "color": colour}}


def _seeds(scored: Sequence[tuple[int, Point]], colours: Palette, *, is_upright: bool,
           size: float = 1.0) -> go.Scatter:
    across, along, words = [], [], []
    for i, point in scored:
        for offset, (seed, value) in zip(_spread(len(point.seeds)), sorted(point.seeds.items()), strict=True):
            across.append(i + offset)
            along.append(value)
            words.append(f"seed {seed}: {value:.1f}")
    x, y = (across, along) if is_upright else (along, across)
    marker = {"symbol": "circle-open", "size": 7 * size, "color": colours.quiet, "line": {"width": 1.3}}
    return go.Scatter(x=x, y=y, mode="markers", name="one seed", text=words, hovertemplate="%{text}<extra></extra>",
                      marker=marker)


def _spread(number: int) -> list[float]:
    """Return offsets around 0 for a number of seeds, so that equal scores do not hide each other."""
    return [0.0] if number == 1 else [_SEED_SPREAD * (2 * i / (number - 1) - 1) for i in range(number)]


def _add_paper(figure: go.Figure, scored: Sequence[tuple[int, Point]], colours: Palette, *, is_upright: bool) -> None:
    """Draw the scores that the paper published; they enter no statistic."""
    printed = [(i, point.published) for i, point in scored if point.published is not None]
    if printed:
        positions, values = [i for i, _ in printed], [value for _, value in printed]
        x, y = (positions, values) if is_upright else (values, positions)
        marker = {"symbol": "diamond-open", "size": 11, "color": colours.paper, "line": {"width": 2}}
        figure.add_trace(go.Scatter(x=x, y=y, mode="markers", name="paper, n=1, different setup", marker=marker))


def _add_ring(figure: go.Figure, panel: Panel, colours: Palette, *, is_upright: bool) -> None:
    """Draw a ring around the chosen arm, and its difference to the baseline beside it."""
    chosen = panel.chosen
    if chosen is None:
        return
    position = panel.points.index(chosen)
    x, y = (position, chosen.mean) if is_upright else (chosen.mean, position)
    figure.add_trace(_ring(x, y, colours, size=20))
    if chosen.delta is not None:
        is_right = is_upright and position >= len(panel.points) / 2
        is_above = chosen.delta >= 0 or not is_upright
        figure.add_annotation(x=x, y=y, text=f"<b>{_delta(chosen)}</b>", showarrow=False,
                              xshift=-10 if is_right else 10, xanchor="right" if is_right else "left",
                              yshift=18 if is_above else -18, bgcolor=colours.veil, borderpad=1,
                              font={"size": 13, "color": colours.chosen})


def _ring(x: float | None, y: float | None, colours: Palette, *, size: int) -> go.Scatter:
    return go.Scatter(x=[x], y=[y], mode="markers", name="chosen by the rule", hoverinfo="skip",
                      marker={"symbol": "circle-open", "size": size, "color": colours.chosen, "line": {"width": 3}})


def _error(points: Sequence[Point], colour: str) -> dict[str, Any]:
    half_widths = [point.half_width or 0 for point in points]
    return {"type": "data", "array": half_widths, "color": colour, "thickness": 1.6, "width": 5}


def _hover(point: Point) -> str:
    spread = "n=1" if point.half_width is None else f"± {point.half_width:.1f}, n={point.n}"
    words = f"<b>{_escaped(point.label)}</b>: {point.mean:.1f} ({spread})"
    if point.delta is not None:
        words += f"<br>{_delta(point)} against the baseline"
    return words + (f"<br>{_escaped(point.note)}" if point.note else "")


def _delta(point: Point) -> str:
    half = "" if point.delta_half_width is None else f" ± {point.delta_half_width:.1f}"
    return f"{point.delta:+.1f}{half}"


def _axis(panel: Panel) -> str:
    return panel.factor.replace("_", " ") + (" (samples per sample of General)" if panel.is_alpha else "")


def panel_words(panel: Panel) -> str:
    """Describe a panel in words, for readers who cannot see it."""
    scored = [point for point in panel.points if point.mean is not None]
    if not scored:
        return f"{panel.title}: no scores yet."
    best = max(scored, key=lambda point: point.mean or 0.0)
    words = [f"{panel.title} for {len(scored)} of {panel.num_arms} arms; "
             f"highest {best.label}: {best.mean:.1f}, n={best.n}."]
    if panel.chosen:
        against = f", {_delta(panel.chosen)} against the baseline" if panel.chosen.delta is not None else ""
        words.append(f"Chosen: {panel.chosen.label} with {panel.chosen.mean:.1f}{against}.")
    return " ".join(words)


# ---- trade-off -----------------------------------------------------------------------------------------------------


def trade_figure(trades: Sequence[TradeoffPoint], x: str, y: str, *, study_id: str,
                 colours: Palette = LIGHT) -> go.Figure:
    """Draw the arms by cost and score; a line joins those on the Pareto front, dominated arms are grey."""
    figure = go.Figure(layout=_layout(f"{study_id}/{x}/{y}", colours, height=460))
    front = sorted((trade for trade in trades if trade.is_front), key=lambda trade: trade.x)
    rest = [trade for trade in trades if not trade.is_front]
    figure.add_trace(_arms(rest, "dominated", (colours.quiet, "circle-open", "bottom right"), colours))
    trace = _arms(front, "front: nothing is better in both", (colours.series, "circle", "top left"), colours)
    line = {"color": colours.series, "width": 1.5, "dash": "dot"}
    figure.add_trace(trace.update(mode="lines+markers+text", line=line))
    for trade in trades:
        if trade.is_chosen:
            figure.add_trace(_ring(trade.x, trade.y, colours, size=22))
    better = " (fewer is cheaper)" if x == TOKENS else " (0 to 100)"
    figure.update_xaxes(title_text=title(x) + better, rangemode="tozero" if x == TOKENS else "normal")
    figure.update_yaxes(title_text=f"{title(y)} (0 to 100)")
    return figure


def _arms(trades: Sequence[TradeoffPoint], name: str, look: tuple[str, str, str], colours: Palette) -> go.Scatter:
    colour, symbol, text_position = look
    words = [f"<b>{_escaped(trade.name)}</b><br>{trade.x:.1f} → {trade.y:.1f}, n={trade.n}" for trade in trades]
    return go.Scatter(
        x=[trade.x for trade in trades], y=[trade.y for trade in trades], mode="markers+text", name=name,
        customdata=[[each] for each in words],
        text=[_escaped(_short(trade.name)) for trade in trades], textposition=text_position,
        textfont={"size": 11, "color": colours.text},
        marker={"symbol": symbol, "size": 11, "color": colour, "line": {"width": 2, "color": colour}},
        error_y=_bars([trade.y_half_width for trade in trades], colour),
        error_x=_bars([trade.x_half_width for trade in trades], colour),
        hovertemplate="%{customdata[0]}<extra></extra>")


def _bars(half_widths: Sequence[float | None], colour: str) -> dict[str, Any]:
    return {"type": "data", "array": [half or 0 for half in half_widths], "color": colour, "thickness": 1, "width": 3}


def trade_words(trades: Sequence[TradeoffPoint], x: str, y: str) -> str:
    """Describe the trade-off figure in words, for readers who cannot see it."""
    if not trades:
        return "No scores yet."
    front = ", ".join(trade.name for trade in trades if trade.is_front)
    return f"{title(y)} against {title(x)} for {len(trades)} arms; on the front: {front}."


# ---- what all figures share ----------------------------------------------------------------------------------------


def _layout(revision: str, colours: Palette, *, height: int) -> dict[str, Any]:
    axis = {"gridcolor": colours.grid, "zeroline": False, "linecolor": colours.grid,
            "title": {"font": {"size": 13}, "standoff": 10}, "automargin": True}
    return {
        "height": height, "uirevision": revision, "margin": {"l": 10, "r": 16, "t": 46, "b": 10},
        "paper_bgcolor": _CLEAR, "plot_bgcolor": _CLEAR,
        "font": {"color": colours.text, "size": 13, "family": FONT}, "xaxis": axis, "yaxis": axis,
        "hovermode": "closest", "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.03, "x": 0,
                                           "font": {"size": 12}, "itemclick": False},
    }


def _short(text: str, limit: int = 34) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _escaped(text: str) -> str:
    return html.escape(text, quote=False)
