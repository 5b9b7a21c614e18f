"""Draw an adaptive search: its history, and its arms over all parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from dashboard.charts.look import LIGHT, Palette, escaped, figure, marks, ring


def history_figure(names: Sequence[str], scores: Sequence[float | None], *, revision: str, metric: str,
                   is_maximized: bool = True, chosen: int | None = None, colours: Palette = LIGHT) -> go.Figure:
    """Draw the score of each arm in the order of its proposal, and the best so far as a step."""
    drawn = figure(revision, colours, height=340)
    known = [(i + 1, score) for i, score in enumerate(scores) if score is not None]
    best: list[float] = []
    for _, score in known:
        best.append(score if not best else max(best[-1], score) if is_maximized else min(best[-1], score))
    drawn.add_trace(go.Scatter(x=[i for i, _ in known], y=best, mode="lines", name="best so far",
                               line={"color": colours.baseline, "width": 1.5, "dash": "dash", "shape": "hv"}))
    drawn.add_trace(marks(len(known))(
        x=[i for i, _ in known], y=[score for _, score in known], mode="markers", name="mean of an arm",
        marker={"size": 9, "color": colours.series}, customdata=[[escaped(names[i - 1])] for i, _ in known],
        hovertemplate="<b>%{customdata[0]}</b><br>%{y:.1f}<extra></extra>"))
    if chosen is not None and scores[chosen] is not None:
        drawn.add_trace(ring(chosen + 1, scores[chosen], colours, size=20))
    drawn.update_xaxes(title_text="arm, in the order of its proposal")
    drawn.update_yaxes(title_text=escaped(metric))
    return drawn


def parallel_figure(levels: Sequence[Mapping[str, Any]], scores: Sequence[float], *, revision: str, metric: str,
                    colours: Palette = LIGHT) -> go.Figure:
    """Draw each arm as a line over its parameters and its score.

    Args:
        levels: parameter -> value of each arm; texts become categories.
        scores: of the same arms.
        revision: names what is drawn.
        metric: title of the last axis.
        colours: of the theme.
    """
    drawn = figure(revision, colours, height=420)
    paths = list(dict.fromkeys(path for each in levels for path in each))
    dimensions = [_dimension(path, [each.get(path) for each in levels]) for path in paths]
    drawn.add_trace(go.Parcoords(
        dimensions=[*dimensions, {"label": escaped(metric), "values": list(scores)}],
        line={"color": list(scores), "colorscale": "Cividis", "showscale": True},
        labelfont={"color": colours.text}, tickfont={"color": colours.text}))
    drawn.update_layout(margin={"l": 70, "r": 40, "t": 70, "b": 30})
    return drawn


def _dimension(path: str, values: Sequence[Any]) -> dict[str, Any]:
    label = escaped(path.rsplit(".", 1)[-1])
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return {"label": label, "values": list(values)}
    names = list(dict.fromkeys(map(str, values)))
    return {"label": label, "values": [names.index(str(value)) for value in values],
            "tickvals": list(range(len(names))), "ticktext": [escaped(name) for name in names]}
