"""Means and differences of arms: paired by seed, exact for unequal noise, corrected for families and repeated looks.

- A difference is the mean of its values seed by seed, over the seeds that its arms have in common. A seed's effect is
  common to all arms (same initialisation and order of data), so it cancels.
- Its interval is the paired t-interval. It is exact for normal noise, whatever the arms' deviations and however their
  noise is correlated; with heavier tails it is conservative. A residual pooled over arms gives narrower intervals, but
  with one arm of four times the noise a 95 % interval covers only 80 %. Satterthwaite's covers, but rejects 5.7 % of
  true nulls there.
- It needs two common seeds, and its degrees of freedom are the number of common seeds minus one. With 2 seeds it is 13
  standard errors wide, with 3 4.3, with 5 2.8, with 8 2.4. Plan for 5 seeds or more.
- Scores of a benchmark lie on a grid of 1 / items, so two or three differences may agree by chance, which says nothing
  about their noise. So no deviation counts as less than what rounding to the grid causes, nor as less than `FLOOR`
  times that of a quiet pair of arms. Intervals become wider by this, never narrower.
- A mean is the least-squares mean over the seeds of the study: the plain mean where no seed is missing, and not biased
  by a hard seed that only some arms survived. Its interval is the t-interval of the arm's own values, which includes
  the variation between seeds, so it is wider than a difference's.
- Holm's interval of a difference: in a family of m, the k-th smallest p-value gets the interval at level 1 - 0.05 / (m
  - k + 1). From the first difference that Holm does not reject, all get the level of that step. The interval excludes 0
  exactly if Holm's test rejects at 5 %, and the chance that any interval of the family wrongly excludes 0 is at most 5
  %. It promises no more: joint coverage of the true differences would need Bonferroni's widths.
- Looking at growing data several times gives several chances of a false result. `looks` lists the numbers of seeds at
  which looks are planned, and all p-values and intervals then hold for all looks together (module `looks`).
- With one seed there is no interval: half-widths are None, shown as "n=1". Where no pair of arms varies between seeds,
  intervals have width 0, and exclude 0 unless the difference is 0.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from orchestrator.analysis.design import Array, Design, layout_of
from orchestrator.analysis.looks import Schedule, schedule_of

CONFIDENCE = 0.95
ERROR = 1 - CONFIDENCE
FLOOR = 0.1
"""Smallest deviation of a difference, as a fraction of that of a quiet pair of the study's arms."""
SAME = 1e-9
"""Two scores within this many points count as equal."""
MOST_STEP = 5.0
"""The largest grid step, in points: a benchmark of 20 items."""
MOST_NEIGHBOURS = 8
"""Arms with which each arm is paired to find out what a quiet pair is."""

Counts = NDArray[np.intp]
Values = Mapping[str, Mapping[int, float]]
"""Arm -> seed -> score; a trial without a score is left out."""


@dataclass(frozen=True, slots=True)
class Mean:
    """One arm's mean over seeds."""

    value: float
    half_width: float | None
    """Half-width of the 95 % t-interval over the arm's own seeds; None with n=1."""
    n: int

    @property
    def interval_text(self) -> str:
        """The interval as it is printed beside the value."""
        return "n=1" if self.n == 1 or self.half_width is None else f"± {self.half_width:.1f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Arm `a` minus arm `b`, paired by seed; or any contrast of arms, with `a` and `b` the names of its two sides."""

    a: str
    b: str
    weights: Mapping[str, float]
    """Arm -> factor; they sum to 0."""
    value: float
    """Mean over the common seeds; without common seeds the difference of the least-squares means."""
    error: float | None
    """Standard error over the common seeds; None with fewer than two."""
    half_width: float | None
    """Half-width of the 95 % interval of this difference alone, over all looks; None with fewer than two common seeds.
    """
    half_width_holm: float | None
    """Half-width of Holm's interval within its family. It excludes 0 exactly if Holm's test rejects at 5 %."""
    p: float | None
    """p-value of this difference alone, over all looks."""
    p_holm: float | None
    n: int
    """Seeds that all its arms have."""

    @property
    def excludes_zero(self) -> bool:
        """Whether its own 95 % interval excludes 0, regardless of its family."""
        return self.p is not None and self.p <= ERROR

    @property
    def is_told_apart(self) -> bool:
        """Whether Holm's test rejects "no difference" at 5 %."""
        return self.p_holm is not None and self.p_holm <= ERROR


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """The scores of one metric of a study, with means and noise."""

    arms: tuple[str, ...]
    means: dict[str, Mean]
    scores: Array
    """Arms x seeds, NaN where a trial has no score."""
    residuals: Array
    """Scores minus arms' and seeds' effects, by least squares; NaN as in `scores`."""
    sigma: float | None
    """Residual standard deviation pooled over all arms, for planning; None without residual degrees of freedom."""
    floor: float
    """Smallest deviation of a difference of two arms between seeds; 0 where no arm's score varies."""
    positions: dict[str, int]
    """Row of each arm in `scores`."""
    schedule: Schedule


def fit(values: Values, *, looks: Sequence[int] = ()) -> Fit:
    """Fit the arm + seed model by least squares. Arms without any value are left out.

    Args:
        values: the scores.
        looks: numbers of seeds at which the scores are looked at while seeds are added, rising from 2 or more; empty if
            the number of seeds is fixed.

    Raises:
        ValueError: a value is not finite; a mean over it would hide a diverged trial.
    """
    present = {arm: by_seed for arm, by_seed in values.items() if by_seed}
    _require_finite(present)
    layout = layout_of(tuple((arm, tuple(sorted(by_seed))) for arm, by_seed in present.items()))
    response = np.array([present[arm][seed] for arm, seeds in layout.pattern for seed in seeds], dtype=float)
    effects = layout.inverse @ (layout.design.T @ response)
    residual = response - layout.design @ effects
    # Least squares leaves rounding errors relative to the size of the values; below that a residual is 0.
    noise = 1e-12 * (1.0 + float(np.max(np.abs(response), initial=0.0)))
    residual[np.abs(residual) < noise] = 0.0
    scores, residuals = _spread(layout, response), _spread(layout, residual)
    arms = tuple(present)
    means = {arm: _mean(float(effects[i]), list(present[arm].values())) for i, arm in enumerate(arms)}
    return Fit(arms=arms, means=means, scores=scores, residuals=residuals, floor=float(least_deviation(scores)),
               sigma=math.sqrt(float(residual @ residual) / layout.df) if layout.df > 0 else None,
               positions={arm: i for i, arm in enumerate(arms)}, schedule=schedule_of(tuple(looks)))


def differences(fitted: Fit, pairs: Iterable[tuple[str, str]]) -> tuple[Difference, ...]:
    """Return `a - b` for each pair. The pairs are one family of Holm's correction.

    A pair with fewer than two common seeds has a value and no interval.
    """
    return contrasts(fitted, [(a, b, {a: 1.0, b: -1.0}) for a, b in pairs])


def contrasts(fitted: Fit, sides: Iterable[tuple[str, str, Mapping[str, float]]]) -> tuple[Difference, ...]:
    """Return weighted sums of arm means as one family. Each is given by the names of its two sides and its weights."""
    family = list(sides)
    by_seed = np.array([_by_seed(fitted, weights) for _, _, weights in family])
    by_seed = by_seed.reshape(len(family), fitted.scores.shape[1])
    sizes = np.sqrt([sum(factor**2 for factor in weights.values()) for _, _, weights in family])
    tested = _test(fitted, by_seed, sizes)
    return tuple(tested.told(fitted, k, *side) for k, side in enumerate(family))


def to_baseline(fitted: Fit, baseline: str) -> dict[str, Difference]:
    """Return each other arm minus the baseline, as one family."""
    if baseline not in fitted.means:
        return {}
    pairs = [(arm, baseline) for arm in fitted.arms if arm != baseline]
    return {each.a: each for each in differences(fitted, pairs)}


def all_pairs(fitted: Fit) -> tuple[Difference, ...]:
    """Return all differences of two arms as one family, which a statement about any two arms needs."""
    return differences(fitted, itertools.combinations(fitted.arms, 2))


def against_all(fitted: Fit, arm: str) -> dict[str, Difference]:
    """Return the arm minus each other arm, as one family."""
    return {each.b: each for each in differences(fitted, [(arm, other) for other in fitted.arms if other != arm])}


@dataclass(frozen=True, slots=True)
class _Tested:
    """A family of contrasts: each array has one entry for each contrast."""

    values: Array
    """Differences; NaN without common seeds."""
    errors: Array
    """Standard errors; NaN with fewer than two common seeds."""
    counts: Counts
    p: Array
    p_holm: Array
    shares: Array
    """The part of the 5 % that each Holm interval uses."""

    def told(self, fitted: Fit, k: int, a: str, b: str, weights: Mapping[str, float]) -> Difference:
        n, error, value = int(self.counts[k]), float(self.errors[k]), float(self.values[k])
        if n == 0:
            value = math.fsum(factor * fitted.means[arm].value for arm, factor in weights.items())
        if n < 2:
            return Difference(a=a, b=b, weights=weights, value=value, error=None, half_width=None, half_width_holm=None,
                              p=None, p_holm=None, n=n)
        own, holms = (quantile(n - 1, fitted.schedule.nominal(part, n)) for part in (ERROR, float(self.shares[k])))
        return Difference(a=a, b=b, weights=weights, value=value, error=error, half_width=own * error,
                          half_width_holm=holms * error, p=float(self.p[k]), p_holm=float(self.p_holm[k]), n=n)


def _test(fitted: Fit, by_seed: Array, sizes: Array) -> _Tested:
    """Test contrasts as one family, given their values in each seed.

    Args:
        fitted: the study's fit.
        by_seed: contrasts x seeds, NaN where an arm lacks the seed.
        sizes: deviation of each contrast if every arm had deviation 1.
    """
    values, errors, counts = paired(by_seed, fitted.floor * sizes / math.sqrt(2))
    p, p_holm, shares = (np.full(len(counts), math.nan) for _ in range(3))
    chosen = np.flatnonzero(counts >= 2)
    single = p_values(values[chosen], errors[chosen], counts[chosen] - 1)
    p[chosen] = fitted.schedule.repeated(single, counts[chosen])
    p_holm[chosen], shares[chosen] = holm(p[chosen])
    return _Tested(values, errors, counts, p, p_holm, shares)


def paired(by_seed: Array, floors: Array) -> tuple[Array, Array, Counts]:
    """Return means over seeds, their standard errors and the numbers of seeds, for many contrasts at once.

    Args:
        by_seed: contrasts x seeds, NaN where an arm lacks the seed.
        floors: smallest deviation of each contrast between seeds.

    Returns:
        Values (NaN without seeds), standard errors (NaN with fewer than two) and numbers of seeds.
    """
    has = ~np.isnan(by_seed)
    counts = has.sum(axis=1)
    present = np.where(has, by_seed, 0.0)
    values = np.where(counts > 0, present.sum(axis=1) / np.maximum(counts, 1), math.nan)
    squares = np.where(has, by_seed - values[:, None], 0.0) ** 2
    deviations = np.sqrt(squares.sum(axis=1) / np.maximum(counts - 1, 1))
    # Equal differences of scores up to 100 may differ by rounding; such a deviation is 0.
    deviations[deviations < 1e-12 * (100.0 + np.abs(present).max(axis=1, initial=0.0))] = 0.0
    errors = np.maximum(deviations, floors) / np.sqrt(np.maximum(counts, 1))
    return values, np.where(counts >= 2, errors, math.nan), counts


def holm(p: Array) -> tuple[Array, Array]:
    """Return Holm's adjusted p-values, and the part of the 5 % that each interval uses (see the module's docstring)."""
    order = np.argsort(p, kind="stable")
    left = len(p) - np.arange(len(p))
    rising = np.maximum.accumulate(np.minimum(1.0, left * p[order]))
    num_rejected = int(np.searchsorted(rising, ERROR, side="right"))
    step = np.minimum(np.arange(len(p)), num_rejected)
    adjusted, shares = np.empty_like(rising), np.empty_like(rising)
    adjusted[order], shares[order] = rising, ERROR / left[step]
    return adjusted, shares


def p_values(values: Array, errors: Array, df: Counts) -> Array:
    """Return two-sided p-values of t-tests. Without any error a difference is certain: p is 0, or 1 if it is 0."""
    certain = np.where(np.isclose(values, 0.0, rtol=0.0, atol=1e-9), 1.0, 0.0)
    ratios = np.divide(-np.abs(values), errors, out=np.zeros_like(values), where=errors > 0)
    return np.where(errors > 0, 2 * special.stdtr(df.astype(float), ratios), certain)


def _require_finite(values: Values) -> None:
    for arm, by_seed in values.items():
        for seed, value in by_seed.items():
            if not math.isfinite(value):
                raise ValueError(f"arm {arm}, seed {seed}: score is {value}; allowed: a finite number")


def _spread(layout: Design, values: Array) -> Array:
    """Return one value a trial as an array of arms x seeds, NaN where there is no trial."""
    columns = {seed: j for j, seed in enumerate(sorted({seed for _, seeds in layout.pattern for seed in seeds}))}
    table = np.full((len(layout.pattern), len(columns)), math.nan)
    for value, (i, seed) in zip(values, ((i, seed) for i, (_, seeds) in enumerate(layout.pattern) for seed in seeds),
                                strict=True):
        table[i, columns[seed]] = value
    return table


def least_deviation(scores: Array) -> Array:
    """Return the smallest deviation that a difference of two arms may have.

    Each arm is paired with the next few in the study's order only, because hundreds of arms have tens of thousands of
    pairs.

    Args:
        scores: (studies x) arms x seeds, NaN where there is no trial.

    Returns:
        One deviation a study; 0 where no arm's score varies between seeds.
    """
    has = ~np.isnan(scores)
    spread = (np.where(has, scores, -np.inf).max(axis=-1, initial=-np.inf)
              - np.where(has, scores, np.inf).min(axis=-1, initial=np.inf))
    steps = range(1, min(MOST_NEIGHBOURS, scores.shape[-2] - 1) + 1)
    pairs = np.concatenate([scores[..., :0, :], *(scores - np.roll(scores, -step, axis=-2) for step in steps)], axis=-2)
    floor = np.maximum(FLOOR * _quiet_deviation(pairs), _grid_step(pairs) / math.sqrt(12))
    return np.where((spread > SAME).any(axis=-1), floor, 0.0)


def _grid_step(pairs: Array) -> Array:
    """Return the smallest step between differences, 0 included: the grid's step, or a multiple of it.

    It is at most `MOST_STEP`: where all differences agree, the grid cannot be seen.
    """
    sizes = np.abs(pairs).reshape(*pairs.shape[:-2], -1)
    ranked = np.sort(np.concatenate([np.zeros((*sizes.shape[:-1], 1)), sizes], axis=-1), axis=-1)  # NaN comes last
    steps = np.diff(ranked, axis=-1)
    found = np.min(np.where(steps > SAME, steps, np.inf), axis=-1, initial=np.inf)
    return np.where(np.isfinite(found), np.minimum(found, MOST_STEP), 0.0)


def _quiet_deviation(pairs: Array) -> Array:
    """Return the lower quartile of the pairs' deviations, so that one or two noisy arms do not raise it.

    It is 0 where no pair has two common seeds.
    """
    has = ~np.isnan(pairs)
    counts = has.sum(axis=-1)
    means = np.where(has, pairs, 0.0).sum(axis=-1, keepdims=True) / np.maximum(counts, 1)[..., None]
    squares = (np.where(has, pairs - means, 0.0) ** 2).sum(axis=-1)
    deviations = np.where(counts > 1, np.sqrt(squares / np.maximum(counts - 1, 1)), np.inf)
    ranked = np.concatenate([np.sort(deviations, axis=-1), np.full((*counts.shape[:-1], 1), np.inf)], axis=-1)
    place = np.maximum((counts > 1).sum(axis=-1) - 1, 0) // 4
    found = np.take_along_axis(ranked, place[..., None], axis=-1)[..., 0]
    return np.where(np.isfinite(found), found, 0.0)


def _mean(value: float, own: Sequence[float]) -> Mean:
    n = len(own)
    if n == 1:
        return Mean(value, None, 1)
    middle = math.fsum(own) / n
    deviation = math.sqrt(math.fsum((each - middle) ** 2 for each in own) / (n - 1))
    return Mean(value, quantile(n - 1, ERROR) * deviation / math.sqrt(n), n)


def _by_seed(fitted: Fit, weights: Mapping[str, float]) -> Array:
    places = [fitted.positions[arm] for arm in weights]
    return np.asarray(np.array(list(weights.values())) @ fitted.scores[places])


@functools.lru_cache(maxsize=4096)
def quantile(df: int, error: float) -> float:
    """Return the t quantile of a two-sided interval with this error probability."""
    return float(-special.stdtrit(df, error / 2))
