"""Does a small scale predict a larger one? Compares the same arms at several scales, each with its training compute.

- Rank agreement: Kendall's tau between the arms' true scores at two scales. Noise makes two measured orders agree less
  than the true ones. So true scores are drawn from a model: normal within each scale, correlated between scales, with
  spreads and correlation averaged over a grid, weighted by how well they explain the means.
- Decision accuracy: the share of pairs of arms that the small scale's means put into the order that is true at the
  large scale, by the same draws.
- Projection to the next scale: each arm's deviation from the mean of all arms is a line in log compute, with a misfit
  at each scale. The spread of the arms' slopes and the size of the misfits are averaged over a grid, weighted by how
  well they explain all arms together. The mean of all arms continues with its last slope times the ratio of its last
  two slopes, as a power law with a floor does.
- Compute gain: how much more compute the baseline would need to reach an arm's score, by the slope of the mean of all
  arms.
- All intervals are 95 % and come from draws with fixed random numbers.

Source: decision accuracy as in DataDecide, arXiv 2504.11393. Differs: here the large scale's order has noise as well.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from orchestrator.analysis.design import Array
from orchestrator.analysis.noise import mean_variances, residual_df
from orchestrator.analysis.statistics import Fit

NUM_DRAWS = 2000
TRUSTED = 0.8
"""Decision accuracy below which a small scale is not to be trusted."""
RATIO_DEVIATION = 0.1
"""Standard deviation by which the ratio of successive slopes of the mean may change at the next scale."""
UNKNOWN_RATIO = (0.4, 1.1)
"""Range of that ratio if there are only two scales, which cannot show it."""
_CORRELATIONS = (-0.9, -0.5, 0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99)
"""Correlations of true scores between two scales."""
_SLOPES = (0.02, 0.1, 0.3, 1.0, 3.0)
"""Standard deviations of the arms' slopes over the ladder's whole range, in units of the deviation of their scores."""
_MISFITS = (0.02, 0.1, 0.3, 1.0)
"""Standard deviations of the scores from the lines, in the same unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One scale of the ladder."""

    scale: str
    flops: float
    """Training compute of one trial, above 0."""
    fitted: Fit
    """Scores of one metric; at least two seeds an arm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How well a small scale predicts the order of arms at a large one."""

    small: str
    large: str
    num_arms: int
    tau: Estimate
    """Kendall's rank correlation, -1 to 1."""
    accuracy: Estimate
    """Share of pairs in the right order, 0 to 1."""

    @property
    def is_trusted(self) -> bool:
        """Whether enough decisions are right and the ranks surely agree."""
        return self.accuracy.value >= TRUSTED and self.tau.low > 0

    @property
    def sentence(self) -> str:
        """The result as a sentence."""
        accuracy, tau = self.accuracy, self.tau
        share, low, high = (100 * each for each in (accuracy.value, accuracy.low, accuracy.high))
        opening = (f"{self.small} puts {share:.0f} % [{low:.0f}, {high:.0f}] "
                   f"of the pairs of {self.num_arms} arms in the order of {self.large} "
                   f"(tau {tau.value:.2f} [{tau.low:.2f}, {tau.high:.2f}])")
        if self.is_trusted:
            return f"{opening}."
        reason = "ranks may not agree at all" if tau.low <= 0 else f"decisions are right in fewer than {TRUSTED:.0%}"
        return f"{opening}: do not trust it, {reason}."


def agreement(small: Rung, large: Rung) -> Agreement:
    """Compare the order of the arms that both scales have.

    Raises:
        ValueError: fewer than three arms are common, or there is one seed an arm.
    """
    arms = _common((small, large), fewest=3)
    means = np.array([[rung.fitted.means[arm].value for arm in arms] for rung in (small, large)])
    noise = np.array([mean_variances(rung.fitted)[_places(rung, arms)] for rung in (small, large)])
    likely = _likely(means - means.mean(axis=1, keepdims=True), np.maximum(noise, 1e-12))
    order, signs = np.sign(_gaps(means[:1])), [np.sign(_gaps(likely[:, i])) for i in (0, 1)]
    return Agreement(small=small.scale, large=large.scale, num_arms=len(arms),
                     tau=_estimate((signs[0] * signs[1]).mean(axis=1)),
                     accuracy=_estimate(((1 + order * signs[1]) / 2).mean(axis=1)))


def _likely(means: Array, noise: Array) -> Array:
    """Return draws x 2 scales x arms of true scores that may explain the means.

    Args:
        means: 2 scales x arms, minus their mean.
        noise: variances of the means.
    """
    sizes = [each.mean() * np.geomspace(0.05, 500.0, 12) for each in noise]
    shapes = [np.array([[a, correlation * math.sqrt(a * b)], [correlation * math.sqrt(a * b), b]])
              for a, b, correlation in itertools.product(*sizes, _CORRELATIONS)]
    measured = noise.T[:, :, None] * np.eye(2)
    covariances = np.array(shapes)[:, None] + measured
    solved = np.linalg.solve(covariances, np.broadcast_to(means.T[..., None], (*covariances.shape[:2], 2, 1)))[..., 0]
    evidence = -0.5 * ((solved * means.T).sum(axis=(1, 2)) + np.linalg.slogdet(covariances).logabsdet.sum(axis=1))
    rng = np.random.default_rng(0)
    counts = rng.multinomial(NUM_DRAWS, np.exp(special.log_softmax(evidence)))
    found = []
    for i in np.flatnonzero(counts):
        middle = solved[i] @ shapes[i]
        left = shapes[i] - shapes[i] @ np.linalg.solve(covariances[i], shapes[i])
        root = np.linalg.cholesky(left + 1e-9 * np.trace(shapes[i]) * np.eye(2))
        found.append(middle + np.einsum("aij,daj->dai", root, rng.normal(size=(counts[i], *middle.shape))))
    return np.asarray(np.swapaxes(np.concatenate(found), 1, 2))


def _gaps(scores: Array) -> Array:
    """Return draws x pairs: differences of all pairs of arms."""
    first, second = np.triu_indices(scores.shape[1], 1)
    return np.asarray(scores[:, first] - scores[:, second])


def _estimate(draws: Array) -> Estimate:
    low, high = np.quantile(draws, (0.025, 0.975))
    return Estimate(value=float(draws.mean()), low=float(low), high=float(high))


def _common(rungs: Sequence[Rung], *, fewest: int) -> list[str]:
    arms = [arm for arm in rungs[0].fitted.arms if all(arm in rung.fitted.means for rung in rungs)]
    if len(arms) < fewest:
        raise ValueError(f"{len(arms)} arms have scores at all scales; allowed: {fewest} or more")
    return arms


def _places(rung: Rung, arms: Sequence[str]) -> list[int]:
    return [rung.fitted.positions[arm] for arm in arms]


# ---- the next scale ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """The expected scores of arms at the next scale, in points."""

    scores: dict[str, Estimate]
    leads: dict[str, Estimate]
    """Arm -> its score minus the baseline's."""


def project(rungs: Sequence[Rung], flops: float, *, baseline: str) -> Projection:
    """Project the scores of all arms to a scale with this compute.

    Args:
        rungs: two or more, with rising compute.
        flops: training compute of one trial at the next scale.
        baseline: the arm relative to which leads are computed.

    Raises:
        ValueError: compute does not rise, fewer than three arms are common to all scales, or the baseline is not.
    """
    arms, x, means, noise = _ladder(rungs, flops, baseline)
    middle = means.mean(axis=0)
    deviations = _draws(x, means - middle, noise)
    common = _next_mean(x, middle, rungs)[:, None]
    scores, leads = common + deviations, deviations - deviations[:, [arms.index(baseline)]]
    return Projection(scores={arm: _estimate(scores[:, i]) for i, arm in enumerate(arms)},
                      leads={arm: _estimate(leads[:, i]) for i, arm in enumerate(arms) if arm != baseline})


def _ladder(rungs: Sequence[Rung], flops: float, baseline: str) -> tuple[list[str], Array, Array, Array]:
    """Return arms, places of the scales and of the target (0 to 1 over the rungs), means and their variances."""
    compute = [rung.flops for rung in rungs]
    if len(rungs) < 2 or any(b <= a for a, b in itertools.pairwise([0.0, *compute])):
        raise ValueError(f"scales of {compute} FLOPs; allowed: two or more, rising")
    arms = _common(rungs, fewest=3)
    if baseline not in arms:
        raise ValueError(f"baseline {baseline} has no scores at some scale; allowed: {', '.join(arms)}")
    logs = np.log([*compute, flops])
    means = np.array([[rung.fitted.means[arm].value for rung in rungs] for arm in arms])
    noise = np.array([mean_variances(rung.fitted)[_places(rung, arms)] for rung in rungs]).T
    return arms, (logs - logs[0]) / (logs[-2] - logs[0]), means, noise


def _draws(x: Array, y: Array, noise: Array) -> Array:
    """Return draws x series: values at the last place of x, on lines through the values at the other places.

    Args:
        x: places; the last one is the target.
        y: series x places, without the last place.
        noise: variance of each value.
    """
    unit = float(np.sqrt((y - y.mean(axis=1, keepdims=True)).var() + y.mean(axis=1).var() + noise.mean())) or 1.0
    shapes = list(itertools.product(_SLOPES, _MISFITS))
    found = [_line(x, y / unit, noise / unit**2, slope=slope, misfit=misfit) for slope, misfit in shapes]
    weights = np.exp(special.log_softmax([evidence for evidence, _, _ in found]))
    rng = np.random.default_rng(len(y))
    parts = [mean + np.sqrt(variance) * rng.normal(size=(count, len(y)))
             for count, (_, mean, variance) in zip(rng.multinomial(NUM_DRAWS, weights), found, strict=True)]
    return np.asarray(unit * rng.permutation(np.concatenate(parts)))


def _line(x: Array, y: Array, noise: Array, *, slope: float, misfit: float) -> tuple[float, Array, Array]:
    """Return the log evidence of a slope and misfit deviation, and each series' mean and variance at the target.

    A series' height in the middle is free (deviation 10); its slope and its misfits are normal around 0.
    """
    middle = x[:-1].mean()
    prior = 100.0 + slope**2 * np.outer(x - middle, x - middle) + misfit**2 * np.eye(len(x))
    inner = prior[:-1, :-1] + noise[:, :, None] * np.eye(y.shape[1])
    solved = np.linalg.solve(inner, y[..., None])[..., 0]
    gain = np.linalg.solve(inner, np.broadcast_to(prior[:-1, -1:], (len(y), y.shape[1], 1)))[..., 0]
    evidence = -0.5 * float((y * solved).sum()) - 0.5 * float(np.linalg.slogdet(inner).logabsdet.sum())
    return evidence, (gain * y).sum(axis=1), prior[-1, -1] - gain @ prior[:-1, -1]


def _next_mean(x: Array, middle: Array, rungs: Sequence[Rung]) -> Array:
    """Return draws of the mean of all arms at the last place of x, given its values at the other places."""
    rng = np.random.default_rng(1)
    errors = np.sqrt([_shared_variance(rung.fitted) for rung in rungs])
    draws = middle + errors * rng.standard_t(_shared_df(rungs), (NUM_DRAWS, len(rungs)))
    slopes = np.diff(draws, axis=1) / np.diff(x[:-1])
    if len(rungs) == 2:
        ratio = rng.uniform(*UNKNOWN_RATIO, NUM_DRAWS)
    else:
        before = np.where(np.abs(slopes[:, -2]) > 1e-9, slopes[:, -2], np.inf)
        ratio = np.clip(slopes[:, -1] / before, 0.0, 1.5) + rng.normal(0, RATIO_DEVIATION, NUM_DRAWS)
    return np.asarray(draws[:, -1] + ratio * slopes[:, -1] * (x[-1] - x[-2]))


def _shared_variance(fitted: Fit) -> float:
    """Return the variance of the mean of all arms at one scale."""
    by_seed = np.nanmean(fitted.scores, axis=0)
    return float(by_seed.var(ddof=1)) / len(by_seed)


def _shared_df(rungs: Sequence[Rung]) -> int:
    return max(1, min(int(rung.fitted.scores.shape[1]) for rung in rungs) - 1)


# ---- compute -------------------------------------------------------------------------------------------------------


def compute_gain(rungs: Sequence[Rung], *, baseline: str) -> dict[str, Estimate]:
    """Return arm -> the factor by which the baseline's compute would have to grow to reach its score at the last scale.

    The interval includes the noise of the arm's lead and of the slope. Where the slope may be 0, its end is 0 or
    infinite.

    Args:
        rungs: two or more, with rising compute.
        baseline: the arm to compare with.

    Raises:
        ValueError: as `project`.
    """
    arms, _, means, noise = _ladder(rungs, rungs[-1].flops * 2, baseline)
    logs = np.log([rung.flops for rung in rungs])
    centred = logs - logs.mean()
    lines = means.mean(axis=0)
    slope = float(centred @ lines / (centred @ centred))
    # All arms of a scale share its seeds, so the seeds' noise is in the slope and cancels in the leads.
    spread = math.sqrt(float(centred**2 @ [_shared_variance(rung.fitted) for rung in rungs])) / float(centred @ centred)
    rng = np.random.default_rng(0)
    slopes = slope + spread * rng.standard_t(_shared_df(rungs), NUM_DRAWS)
    place, df = arms.index(baseline), residual_df(rungs[-1].fitted.scores)
    found = {}
    for i, arm in enumerate(arms):
        if arm != baseline:
            error = math.sqrt(noise[i, -1] + noise[place, -1])
            leads = means[i, -1] - means[place, -1] + error * rng.standard_t(df, NUM_DRAWS)
            found[arm] = _factor(means[i, -1] - means[place, -1], slope, leads, slopes)
    return found


def _factor(lead: float, slope: float, leads: Array, slopes: Array) -> Estimate:
    """Return exp(lead / slope).

    If the slope is not above 0, no compute reaches a positive lead (infinite), and a negative one needs none (0).
    """
    with np.errstate(over="ignore"):
        draws = np.where(slopes > 0, np.exp(np.clip(leads / np.where(slopes > 0, slopes, 1.0), -700, 700)),
                         np.where(leads > 0, np.inf, 0.0))
    low, high = np.quantile(draws, (0.025, 0.975), method="nearest")
    value = math.exp(min(700.0, lead / slope)) if slope > 0 else math.inf if lead > 0 else 0.0
    return Estimate(value=value, low=float(low), high=float(high))
