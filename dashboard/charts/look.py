"""What all figures share: colours, layout, axes, and names that stay names."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from dashboard.text import visible

CONFIG = {"displayModeBar": False, "responsive": True}
"""Without Plotly's tool bar, which screen readers read as links without names."""
FONT = '"Source Sans", "Source Sans Pro", sans-serif'
"""The font of Streamlit, which serves it locally."""
COMPACT = {"showlegend": False, "margin": {"l": 10, "r": 16, "t": 14, "b": 10}}
"""Panels side by side have no room for a legend each; they share one in words."""
CLEAR = "rgba(0,0,0,0)"
MOST_POINTS = 2000
"""The most marks that are drawn as SVG; more are drawn by WebGL."""


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
    page: str
    more: tuple[str, ...]
    """Colours for several series, each of which also has a dash and a symbol."""


LIGHT = Palette(series="#0072B2", chosen="#D55E00", baseline="#4D5562", paper="#009E73", quiet="#7A8290",
                grid="#E6E8EC", text="#262B33", veil="rgba(255,255,255,0.8)", page="#FFFFFF",
                more=("#0072B2", "#D55E00", "#009E73", "#C5649B", "#262B33"))
DARK = Palette(series="#56B4E9", chosen="#E69F00", baseline="#B4BBC6", paper="#009E73", quiet="#8A929E",
               grid="#2B303A", text="#E8EAED", veil="rgba(14,17,23,0.8)", page="#0E1117",
               more=("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442"))
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x")


def palette(theme: str | None) -> Palette:
    """Return the colours of the theme: `dark`, or light for any other."""
    return DARK if theme == "dark" else LIGHT


def diverging(colours: Palette) -> list[list[Any]]:
    """Return a scale from worse to better: orange over the page's own colour to blue, symmetric about 0."""
    return [[0.0, "#D55E00"], [0.5, colours.page], [1.0, "#0072B2"]]


def layout(revision: str, colours: Palette, *, height: int) -> dict[str, Any]:
    """Return the layout of a figure.

    Args:
        revision: what is drawn; the reader's zoom is kept while it stays the same.
        colours: of the theme.
        height: in px.
    """
    axis = {"gridcolor": colours.grid, "zeroline": False, "linecolor": colours.grid,
            "title": {"font": {"size": 13}, "standoff": 10}, "automargin": True}
    return {
        "height": height, "uirevision": revision, "margin": {"l": 10, "r": 16, "t": 46, "b": 10},
        "paper_bgcolor": CLEAR, "plot_bgcolor": CLEAR,
        "font": {"color": colours.text, "size": 13, "family": FONT}, "xaxis": axis, "yaxis": axis,
        "hovermode": "closest", "hoverlabel": {"namelength": -1},
        "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.03, "x": 0, "font": {"size": 12},
                   "itemclick": False}}


def figure(revision: str, colours: Palette, *, height: int, compact: bool = False) -> go.Figure:
    """Return an empty figure with the common layout."""
    return go.Figure(layout=layout(revision, colours, height=height) | (COMPACT if compact else {}))


def marks(number: int) -> Any:
    """Return the class of trace for so many marks: SVG, or WebGL if there are many."""
    return go.Scatter if number <= MOST_POINTS else go.Scattergl


def ring(x: Any, y: Any, colours: Palette, *, size: int) -> go.Scatter:
    """Return the ring around the chosen arm."""
    return go.Scatter(x=[x], y=[y], mode="markers", name="chosen by the rule", hoverinfo="skip",
                      marker={"symbol": "circle-open", "size": size, "color": colours.chosen, "line": {"width": 3}})


def note(text: str, colour: str) -> dict[str, Any]:
    """Return the annotation of a line."""
    return {"text": text, "font": {"size": 11, "color": colour}}


def short(text: str, limit: int = 34) -> str:
    """Return a text, cut at the limit."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def escaped(text: str) -> str:
    """Return a name as Plotly shows it literally."""
    return html.escape(visible(text), quote=False)


def shades(colour: str, opacity: float) -> str:
    """Return a colour of six digits with an opacity."""
    red, green, blue = (int(colour[i:i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"
