"""Compare one study at several scales: does a small scale predict a larger one?

- Scales are ordered by the training compute of a trial. Arms are matched by their levels as the study writes them, so
  `tile: high` is one arm at every scale.
- Each pair of neighbours, and each scale with the largest, is compared: rank agreement and decision accuracy.
- Arms are projected to the compute of the next scale. With three scales or more, the largest is also projected from
  the smaller ones and compared with what was measured there (`Hindsight`), which checks the method on this study.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from model.config.stages import TRAINING
from orchestrator.analysis import table
from orchestrator.analysis.ladder import Agreement, Estimate, Projection, Rung, agreement, compute_gain, project
from orchestrator.errors import StudyError
from orchestrator.ledger import read
from orchestrator.ledger.engine import Engine
from orchestrator.results.results import Results, study_results


@dataclass(frozen=True, slots=True, kw_only=True)
class Hindsight:
    """The prediction of the smaller scales for the largest one, beside what was measured there."""

    scale: str
    num_arms: int
    num_scores_inside: int
    """Arms whose measured score lies in the interval that was projected for it."""
    num_leads_inside: int
    """Arms whose measured lead over the baseline does."""
    num_pairs: int
    num_pairs_right: int
    """Pairs of arms that the next smaller scale puts in the order measured at the largest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """A study at several scales, the one with the least compute first."""

    study: str
    metric: str
    baseline: str
    """The key of the arm that others are compared with."""
    names: dict[str, str]
    """Arm key -> name, of the arms that all scales have scores of."""
    rungs: tuple[Rung, ...]
    agreements: tuple[Agreement, ...]
    """Of neighbours, then of the other scales with the largest."""
    target_flops: float
    """Training FLOPs of a trial at the scale that arms are projected to."""
    projection: Projection
    gains: dict[str, Estimate]
    """Arm key -> how many times the baseline's compute would have to grow for its score at the largest scale."""
    hindsight: Hindsight | None
    """None with two scales."""

    @property
    def untrusted(self) -> tuple[Agreement, ...]:
        """The comparisons that show that a small scale must not be trusted."""
        return tuple(each for each in self.agreements if not each.is_trusted)


def ladder(engine: Engine, study: str, scales: Sequence[str], *, metric: str | None = None,
           target_flops: float | None = None) -> Ladder:
    """Compare a study at several scales, as far as the ledger has its scores.

    Args:
        engine: the ledger.
        study: the name of the study.
        scales: two or more, in any order.
        metric: of the study; None is the one that its rule maximizes.
        target_flops: training FLOPs of a trial at the scale to project to; None goes on by the last ratio of compute.

    Raises:
        StudyError: a scale has no scores of the study, or there are too few arms, seeds or scales.
    """
    if len(set(scales)) < 2:
        raise StudyError(study, 0, f"scales {', '.join(scales) or 'none'}; allowed: two or more different ones")
    found = [study_results(engine, read.study(engine, study, scale)) for scale in scales]
    name = metric or found[0].objective
    rungs = sorted((_rung(each, name) for each in found), key=lambda rung: rung.flops)
    arms = [arm for arm in rungs[0].fitted.arms if all(arm in rung.fitted.means for rung in rungs)]
    baseline = found[0].baseline or (arms[0] if arms else "")
    try:
        return _compared(study, name, rungs, baseline, target_flops, {arm.key: arm.name for arm in found[0].arms if arm.key in arms})
    except ValueError as error:
        raise StudyError(study, 0, f"no ladder of {', '.join(rung.scale for rung in rungs)}: {error}") from error


def _compared(study: str, metric: str, rungs: Sequence[Rung], baseline: str, target_flops: float | None,
              names: dict[str, str]) -> Ladder:
    pairs = list(pairwise(rungs)) + [(rung, rungs[-1]) for rung in rungs[:-2]]
    target = target_flops or rungs[-1].flops ** 2 / rungs[-2].flops
    return Ladder(
        study=study, metric=metric, baseline=baseline, names=names, rungs=tuple(rungs),
        agreements=tuple(agreement(*pair) for pair in pairs), target_flops=target,
        projection=project(rungs, target, baseline=baseline), gains=compute_gain(rungs, baseline=baseline),
        hindsight=_hindsight(rungs, baseline) if len(rungs) > 2 else None)


def _rung(found: Results, metric: str) -> Rung:
    """Return one scale of the ladder.

    Raises:
        StudyError: the metric has no scores there, or from one seed only.
    """
    fits = table.fits_of(found.trials, [metric])
    row, fitted = found.study, fits[metric]
    if not fitted.means:
        raise StudyError(row.name, 0, f"no scores of {metric} at scale {row.scale}; it is {row.state.lower()} there",
                         f"ablate run {row.name} --scale {row.scale}")
    if fitted.scores.shape[1] < 2:
        raise StudyError(row.name, 0, f"one seed at scale {row.scale}; allowed: two or more, since ranks have noise")
    return Rung(scale=row.scale, flops=_training_flops(found), fitted=fitted)


def _training_flops(found: Results) -> float:
    """Return the training FLOPs of a trial, as the mean over the trials."""
    flops = {stage.stage_id: stage.flops for stage in found.stages if stage.kind in TRAINING}
    totals = [sum(flops.get(stage_id, 0.0) for stage_id in trial.stage_ids) for trial in found.trial_rows]
    return sum(totals) / len(totals)


def _hindsight(rungs: Sequence[Rung], baseline: str) -> Hindsight:
    """Project the largest scale from the smaller ones, and hold what was measured against it."""
    last, before = rungs[-1], rungs[-2]
    projected = project(rungs[:-1], last.flops, baseline=baseline)
    arms = [arm for arm in projected.scores if arm in last.fitted.means]
    means = {arm: last.fitted.means[arm].value for arm in arms}
    small = {arm: before.fitted.means[arm].value for arm in arms}
    pairs = [(a, b) for i, a in enumerate(arms) for b in arms[i + 1:]]
    leads = {arm: means[arm] - means[baseline] for arm in arms if arm != baseline}
    return Hindsight(
        scale=last.scale, num_arms=len(arms), num_pairs=len(pairs),
        num_scores_inside=sum(_is_inside(projected.scores[arm], means[arm]) for arm in arms),
        num_leads_inside=sum(_is_inside(projected.leads[arm], lead) for arm, lead in leads.items()),
        num_pairs_right=sum((small[a] - small[b]) * (means[a] - means[b]) > 0 for a, b in pairs))


def _is_inside(interval: Estimate, value: float) -> bool:
    return interval.low <= value <= interval.high
