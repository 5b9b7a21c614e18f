"""Draw the figures of the report as inline SVG: score against level, and score against image tokens.

- Every seed is a point. Means have 95 % intervals, the baseline's mean is a dashed line, a ring marks the chosen arm.
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

from orchestrator.analysis.table import ArmResult

BLUE, VERMILION, INK, SOFT = "#0072B2", "#D55E00", "#1b1f24", "#57606a"
_STYLE: Any = {
    "font.family": "sans-serif", "font.size": 10.0, "svg.fonttype": "none", "svg.hashsalt": "ablate",
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#8c959f", "axes.labelcolor": INK,
    "xtick.color": INK, "ytick.color": INK, "axes.grid": True, "grid.color": "#e8ebef", "grid.linewidth": 0.8,
    "axes.axisbelow": True}
_WIDTH = 10.2
"""The width of the page's column in inches, so that text in figures appears at its nominal size."""
MAX_NAMES = 40
"""The most characters of an arm's name on an axis."""


def ordered(arms: Sequence[ArmResult]) -> tuple[list[ArmResult], list[str], bool]:
    """Return the arms in the order of the axis, their labels, and whether they are levels of one numeric factor."""
    paths = {path for arm in arms for path in arm.levels}
    values = [next(iter(arm.levels.values()), None) for arm in arms]
    is_number = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    if len(paths) == 1 and is_number:
        ranked = sorted(arms, key=lambda arm: float(next(iter(arm.levels.values()))))
        return ranked, [f"{next(iter(arm.levels.values())):g}" for arm in ranked], True
    names = [arm.name if len(arm.name) <= MAX_NAMES else arm.name[: MAX_NAMES - 1] + "…" for arm in arms]
    return list(arms), names, False


def score_figure(arms: Sequence[ArmResult], metrics: Sequence[str], *, chosen: str | None,
                 seeds: Sequence[int]) -> str:
    """Draw a panel for each metric: a curve over the levels of one factor, or a row for each arm; return the SVG."""
    ranked, labels, is_curve = ordered(arms)
    with mpl.rc_context(_STYLE):
        if is_curve:
            figure = Figure(figsize=(_WIDTH if len(metrics) > 1 else 6.4, 3.3), layout="constrained")
            panels = figure.subplots(1, len(metrics), squeeze=False)[0]
        else:
            figure = Figure(figsize=(_WIDTH, 1.2 + 0.36 * len(ranked)), layout="constrained")
            panels = figure.subplots(1, len(metrics), squeeze=False, sharey=True)[0]
        for panel, metric in zip(panels, metrics, strict=True):
            _panel(panel, ranked, metric, chosen=chosen, seeds=seeds, is_curve=is_curve)
            panel.set_title(f"{metric.replace('_', ' ')}, 0 to 100", fontsize=11, loc="left", color=INK)
            _label(panel, labels, is_curve=is_curve)
        if is_curve:
            figure.supxlabel(next(iter(ranked[0].levels)), fontsize=10, color=SOFT)
        else:
            panels[0].invert_yaxis()
        return _svg(figure, describe(arms, metrics, chosen=chosen))


def tokens_figure(arms: Sequence[ArmResult], metric: str, *, chosen: str | None) -> str:
    """Draw a metric against image tokens per image, with one point for each arm; return the SVG."""
    shown = [arm for arm in arms if metric in arm.metrics and arm.tokens_per_image is not None]
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(6.4, 3.3), layout="constrained")
        axes = figure.subplots()
        for arm in shown:
            cell, tokens = arm.metrics[metric], arm.tokens_per_image or 0.0
            axes.errorbar([tokens], [cell.mean], yerr=[[cell.half_width or 0.0]] * 2, fmt="o", color=BLUE, capsize=3)
            axes.annotate(arm.name[:MAX_NAMES], (tokens, cell.mean), xytext=(6, 5), textcoords="offset points",
                          fontsize=9, color=SOFT)
            if arm.key == chosen:
                _ring(axes, tokens, cell.mean)
        axes.set_xlabel("image tokens per image")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_title(f"{metric.replace('_', ' ')}, 0 to 100", fontsize=11, loc="left", color=INK)
        axes.margins(x=0.18, y=0.18)
        points = "; ".join(f"{arm.name}: {arm.tokens_per_image:.0f} tokens, {arm.metrics[metric].mean:.1f}"
                           for arm in shown)
        return _svg(figure, f"{metric} against image tokens. {points}.")


def describe(arms: Sequence[ArmResult], metrics: Sequence[str], *, chosen: str | None) -> str:
    """Describe the figure in words, for readers who cannot see it."""
    parts = []
    for metric in metrics:
        means = [f"{arm.name} {arm.metrics[metric].mean:.1f}" for arm in arms if metric in arm.metrics]
        parts.append(f"{metric}: {', '.join(means) or 'no scores'}")
    names = [arm.name for arm in arms if arm.key == chosen]
    return ". ".join(parts) + (f". Chosen: {names[0]}." if names else ".")


def _panel(axes: Axes, arms: Sequence[ArmResult], metric: str, *, chosen: str | None, seeds: Sequence[int],
           is_curve: bool) -> None:
    cells = [(position, arm, arm.metrics[metric]) for position, arm in enumerate(arms) if metric in arm.metrics]
    for position, arm, cell in cells:
        spread = [position + 0.09 * (list(seeds).index(seed) - (len(seeds) - 1) / 2) if seed in seeds else position
                  for seed in cell.by_seed]
        points = (spread, list(cell.by_seed.values())) if is_curve else (list(cell.by_seed.values()), spread)
        axes.plot(*points, linestyle="none", marker="o", markersize=5, markerfacecolor="none", markeredgecolor=SOFT,
                  markeredgewidth=1.0, zorder=2)
        if arm.is_baseline:
            line = axes.axhline if is_curve else axes.axvline
            line(cell.mean, color=INK, linewidth=1.0, linestyle=(0, (5, 3)), zorder=1)
    positions, means = [position for position, _, _ in cells], [cell.mean for _, _, cell in cells]
    widths = [cell.half_width or 0.0 for _, _, cell in cells]
    style: dict[str, Any] = {"color": BLUE, "capsize": 3, "marker": "s", "markersize": 5.5, "linewidth": 1.6,
                             "elinewidth": 1.4, "zorder": 3}
    if is_curve:
        axes.errorbar(positions, means, yerr=widths, **style)
    else:
        axes.errorbar(means, positions, xerr=widths, **{**style, "linestyle": "none"})
    for position, arm, cell in cells:
        if arm.key == chosen:
            _ring(axes, *((position, cell.mean) if is_curve else (cell.mean, position)))


def _ring(axes: Axes, x: float, y: float) -> None:
    axes.plot([x], [y], marker="o", markersize=15, markerfacecolor="none", markeredgecolor=VERMILION,
              markeredgewidth=2.0, zorder=4)


def _label(axes: Axes, labels: Sequence[str], *, is_curve: bool) -> None:
    axis = axes.xaxis if is_curve else axes.yaxis
    axis.set_ticks(range(len(labels)), labels)
    axis.grid(visible=False)
    (axes.set_xlim if is_curve else axes.set_ylim)(-0.5, len(labels) - 0.5)
    if is_curve and len(labels) > 10:
        axes.tick_params(axis="x", labelrotation=60)


def _svg(figure: Figure, words: str) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True,
                   metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    # The prologue refers to a DTD and the metadata block to vocabularies on the web: an HTML page needs neither.
    text = re.sub(r"<metadata>.*?</metadata>", "", buffer.getvalue()[buffer.getvalue().index("<svg"):], flags=re.DOTALL)
    return text.replace("<svg", f'<svg role="img" aria-label="{html.escape(words)}"', 1)
