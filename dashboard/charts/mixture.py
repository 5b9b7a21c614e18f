"""Draw mixtures of three parts in a triangle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from dashboard.charts.look import LIGHT, Palette, escaped, figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Blend:
    """An arm as shares of three parts, which sum to 1."""

    name: str
    shares: tuple[float, float, float]
    score: float | None
    n: int
    is_chosen: bool
    is_baseline: bool


def ternary_figure(blends: Sequence[Blend], parts: tuple[str, str, str], *, revision: str, metric: str,
                   colours: Palette = LIGHT) -> go.Figure:
    """Draw every arm as a point, its colour the score; arms without a score are hollow, the chosen one is ringed."""
    drawn = figure(revision, colours, height=520)
    scored = [each for each in blends if each.score is not None]
    rest = [each for each in blends if each.score is None]
    drawn.add_trace(_points(scored, {"size": 15, "color": [each.score for each in scored], "colorscale": "Cividis",
                                     "showscale": bool(scored), "line": {"width": 1, "color": colours.text},
                                     "colorbar": {"title": {"text": escaped(metric)}, "thickness": 12}}, "arm"))
    if rest:
        drawn.add_trace(_points(rest, {"size": 13, "symbol": "circle-open", "color": colours.quiet}, "no score"))
    for name, own, colour, size in (
            ("chosen by the rule", [each for each in blends if each.is_chosen], colours.chosen, 26),
            ("baseline", [each for each in blends if each.is_baseline], colours.baseline, 21)):
        if own:
            drawn.add_trace(
                _points(own, {"size": size, "symbol": "circle-open", "color": colour, "line": {"width": 3}}, name)
            )
    axes = {
        f"{axis}axis": {
            "title": {"text": escaped(part)},
            "gridcolor": colours.grid,
            "linecolor": colours.quiet,
            "min": 0,
        }
        for axis, part in zip("abc", parts, strict=True)
    }
    drawn.update_layout(ternary={"sum": 1, "bgcolor": "rgba(0,0,0,0)", **axes})
    return drawn


def _points(blends: Sequence[Blend], marker: dict[str, object], name: str) -> go.Scatterternary:
    words = [
        f"<b>{escaped(each.name)}</b><br>" + ("no score" if each.score is None else f"{each.score:.1f}, n={each.n}")
        for each in blends
    ]
    a, b, c = ([each.shares[i] for each in blends] for i in range(3))
    return go.Scatterternary(
        a=a,
        b=b,
        c=c,
        mode="markers",
        marker=marker,
        name=name,
        customdata=[[each] for each in words],
        hovertemplate="%{customdata[0]}<extra></extra>",
    )
