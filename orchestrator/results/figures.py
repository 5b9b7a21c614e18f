"""Draw the figures of the report as SVG: score against level, and score against a cost.

- What they show is described once, by `panels` and `plane`; the dashboard draws the same with Plotly.
- Every seed is a point. Means have 95 % intervals, the baseline's mean is a dashed line, the constraint's bound and the
  paper's choice are dotted ones, a ring with its difference marks the chosen arm.
- The levels of a factor are categories on the axis: a logarithmic axis has no 0, and a linear one hides small levels.
- The colours are those of Okabe and Ito with a contrast of at least 3:1 on white. Each meaning also has a shape, a dash
  or a ring.
- Text remains text, so that it can be searched and read aloud. Nothing refers to a file or an address.
- Only this module imports matplotlib.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from orchestrator.results import panels as described
from orchestrator.results import plane as planes
from orchestrator.results.panels import Panel, Point, delta_text
from orchestrator.results.plane import Plane
from orchestrator.study.metric_names import TOKENS

BLUE, VERMILION, GREEN, INK, SOFT, GRID, EDGE = (
    "#0072b2", "#d55e00", "#009e73", "#1b1f24", "#57606a", "#e8ebef", "#8c959f")
VARIABLES = {INK: "--ink", SOFT: "--soft", GRID: "--line", EDGE: "--edge", BLUE: "--plot", VERMILION: "--accent"}
"""Colour -> the variable of a page's style sheet that takes its place in `themed`."""
_STYLE: Any = {
    "font.family": "sans-serif", "font.size": 10.0, "svg.fonttype": "none", "svg.hashsalt": "ablate",
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": EDGE, "axes.labelcolor": INK,
    "xtick.color": INK, "ytick.color": INK, "axes.grid": True, "grid.color": GRID, "grid.linewidth": 0.8,
    "axes.axisbelow": True, "text.color": INK}
_WIDTH = 10.2
"""The width of the page's column in inches, so that text in figures appears at its nominal size."""
MAX_NAMES = 40
"""The most characters of an arm's name on an axis."""
MAX_PANELS = 3
"""The most metrics side by side."""


def score_figure(shown: Sequence[Panel]) -> str:
    """Draw the panels side by side: curves over the levels of one factor, or rows of arms; return the SVG."""
    is_curve = shown[0].is_ordered
    number = len(shown)
    is_shared = not is_curve and len({tuple(point.key for point in panel.points) for panel in shown}) == 1
    size = (_WIDTH if number > 1 else 6.4, 3.4) if is_curve else (_WIDTH, 1.2 + 0.36 * len(shown[0].points))
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(1, number, squeeze=False, sharey=is_shared)[0]
        for panel, own in zip(shown, axes, strict=True):
            _panel(own, panel, is_curve=is_curve)
            role = f" ({panel.role})" if panel.role else ""
            own.set_title(f"{panel.title}{role}", fontsize=11, loc="left", color=INK)
            _label(own, panel, is_curve=is_curve)
        if is_curve:
            figure.supxlabel(shown[0].factor.replace("_", " "), fontsize=10, color=SOFT)
        for own in axes[: 0 if is_curve else 1 if is_shared else number]:
            own.invert_yaxis()
        return _svg(figure, " ".join(described.words(panel) for panel in shown))


def plane_figure(plane: Plane) -> str:
    """Draw a score against a cost, with one point for each arm and a line through the front; return the SVG."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(6.4, 3.4), layout="constrained")
        axes = figure.subplots()
        front = sorted((point for point in plane.points if point.is_front), key=lambda point: point.x)
        axes.plot([point.x for point in front], [point.y for point in front], color=BLUE, linestyle=(0, (1, 2)),
                  linewidth=1.3, zorder=1)
        for point in plane.points:
            colour = BLUE if point.is_front else SOFT
            marker = "o" if point.is_feasible else "x"
            axes.errorbar([point.x], [point.y], yerr=[[point.y_half_width or 0.0]] * 2, fmt=marker, color=colour, capsize=3)
            if point.is_marked:
                axes.annotate(_cut(point.name), (point.x, point.y), xytext=(6, 5), textcoords="offset points",
                              fontsize=9, color=SOFT)
            if point.is_chosen:
                _ring(axes, point.x, point.y)
        if plane.limit is not None:
            axes.axhline(plane.limit, color=VERMILION, linewidth=1.0, linestyle=(0, (1, 2)), zorder=1)
        axes.set_xlabel(plane.x_title)
        axes.xaxis.set_major_locator(MaxNLocator(integer=plane.x == TOKENS))
        axes.set_title(f"{plane.y_title}, 0 to 100", fontsize=11, loc="left", color=INK)
        axes.margins(x=0.18, y=0.18)
        return _svg(figure, planes.words(plane))


def themed(svg: str) -> str:
    """Return an SVG whose colours follow the style sheet of the page that it stands in, in a light or a dark theme."""
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    return svg


def _panel(axes: Axes, panel: Panel, *, is_curve: bool) -> None:
    for position, point in panel.scored:
        _seeds(axes, position, point, is_curve=is_curve)
    _lines(axes, panel, is_curve=is_curve)
    positions, means = [i for i, _ in panel.scored], [point.mean or 0.0 for _, point in panel.scored]
    widths = [point.half_width or 0.0 for _, point in panel.scored]
    style: dict[str, Any] = {"color": BLUE, "capsize": 3, "marker": "s", "markersize": 5.5, "linewidth": 1.6,
                             "elinewidth": 1.4, "zorder": 3}
    if is_curve:
        axes.errorbar(positions, means, yerr=widths, **style)
    else:
        axes.errorbar(means, positions, xerr=widths, **{**style, "linestyle": "none"})
    _paper(axes, panel, is_curve=is_curve)
    for position, point in panel.scored:
        if point.is_chosen:
            x, y = (position, point.mean or 0.0) if is_curve else (point.mean or 0.0, position)
            _ring(axes, x, y)
            axes.annotate(delta_text(point), (x, y), xytext=(0, 13), textcoords="offset points", fontsize=9,
                          color=VERMILION, ha="center", fontweight="bold", zorder=5)


def _seeds(axes: Axes, position: int, point: Point, *, is_curve: bool) -> None:
    number = len(point.seeds)
    spread = [position + 0.09 * (i - (number - 1) / 2) for i in range(number)]
    values = [value for _, value in sorted(point.seeds.items())]
    axes.plot(*((spread, values) if is_curve else (values, spread)), linestyle="none", marker="o", markersize=5,
              markerfacecolor="none", markeredgecolor=SOFT, markeredgewidth=1.0, zorder=2)


def _lines(axes: Axes, panel: Panel, *, is_curve: bool) -> None:
    """Draw the baseline, the constraint's bound, and the level that the paper chose."""
    line = axes.axhline if is_curve else axes.axvline
    if panel.baseline and panel.baseline.mean is not None:
        line(panel.baseline.mean, color=INK, linewidth=1.0, linestyle=(0, (5, 3)), zorder=1)
    if panel.limit is not None:
        line(panel.limit, color=VERMILION, linewidth=1.1, linestyle=(0, (1, 2)), zorder=1)
    for position, point in enumerate(panel.points):
        if is_curve and point.label == panel.paper_choice:
            axes.axvline(position, color=GREEN, linewidth=1.1, linestyle=(0, (1, 2)), zorder=1)


def _paper(axes: Axes, panel: Panel, *, is_curve: bool) -> None:
    """Draw the paper's differences to its own baseline, set off from ours."""
    ours = panel.baseline.mean if panel.baseline else None
    printed = [(i, point.published) for i, point in enumerate(panel.points) if point.published is not None]
    if ours is None or not printed:
        return
    places, values = [i for i, _ in printed], [ours + value for _, value in printed]
    axes.plot(*((places, values) if is_curve else (values, places)), linestyle="none", marker="D", markersize=6.5,
              markerfacecolor="none", markeredgecolor=GREEN, markeredgewidth=1.5, zorder=4)


def _ring(axes: Axes, x: float, y: float) -> None:
    axes.plot([x], [y], marker="o", markersize=15, markerfacecolor="none", markeredgecolor=VERMILION,
              markeredgewidth=2.0, zorder=4)


def _label(axes: Axes, panel: Panel, *, is_curve: bool) -> None:
    axis = axes.xaxis if is_curve else axes.yaxis
    labels = [_cut(point.label) for point in panel.points]
    axis.set_ticks(range(len(labels)), labels)
    axis.grid(visible=False)
    (axes.set_xlim if is_curve else axes.set_ylim)(-0.5, len(labels) - 0.5)
    if is_curve and len(labels) > 10:
        axes.tick_params(axis="x", labelrotation=60)


def _cut(name: str) -> str:
    # matplotlib takes what stands between dollar signs for mathematics.
    return (name if len(name) <= MAX_NAMES else name[: MAX_NAMES - 1] + "…").replace("$", r"\$")


def _svg(figure: Figure, words: str) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True,
                   metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    # The prologue refers to a DTD and the metadata block to vocabularies on the web: an HTML page needs neither.
    text = re.sub(r"<metadata>.*?</metadata>", "", buffer.getvalue()[buffer.getvalue().index("<svg"):], flags=re.DOTALL)
    return text.replace("<svg", f'<svg role="img" aria-label="{html.escape(words)}"', 1)
