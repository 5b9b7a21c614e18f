"""What a study's factors do to the metric that decides: effects of a product, or a smooth curve over one factor."""

from __future__ import annotations

from orchestrator.analysis import table
from orchestrator.analysis.curve import FEWEST_ARMS, Curve, smooth
from orchestrator.analysis.effects import Effect, effects
from orchestrator.analysis.statistics import Fit
from orchestrator.results.results import Results, study_of


def factor_effects(results: Results) -> tuple[Effect, ...]:
    """Return main effects and interactions, arms by key; none for a study of one factor, or of rows."""
    return effects(_fitted(results), {arm.key: arm.levels for arm in results.arms})


def factor_curve(results: Results, metric: str | None = None) -> Curve | None:
    """Return the curve over the study's only factor; None if its levels are no numbers >= 0, or too few have seeds.

    Args:
        results: of the study.
        metric: by default the one that decides.
    """
    fitted = _fitted(results, metric)
    levels = {arm.key: next(iter(arm.levels.values())) for arm in results.arms if len(arm.levels) == 1}
    is_numeric = all(_is_number(each) and each >= 0 for each in levels.values())
    paths = {path for arm in results.arms for path in arm.levels}
    measured = {level for arm, level in levels.items() if arm in fitted.means} if is_numeric else set()
    if len(paths) != 1 or len(measured) < FEWEST_ARMS or not fitted.sigma:
        return None
    return smooth(fitted, levels)


def _is_number(level: object) -> bool:
    return isinstance(level, int | float) and not isinstance(level, bool)


def _fitted(results: Results, metric: str | None = None) -> Fit:
    looks, name = study_of(results.study).looks, metric or results.objective
    return table.fits_of(results.trials, [name], looks=looks)[name]
