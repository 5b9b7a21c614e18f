"""Draw tables of differences as coloured cells with their numbers: blue is better than the baseline, orange worse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from dashboard.charts.look import LIGHT, Palette, diverging, escaped, figure, short

MOST_WORDS = 400
"""Cells up to which each shows its number; of more, the pointer shows it."""
LEAST_REACH = 1.0
"""Points at which a colour is full at least: noise of a tenth of a point is not painted like an effect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatCell:
    """One cell."""

    colour: float | None
    """The difference that is coloured; None without one."""
    text: str
    """What stands in the cell."""
    hover: str


def heat_figure(cells: Sequence[Sequence[HeatCell]], rows: Sequence[str], columns: Sequence[str], *, revision: str,
                titles: tuple[str, str] = ("", ""), colours: Palette = LIGHT) -> go.Figure:
    """Draw the cells.

    Args:
        cells: rows of cells, from the top.
        rows: their labels.
        columns: labels.
        revision: names what is drawn.
        titles: of the horizontal and the vertical axis.
        colours: of the theme.
    """
    reach = max([LEAST_REACH, *(abs(cell.colour) for row in cells for cell in row if cell.colour is not None)])
    is_told = len(rows) * len(columns) <= MOST_WORDS
    has_lines = any("\n" in cell.text for row in cells for cell in row)
    height = (34 if has_lines else 26) if is_told else max(6, min(20, 1200 // max(1, len(rows))))
    drawn = figure(revision, colours, height=130 + height * len(rows), compact=True)
    drawn.add_trace(go.Heatmap(
        z=[[cell.colour for cell in row] for row in cells], zmin=-reach, zmax=reach, colorscale=diverging(colours),
        text=[[escaped(cell.text).replace("\n", "<br>") for cell in row] for row in cells] if is_told else None,
        texttemplate="%{text}" if is_told else None, textfont={"size": 12 if len(columns) <= 12 else 10}, hoverongaps=True,
        customdata=[[escaped(cell.hover).replace("\n", "<br>") for cell in row] for row in cells],
        hovertemplate="%{customdata}<extra></extra>", xgap=1.5, ygap=1.5,
        colorbar={"title": {"text": "Δ"}, "thickness": 10, "outlinewidth": 0}))
    labels = list(range(len(rows)))
    drawn.update_yaxes(
        tickmode="array",
        tickvals=labels if is_told else labels[:: max(1, len(rows) // 30)],
        ticktext=[escaped(short(each)) for each in (rows if is_told else rows[:: max(1, len(rows) // 30)])],
        range=[len(rows) - 0.5, -0.5],
        showgrid=False,
        title_text=titles[1],
    )
    drawn.update_xaxes(tickmode="array", tickvals=list(range(len(columns))), side="top", showgrid=False,
                       range=[-0.5, len(columns) - 0.5],
                       ticktext=[escaped(short(each, 22)) for each in columns], title_text=titles[0],
                       tickangle=0 if len(columns) <= 6 else -40)
    if is_told:
        _add_missing(drawn, cells, colours)
    return drawn


def _add_missing(drawn: go.Figure, cells: Sequence[Sequence[HeatCell]], colours: Palette) -> None:
    """Write the text of cells without a colour, which Plotly leaves empty."""
    for i, row in enumerate(cells):
        for j, cell in enumerate(row):
            if cell.colour is None:
                drawn.add_annotation(x=j, y=i, text=escaped(cell.text).replace("\n", "<br>") or "–", showarrow=False,
                                     font={"size": 12, "color": colours.quiet})
