"""The pooled arm + seed model: means, differences paired by seed, Holm's correction, power.

- Model: y[arm, seed] = mu[arm] + tau[seed] + e, by least squares. An arm may lack a seed (a diverged trial).
- A seed's effect is common to all arms (same initialisation and order of data), so it cancels in differences: with two
  arms and all seeds present the difference is exactly the paired t-interval; with more arms the residual variance is
  pooled over all of them, with (A - 1)(S - 1) degrees of freedom when nothing is missing.
- A mean is the least-squares mean over the seeds of the study: the plain mean where no seed is missing, and not tilted
  by a hard seed that only some arms survived. Its interval is the t-interval of the arm's own values (n - 1 degrees of
  freedom), which holds the variation between seeds; so it is wider than a difference's.
- Holm's interval of a difference: the k-th smallest p-value of a family of m gets the t-interval at level
  1 - 0.05 / (m - k + 1), and from the first difference that Holm does not reject on, all get that step's level. It
  excludes 0 exactly if Holm's test rejects at 5 %, and the chance that any interval of the family wrongly excludes 0
  is at most 5 %. That is all it promises: joint coverage of the true differences would need Bonferroni's widths.
- Who may look at growing data several times has several chances to be fooled: each of `looks` takes an equal part of the
  5 % (Bonferroni), so differences get wider intervals and all looks together keep the promise.
- With one seed there is no residual and no interval: half-widths are None, shown as "n=1". A residual variance of 0
  gives intervals of width 0, which exclude 0 unless the difference is 0.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from orchestrator.analysis.design import Array, layout_of

CONFIDENCE = 0.95
POWER = 0.80
MAX_SEEDS = 1000
"""Where the search for a number of seeds gives up."""

Places = NDArray[np.intp]
"""Rows of arms."""

Values = Mapping[str, Mapping[int, float]]
"""Arm -> seed -> score; a trial without a score is left out."""


@dataclass(frozen=True, slots=True)
class Mean:
    """One arm's mean over seeds."""

    value: float
    half_width: float | None
    """Of the 95 % t-interval over the arm's own seeds; None with n=1."""
    n: int

    @property
    def interval_text(self) -> str:
        """What is printed beside the value."""
        return "n=1" if self.n == 1 or self.half_width is None else f"± {self.half_width:.1f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Arm `a` minus arm `b`, paired by seed; or any contrast of arms, `a` and `b` then being its two sides in words."""

    a: str
    b: str
    weights: Mapping[str, float]
    """Arm -> factor; they sum to 0."""
    value: float
    half_width: float | None
    """Of the 95 % t-interval of this difference alone."""
    half_width_holm: float | None
    """Of Holm's interval within its family: excludes 0 exactly if Holm's test rejects at 5 %."""
    p: float | None
    p_holm: float | None
    n: int
    """Seeds that all its arms have."""
    confidence: float = CONFIDENCE
    """Of the intervals, after the part that further looks take."""

    @property
    def is_told_apart(self) -> bool:
        """Whether Holm's test rejects "no difference" at 5 %."""
        return self.p_holm is not None and self.p_holm <= 1 - self.confidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The fitted model of one metric."""

    arms: tuple[str, ...]
    means: dict[str, Mean]
    covariance: Array
    """Of the arm effects, in units of the residual variance."""
    components: dict[str, int]
    """Arms that share seeds, directly or through others; a difference between two components cannot be paired."""
    sigma: float | None
    """Residual standard deviation; None without residual degrees of freedom."""
    df: int
    seeds: dict[str, frozenset[int]]
    positions: dict[str, int]
    """Row of each arm in `covariance`."""
    confidence: float = CONFIDENCE
    """Of intervals of differences."""


def fit(values: Values, *, looks: int = 1) -> Fit:
    """Fit the arm + seed model by least squares; arms without any value are left out.

    Args:
        values: scores.
        looks: how often the scores may be looked at while seeds are added; 1 if their number is fixed.

    Raises:
        ValueError: a value is not finite; a mean over it would hide a diverged trial.
    """
    present = {arm: by_seed for arm, by_seed in values.items() if by_seed}
    _require_finite(present)
    layout = layout_of(tuple((arm, tuple(sorted(by_seed))) for arm, by_seed in present.items()))
    response = np.array([present[arm][seed] for arm, seeds in layout.pattern for seed in seeds], dtype=float)
    effects = layout.inverse @ (layout.design.T @ response)
    residual = response - layout.design @ effects
    # Least squares leaves rounding of the size of the values; below it the residual is 0.
    noise = 1e-12 * (1.0 + float(np.max(np.abs(response), initial=0.0)))
    residual[np.abs(residual) < noise] = 0.0
    sigma = math.sqrt(float(residual @ residual) / layout.df) if layout.df > 0 else None
    arms = tuple(present)
    means = {arm: _mean(float(effects[i]), list(present[arm].values())) for i, arm in enumerate(arms)}
    return Fit(arms=arms, means=means, covariance=layout.inverse[: len(arms), : len(arms)], components=layout.components,
               sigma=sigma, df=layout.df, seeds={arm: frozenset(seeds) for arm, seeds in layout.pattern},
               positions={arm: i for i, arm in enumerate(arms)}, confidence=1 - (1 - CONFIDENCE) / looks)


def differences(fitted: Fit, pairs: Iterable[tuple[str, str]]) -> tuple[Difference, ...]:
    """Return `a - b` for each pair; together the pairs are one family of Holm's correction.

    A pair whose arms share no seed, not even through a third arm, has a value and no interval.
    """
    chosen = list(pairs)
    found = _compare(fitted, *(np.array([fitted.positions[pair[side]] for pair in chosen], dtype=np.intp) for side in (0, 1)))
    return tuple(found.told(fitted, k, a, b) for k, (a, b) in enumerate(chosen))


def contrasts(fitted: Fit, sides: Iterable[tuple[str, str, Mapping[str, float]]]) -> tuple[Difference, ...]:
    """Return weighted sums of arm means, as one family; each is given as its two sides in words and its weights."""
    family = [_difference(fitted, a, b, weights) for a, b, weights in sides]
    testable = [i for i, each in enumerate(family) if each.p is not None]
    adjusted, levels = holm(np.array([family[i].p for i in testable], dtype=float), fitted.confidence)
    for k, i in enumerate(testable):
        family[i] = _corrected(fitted, family[i], float(adjusted[k]), float(levels[k]))
    return tuple(family)


def to_baseline(fitted: Fit, baseline: str) -> dict[str, Difference]:
    """Return each other arm minus the baseline; the family is these A - 1 differences."""
    if baseline not in fitted.means:
        return {}
    pairs = [(arm, baseline) for arm in fitted.arms if arm != baseline]
    return {each.a: each for each in differences(fitted, pairs)}


def all_pairs(fitted: Fit) -> tuple[Difference, ...]:
    """Return all A (A - 1) / 2 differences as one family: what a choice among all arms needs."""
    return differences(fitted, itertools.combinations(fitted.arms, 2))


def against_all(fitted: Fit, arm: str) -> dict[str, Difference]:
    """Return the arm minus each other arm, corrected within the family of all pairs; as `all_pairs`, in less time.

    Hundreds of arms make tens of thousands of pairs: their p-values are found together, and only one arm's are told.
    """
    found = _compare(fitted, *np.triu_indices(len(fitted.arms), 1))
    place = fitted.positions[arm]
    told = {}
    for k in np.flatnonzero((found.first == place) | (found.second == place)).tolist():
        is_first = found.first[k] == place
        other = fitted.arms[found.second[k] if is_first else found.first[k]]
        told[other] = found.told(fitted, k, arm, other, sign=1.0 if is_first else -1.0)
    return told


@dataclass(frozen=True, slots=True)
class _Compared:
    """A family of pairs of arms, side by side: one place for each in every array."""

    first: Places
    second: Places
    values: Array
    errors: Array
    """Standard errors; NaN where the arms cannot be compared."""
    p: Array
    p_holm: Array
    levels: Array
    """Of Holm's intervals."""

    def told(self, fitted: Fit, k: int, a: str, b: str, *, sign: float = 1.0) -> Difference:
        """Return one pair's difference, `sign` -1 for the second arm minus the first."""
        error, level = float(self.errors[k]), float(self.levels[k])
        is_testable = not math.isnan(error)
        return Difference(
            a=a, b=b, weights={a: 1.0, b: -1.0}, value=sign * float(self.values[k]), n=len(fitted.seeds[a] & fitted.seeds[b]),
            half_width=_quantile(fitted.df, fitted.confidence) * error if is_testable else None,
            half_width_holm=_quantile(fitted.df, level) * error if is_testable else None,
            p=float(self.p[k]) if is_testable else None, p_holm=float(self.p_holm[k]) if is_testable else None,
            confidence=fitted.confidence)


def _compare(fitted: Fit, first: Places, second: Places) -> _Compared:
    """Compare pairs of arms, given by their rows, as one family: hundreds of arms make tens of thousands of pairs."""
    means = np.array([fitted.means[each].value for each in fitted.arms])
    groups = np.array([fitted.components[each] for each in fitted.arms])
    values, p, p_holm, levels = means[first] - means[second], *(np.full(len(first), math.nan) for _ in range(3))
    own = np.diag(fitted.covariance)
    variance = own[first] + own[second] - 2 * fitted.covariance[first, second]
    is_testable = (groups[first] == groups[second]) & (fitted.sigma is not None)
    errors = np.where(is_testable, (fitted.sigma or 0.0) * np.sqrt(np.maximum(variance, 0.0)), math.nan)
    p[is_testable] = _p_values(values[is_testable], errors[is_testable], fitted.df)
    p_holm[is_testable], levels[is_testable] = holm(p[is_testable], fitted.confidence)
    return _Compared(first, second, values, errors, p, p_holm, levels)


def holm(p_values: Array, confidence: float = CONFIDENCE) -> tuple[Array, Array]:
    """Return Holm's adjusted p-values and the level of each interval (the module's docstring says what they promise)."""
    order = np.argsort(p_values, kind="stable")
    left = len(p_values) - np.arange(len(p_values))
    rising = np.maximum.accumulate(np.minimum(1.0, left * p_values[order]))
    num_rejected = int(np.searchsorted(rising, 1 - confidence, side="right"))
    step = np.minimum(np.arange(len(p_values)), num_rejected)
    adjusted, levels = np.empty_like(rising), np.empty_like(rising)
    adjusted[order], levels[order] = rising, 1 - (1 - confidence) / left[step]
    return adjusted, levels


def seeds_to_settle(effect: float, *, sigma: float, num_arms: int, comparisons: int) -> int | None:
    """Return the seeds an arm needs to see a difference of `effect` with 80 % power.

    For the paired difference of the balanced model, two-sided, at 5 % shared among the comparisons (Holm's first and
    strictest step).

    Args:
        effect: smallest difference of interest, in points; above 0.
        sigma: residual standard deviation of the fitted model, in points.
        num_arms: arms of the study, >= 2.
        comparisons: size of the family, >= 1.

    Returns:
        the number of seeds, 2 or more; None beyond `MAX_SEEDS`.
    """
    if effect <= 0:
        raise ValueError(f"effect is {effect}; allowed: above 0 points")
    if num_arms < 2:
        raise ValueError(f"num_arms is {num_arms}; allowed: >= 2")
    level = 1 - (1 - CONFIDENCE) / comparisons
    return next((n for n in range(2, MAX_SEEDS + 1) if _power(effect, sigma, num_arms, n, level) >= POWER), None)


def _power(effect: float, sigma: float, num_arms: int, n: int, level: float) -> float:
    if sigma == 0:
        return 1.0
    df = (num_arms - 1) * (n - 1)
    shift = effect / (sigma * math.sqrt(2 / n))
    critical = _quantile(df, level)
    if shift > critical + 38:  # beyond the range of the non-central t: certain
        return 1.0
    return float(1 - special.nctdtr(df, shift, critical) + special.nctdtr(df, shift, -critical))


def _require_finite(values: Values) -> None:
    for arm, by_seed in values.items():
        for seed, value in by_seed.items():
            if not math.isfinite(value):
                raise ValueError(f"arm {arm}, seed {seed}: score is {value}; allowed: a finite number")


def _mean(value: float, own: Sequence[float]) -> Mean:
    n = len(own)
    if n == 1:
        return Mean(value, None, 1)
    middle = math.fsum(own) / n
    deviation = math.sqrt(math.fsum((each - middle) ** 2 for each in own) / (n - 1))
    return Mean(value, _quantile(n - 1, CONFIDENCE) * deviation / math.sqrt(n), n)


def _difference(fitted: Fit, a: str, b: str, weights: Mapping[str, float]) -> Difference:
    value = math.fsum(weight * fitted.means[arm].value for arm, weight in weights.items())
    error = _standard_error(fitted, weights)
    n = len(frozenset.intersection(*(fitted.seeds[arm] for arm in weights)))
    return Difference(a=a, b=b, weights=weights, value=value, half_width=_half_width(fitted, error, fitted.confidence),
                      half_width_holm=None, p=_p_value(value, error, fitted.df), p_holm=None, n=n, confidence=fitted.confidence)


def _corrected(fitted: Fit, difference: Difference, p_holm: float, level: float) -> Difference:
    width = _half_width(fitted, _standard_error(fitted, difference.weights), level)
    return replace(difference, p_holm=p_holm, half_width_holm=width)


def _standard_error(fitted: Fit, weights: Mapping[str, float]) -> float | None:
    if fitted.sigma is None or len({fitted.components[arm] for arm in weights}) > 1:
        return None
    placed = [(fitted.positions[arm], factor) for arm, factor in weights.items()]
    variance = math.fsum(f * g * float(fitted.covariance[i, j]) for i, f in placed for j, g in placed)
    return fitted.sigma * math.sqrt(max(0.0, variance))


def _half_width(fitted: Fit, error: float | None, level: float) -> float | None:
    return None if error is None else _quantile(fitted.df, level) * error


def _p_value(value: float, error: float | None, df: int) -> float | None:
    return None if error is None else float(_p_values(np.array([value]), np.array([error]), df)[0])


def _p_values(values: Array, errors: Array, df: int) -> Array:
    """Return two-sided p-values; without any error a difference is certain, and only 0 is 0."""
    certain = np.where(np.isclose(values, 0.0, rtol=0.0, atol=1e-9), 1.0, 0.0)
    ratios = np.divide(-np.abs(values), errors, out=np.zeros_like(values), where=errors > 0)
    return np.where(errors > 0, 2 * special.stdtr(float(df), ratios), certain)


@functools.lru_cache(maxsize=4096)
def _quantile(df: int, level: float) -> float:
    """Return the t quantile that a two-sided interval of this level needs."""
    return float(special.stdtrit(df, 0.5 + level / 2))
