"""Draw differences with their intervals, one row each: the forest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from dashboard.charts.look import LIGHT, Palette, escaped, figure, ring, shades, short

MOST_ROWS = 30
"""The most differences that a forest shows."""
BARS = ("for these items", "for the population of items")


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One row of a forest."""

    label: str
    value: float
    """The difference, in points."""
    half_width: float | None
    """Of the 95 % interval for these items."""
    n: int
    is_told_apart: bool
    """After Holm's correction over the rows."""
    population: float | None = None
    """The half-width of a second interval, as of that for the population of items; None where it is not known."""
    is_chosen: bool = False


def forest_figure(effects: Sequence[Effect], *, revision: str, axis: str, colours: Palette = LIGHT,
                  bars: tuple[str, str] = BARS) -> go.Figure:
    """Draw a row for each effect: a thin bar for its interval, a wide pale one for the second interval.

    Args:
        effects: at most `MOST_ROWS` are drawn, from the top down.
        revision: names what is drawn, for the reader's zoom.
        axis: title of the horizontal axis.
        colours: of the theme.
        bars: of what the first and the second interval are.
    """
    shown = effects[:MOST_ROWS]
    rows = list(range(len(shown)))
    drawn = figure(revision, colours, height=72 + (30 if len(shown) <= 12 else 22) * len(shown), compact=True)
    drawn.add_vline(x=0, line={"color": colours.baseline, "width": 1.5, "dash": "dash"})
    has_population = any(each.population is not None for each in shown)
    if has_population:
        drawn.add_trace(_bars(shown, rows, [each.population for each in shown], shades(colours.series, 0.35), width=11,
                              name=f"95 % {bars[1]}"))
    drawn.add_trace(_bars(shown, rows, [each.half_width for each in shown], colours.series, width=2.2,
                          name=f"95 % {bars[0]}" if has_population else "95 % interval"))
    for name, symbol, is_told in (("told apart after Holm", "circle", True), ("not told apart", "circle-open", False)):
        own = [i for i in rows if shown[i].is_told_apart is is_told]
        if own:
            drawn.add_trace(go.Scatter(
                x=[shown[i].value for i in own], y=own, mode="markers", name=name,
                marker={"size": 10, "symbol": symbol, "color": colours.series, "line": {"width": 2}},
                customdata=[[_hover(shown[i], bars)] for i in own], hovertemplate="%{customdata[0]}<extra></extra>"))
    for i in rows:
        if shown[i].is_chosen:
            drawn.add_trace(ring(shown[i].value, i, colours, size=20))
    drawn.update_yaxes(tickmode="array", tickvals=rows, ticktext=[escaped(short(each.label, 44)) for each in shown],
                       range=[len(shown) - 0.4, -0.6], showgrid=False)
    drawn.update_xaxes(title_text=escaped(axis), range=_reach(shown))
    return drawn


def _reach(shown: Sequence[Effect]) -> list[float]:
    """Return the range of the axis: every interval and 0, with a margin."""
    halves = [max(each.half_width or 0.0, each.population or 0.0) for each in shown]
    low = min([0.0, *(each.value - half for each, half in zip(shown, halves, strict=True))])
    high = max([0.0, *(each.value + half for each, half in zip(shown, halves, strict=True))])
    margin = 0.04 * (high - low) or 1.0
    return [low - margin, high + margin]


def _bars(shown: Sequence[Effect], rows: Sequence[int], halves: Sequence[float | None], colour: str, *, width: float,
          name: str) -> go.Scatter:
    """Return horizontal bars as one broken line, whose width can be chosen."""
    x: list[float | None] = []
    y: list[float | None] = []
    for i, half in zip(rows, halves, strict=True):
        if half is not None:
            x += [shown[i].value - half, shown[i].value + half, None]
            y += [i, i, None]
    return go.Scatter(x=x, y=y, mode="lines", name=name, hoverinfo="skip", line={"color": colour, "width": width})


def _hover(each: Effect, bars: tuple[str, str]) -> str:
    half = "n=1" if each.half_width is None else f"± {each.half_width:.1f}"
    more = "" if each.population is None else f" {bars[0]}, ± {each.population:.1f} {bars[1]}"
    return f"<b>{escaped(each.label)}</b>: {each.value:+.1f} ({half}{more}, n={each.n})"


def forest_legend(effects: Sequence[Effect], bars: tuple[str, str] = BARS) -> str:
    """Return the legend of a forest in words: as a part of the figure it would cover the rows in a narrow window."""
    shown = effects[:MOST_ROWS]
    has_second = any(each.population is not None for each in shown)
    marks = ["● told apart from 0 after Holm's correction · ○ not told apart",
             f"thin bar: 95 % {bars[0]} · pale bar: 95 % {bars[1]}" if has_second else "bar: 95 % interval"]
    return " · ".join([*marks, *(["ring: chosen by the rule"] if any(each.is_chosen for each in shown) else [])])


def forest_words(effects: Sequence[Effect], subject: str) -> str:
    """Describe a forest in words, for readers who cannot see it."""
    if not effects:
        return f"{subject}: no differences yet."
    largest = max(effects, key=lambda each: abs(each.value))
    told = sum(each.is_told_apart for each in effects)
    return f"{subject}: {len(effects)} differences, {told} told apart from 0; largest {largest.label}, {largest.value:+.1f}."
