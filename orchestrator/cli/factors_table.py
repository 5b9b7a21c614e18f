"""Tables of the effects of a study's factors, for the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from orchestrator import formatting
from orchestrator.analysis.curve import Curve
from orchestrator.analysis.effects import Effect
from orchestrator.cli.console import plain_table
from orchestrator.results.factors import factor_curve, factor_effects
from orchestrator.results.results import Results

SHOWN = 11
"""The number of points of a curve that are printed."""


def print_factors(console: Console, results: Results) -> None:
    """Print effects and interactions, or the smooth curve; or that the study has neither."""
    found, curve = factor_effects(results), factor_curve(results)
    if found:
        console.print(_effects(found, results.objective))
    if curve:
        console.print(_curve(curve, results))
        low, high = curve.peak
        console.print(f"the best level lies between {low:.3g} and {high:.3g} with 95 % probability")
    if not found and not curve:
        console.print("no effects: they need two seeds, and two factors or more or four numeric levels of one factor")


def _effects(found: tuple[Effect, ...], metric: str) -> Table:
    table = plain_table(f"effect on {metric}", numbers=("against", "difference", "settings averaged"))
    for each in found:
        difference = each.difference
        star = " *" if difference.is_told_apart else "  "
        shown = formatting.score(difference.value, difference.half_width, sign=True) + star
        table.add_row(difference.a, difference.b, shown, str(each.num_settings))
    return table


def _curve(curve: Curve, results: Results) -> Table:
    table = plain_table(f"{results.objective} at level", numbers=("score", "95 % band", "probability of best"))
    step = (len(curve.levels) - 1) // (SHOWN - 1)
    for i in range(0, len(curve.levels), step):
        band = f"{curve.low[i]:.1f} to {curve.high[i]:.1f}"
        table.add_row(f"{curve.levels[i]:.3g}", f"{curve.mean[i]:.1f}", band, "")
    for arm, probability in curve.is_best.items():
        table.add_row(results.arm(arm).name, "", "", f"{100 * probability:.0f} %")
    return table
