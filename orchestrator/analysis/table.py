"""The table of arms x metrics: means with intervals, differences to the baseline, and the scores of all seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.analysis import statistics
from orchestrator.analysis.scores import TOKENS, TrialScores
from orchestrator.analysis.selection import values_of
from orchestrator.analysis.statistics import Fit
from orchestrator.plan.arms import Arm
from orchestrator.states import TrialState


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """An arm minus the baseline, paired by seed."""

    value: float
    half_width: float | None
    """Half-width of the 95 % interval of this difference alone; None with n=1."""
    half_width_holm: float | None
    """Half-width of Holm's interval; the family is all arms against the baseline in this metric."""
    p_holm: float | None
    is_told_apart: bool
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One arm in one metric."""

    mean: float
    half_width: float | None
    """Half-width of the 95 % interval over the arm's seeds; None with n=1."""
    n: int
    by_seed: dict[int, float]
    delta: Delta | None
    """None for the baseline itself, and if there is no baseline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmResult:
    """One row of the table."""

    key: str
    name: str
    levels: dict[str, Any]
    is_baseline: bool
    num_trials: int
    num_diverged: int
    num_failed: int
    """Trials that failed, were skipped or cancelled."""
    num_scored: int
    """Trials with a score on every benchmark of their suite."""
    tokens_per_image: float | None
    metrics: dict[str, Cell]
    withheld: dict[str, str]
    """Metric -> why it has no score."""


def fits_of(trials: Sequence[TrialScores], metrics: Iterable[str], *, looks: Sequence[int] = ()) -> dict[str, Fit]:
    """Fit each metric; `looks` as in `statistics.fit`."""
    return {metric: statistics.fit(values_of(trials, metric), looks=looks) for metric in metrics}


def arm_results(arms: Sequence[Arm], trials: Sequence[TrialScores], fits: Mapping[str, Fit],
                baseline: str | None) -> list[ArmResult]:
    """Return one row for each arm, in the order of the study."""
    deltas = {metric: statistics.to_baseline(fitted, baseline or "") for metric, fitted in fits.items()}
    own: dict[str, list[TrialScores]] = {arm.key: [] for arm in arms}
    for trial in trials:
        own[trial.arm_key].append(trial)
    return [_arm(arm, own[arm.key], fits, {metric: by_arm.get(arm.key) for metric, by_arm in deltas.items()}, baseline)
            for arm in arms]


def _arm(arm: Arm, trials: Sequence[TrialScores], fits: Mapping[str, Fit],
         deltas: Mapping[str, statistics.Difference | None], baseline: str | None) -> ArmResult:
    cells = {metric: _cell(metric, fitted.means[arm.key], trials, deltas[metric])
             for metric, fitted in fits.items() if arm.key in fitted.means}
    tokens = [trial.metrics[TOKENS] for trial in trials if TOKENS in trial.metrics]
    withheld = {name: reason for trial in trials for name, reason in trial.withheld.items() if name not in cells}
    states = [trial.state for trial in trials]
    return ArmResult(
        key=arm.key, name=arm.name, levels=dict(arm.levels), is_baseline=arm.key == baseline, num_trials=len(trials),
        num_diverged=states.count(TrialState.DIVERGED), num_scored=states.count(TrialState.SUCCEEDED),
        num_failed=sum(state in (TrialState.FAILED, TrialState.SKIPPED, TrialState.CANCELLED) for state in states),
        tokens_per_image=math.fsum(tokens) / len(tokens) if tokens else None, metrics=cells, withheld=withheld)


def _cell(metric: str, mean: statistics.Mean, trials: Sequence[TrialScores],
          difference: statistics.Difference | None) -> Cell:
    by_seed = {
        trial.seed: trial.metrics[metric] for trial in trials if metric in trial.metrics and not trial.is_diverged
    }
    return Cell(mean=mean.value, half_width=mean.half_width, n=mean.n, by_seed=by_seed,
                delta=None if difference is None else _delta(difference))


def _delta(difference: statistics.Difference) -> Delta:
    return Delta(value=difference.value, half_width=difference.half_width, half_width_holm=difference.half_width_holm,
                 p_holm=difference.p_holm, is_told_apart=difference.is_told_apart, n=difference.n)
