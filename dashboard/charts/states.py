"""Draw the design matrix: arms by seeds, each cell the state of a trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from dashboard.charts.look import LIGHT, Palette, escaped, figure, short
from dashboard.text import state

COLOURS = {"SUCCEEDED": "#009E73", "RUNNING": "#56B4E9", "PLANNED": "#C9CED6", "DIVERGED": "#CC79A7",
           "FAILED": "#D55E00", "CANCELLED": "#8A929E", "SKIPPED": "#8A929E", "": "rgba(0,0,0,0)"}
MOST_ROWS = 30
"""Arms up to which each has a named row; more are columns, whose names the pointer shows."""


def states_figure(cells: Mapping[tuple[str, int], str], names: Sequence[str], seeds: Sequence[int], *, revision: str,
                  colours: Palette = LIGHT) -> go.Figure:
    """Draw the matrix.

    Args:
        cells: (name of the arm, seed) -> state of the trial.
        names: of the arms, in order.
        seeds: in order.
        revision: names what is drawn.
        colours: of the theme.
    """
    order = list(COLOURS)
    grid = [[cells.get((name, seed), "") for seed in seeds] for name in names]
    is_tall = len(names) <= MOST_ROWS
    if not is_tall:
        grid = [list(column) for column in zip(*grid, strict=True)]
    texts = [[state(each)[:1] for each in row] for row in grid]
    hover = _hover(cells, names, seeds, is_tall=is_tall)
    drawn = figure(revision, colours, height=(70 + 26 * len(names)) if is_tall else 80 + 26 * len(seeds), compact=True)
    drawn.add_trace(
        go.Heatmap(
            z=[[order.index(each) for each in row] for row in grid],
            zmin=-0.5,
            zmax=len(order) - 0.5,
            showscale=False,
            colorscale=_steps(),
            text=texts if len(names) <= MOST_ROWS else None,
            texttemplate="%{text}" if is_tall else None,
            textfont={"size": 13, "color": "#101418"},
            customdata=hover,
            hovertemplate="%{customdata}<extra></extra>",
            xgap=2 if is_tall else 0.5,
            ygap=2,
        )
    )
    arms = {
        "tickmode": "array",
        "tickvals": list(range(len(names))),
        "ticktext": [escaped(short(each)) for each in names],
    }
    replicates = {
        "tickmode": "array",
        "tickvals": list(range(len(seeds))),
        "ticktext": [f"seed {each}" for each in seeds],
    }
    if is_tall:
        drawn.update_yaxes(autorange="reversed", showgrid=False, **arms)
        drawn.update_xaxes(side="top", showgrid=False, **replicates)
    else:
        drawn.update_yaxes(autorange="reversed", showgrid=False, **replicates)
        drawn.update_xaxes(showticklabels=False, title_text=f"{len(names)} arms", showgrid=False)
    return drawn


def _hover(cells: Mapping[tuple[str, int], str], names: Sequence[str], seeds: Sequence[int], *,
           is_tall: bool) -> list[list[str]]:
    rows = [
        [f"<b>{escaped(name)}</b>, seed {seed}: {state(cells.get((name, seed), '')) or 'no trial'}" for seed in seeds]
        for name in names
    ]
    return rows if is_tall else [list(column) for column in zip(*rows, strict=True)]


def _steps() -> list[list[Any]]:
    """Return a colour scale of equal steps, one for each state."""
    number = len(COLOURS)
    return [[(i + side) / number, colour] for i, colour in enumerate(COLOURS.values()) for side in (0, 1)]
