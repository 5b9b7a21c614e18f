"""Diagnostics beside an interval: noisy arms, the winner's luck, and a rank test.

- Intervals hold with unequal noise. A noisy arm is flagged because it is informative (a setting that trains
  unsteadily), and because its own differences are wide for a reason that more seeds of other arms do not remove.
- An arm's noise is tested by leaving the arm out. The decrease of the residual sum of squares is independent of what
  remains, so their ratio has exactly an F distribution if all arms are equally noisy. Holm's correction is over the
  arms.
- The rank check is Wilcoxon's signed-rank test on the differences by seed, with every assignment of signs counted. It
  needs no normal noise. With n seeds its p-value cannot be below 2 / 2**n, so 5 % needs 6 seeds.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from scipy import special  # scipy.stats takes as long to import as all else that a command needs

from orchestrator.analysis.design import Array
from orchestrator.analysis.statistics import ERROR, Fit, fit, holm

PRIOR_DF = 4.0
"""Weight of the pooled variance in an arm's noise, in degrees of freedom."""
MOST_COUNTED = 12
"""Seeds up to which all assignments of signs are counted; beyond, the normal approximation is good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoisyArm:
    """An arm whose scores vary more between seeds than those of the other arms."""

    arm: str
    ratio: float
    """Its residual deviation divided by that of the other arms."""
    p_holm: float

    @property
    def sentence(self) -> str:
        """The flag as a sentence without its subject, the arm's name."""
        return (f"varies {self.ratio:.1f} times as much between seeds as the other arms "
                f"(Holm-corrected p = {self.p_holm:.2g})")


def noisy_arms(fitted: Fit) -> tuple[NoisyArm, ...]:
    """Return the arms that are noisier than the rest at 5 %, the noisiest first; none with fewer than three arms.

    With heavy-tailed noise more than 5 % of studies are flagged. It is a flag, and decides nothing.
    """
    tested = [each for each in (_leave_out(fitted, arm) for arm in fitted.arms) if each] if len(fitted.arms) > 2 else []
    adjusted, _ = holm(np.array([p for _, _, p in tested]))
    found = [NoisyArm(arm=arm, ratio=ratio, p_holm=float(p))
             for (arm, ratio, _), p in zip(tested, adjusted, strict=True) if p <= ERROR]
    return tuple(sorted(found, key=lambda each: -each.ratio))


def _leave_out(fitted: Fit, arm: str) -> tuple[str, float, float] | None:
    """Return the arm with the ratio of deviations and its p-value; None if either cannot be estimated."""
    values = {name: {seed: float(score) for seed, score in enumerate(row) if not math.isnan(score)}
              for name, row in zip(fitted.arms, fitted.scores, strict=True)}
    rest = fit({name: by_seed for name, by_seed in values.items() if name != arm})
    df, df_rest = (residual_df(scores) for scores in (fitted.scores, rest.scores))
    squares, squares_rest = (float(np.nansum(each.residuals ** 2)) for each in (fitted, rest))
    if df_rest < 1 or df <= df_rest or squares_rest <= 0:
        return None
    ratio = max(0.0, squares - squares_rest) / (df - df_rest) / (squares_rest / df_rest)
    return arm, math.sqrt(ratio), float(special.fdtrc(df - df_rest, df_rest, ratio))


def residual_df(scores: Array) -> int:
    """Return the residual degrees of freedom if common seeds link all arms."""
    has = ~np.isnan(scores)
    return int(has.sum() - has.any(axis=1).sum() - has.any(axis=0).sum() + 1)


def mean_variances(fitted: Fit) -> Array:
    """Return the variance of each arm's mean in squared points, without the part that all arms share.

    An arm's own residual variance is shrunk towards the pooled one, which counts as `PRIOR_DF` degrees of freedom.
    """
    counts = (~np.isnan(fitted.scores)).sum(axis=1)
    pooled = (fitted.sigma or 0.0) ** 2
    own = np.nansum(fitted.residuals ** 2, axis=1) * len(counts) / max(1, len(counts) - 1)
    return np.asarray((PRIOR_DF * pooled + own) / (PRIOR_DF + counts - 1) / counts)


def shrunk_means(fitted: Fit) -> dict[str, float]:
    """Return arm -> its mean, shrunk towards the mean of all arms by as much as noise explains their differences.

    The best of several means is partly lucky: on average it is too high. An estimate that treats the arms as one family
    corrects this. It is a better estimate of one arm's score, and no test.

    Source: Efron and Morris, Data analysis using Stein's estimator, JASA 70 (1975), with unequal variances.
    """
    means, noise = np.array([fitted.means[arm].value for arm in fitted.arms]), mean_variances(fitted)
    if len(means) < 2:
        return dict(zip(fitted.arms, means.tolist(), strict=True))
    spread = max(0.0, float(means.var(ddof=1)) - float(noise.mean()))
    kept = np.divide(spread, spread + noise, out=np.ones_like(noise), where=spread + noise > 0)
    centre = float(np.average(means, weights=1 / np.maximum(spread + noise, 1e-12)))
    return dict(zip(fitted.arms, (centre + kept * (means - centre)).tolist(), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class RankCheck:
    """The rank test of one difference."""

    num_agreeing: int
    """Seeds whose difference has the sign of the sum of ranks."""
    n: int
    """Seeds that both arms have."""
    p: float
    """Two-sided p-value of Wilcoxon's signed-rank test; 1 where all differences are 0."""


def rank_check(fitted: Fit, a: str, b: str) -> RankCheck:
    """Test `a - b` by signed ranks over their common seeds."""
    by_seed = fitted.scores[fitted.positions[a]] - fitted.scores[fitted.positions[b]]
    by_seed = by_seed[~np.isnan(by_seed)]
    moved = by_seed[by_seed != 0.0]
    if not len(moved):
        return RankCheck(num_agreeing=0, n=len(by_seed), p=1.0)
    ranks = _ranks(np.abs(moved))
    total = float(np.sum(np.sign(moved) * ranks))
    p = _counted(ranks, total) if len(moved) <= MOST_COUNTED else _approximated(ranks, total)
    return RankCheck(num_agreeing=int(np.sum(np.sign(by_seed) == math.copysign(1.0, total))), n=len(by_seed), p=p)


def _ranks(sizes: Array) -> Array:
    """Return ranks from 1; equal sizes share the mean of theirs."""
    _, places, counts = np.unique(sizes, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[places])


def _approximated(ranks: Array, total: float) -> float:
    """Return the two-sided p-value of a sum of signed ranks, which is close to normal: its variance is that of the ranks."""
    return float(2 * special.ndtr(-abs(total) / math.sqrt(float(ranks @ ranks))))


def _counted(ranks: Array, total: float) -> float:
    signs = np.array(list(itertools.product((-1.0, 1.0), repeat=len(ranks))))
    return float(np.mean(np.abs(signs @ ranks) >= abs(total) - 1e-9))
