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
- With one seed there is no residual and no interval: half-widths are None, shown as "n=1". A residual variance of 0
  gives intervals of width 0, which exclude 0 unless the difference is 0.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import special

CONFIDENCE = 0.95
POWER = 0.80
MAX_SEEDS = 1000
"""Where the search for a number of seeds gives up."""

Values = Mapping[str, Mapping[int, float]]
"""Arm -> seed -> score; a trial without a score is left out."""
Array = np.ndarray[Any, np.dtype[np.float64]]


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

    @property
    def is_told_apart(self) -> bool:
        """Whether Holm's test rejects "no difference" at 5 %."""
        return self.p_holm is not None and self.p_holm <= 1 - CONFIDENCE


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


def fit(values: Values) -> Fit:
    """Fit the arm + seed model by least squares; arms without any value are left out.

    Raises:
        ValueError: a value is not finite; a mean over it would hide a diverged trial.
    """
    present = {arm: dict(by_seed) for arm, by_seed in values.items() if by_seed}
    _require_finite(present)
    arms = tuple(present)
    seeds = sorted({seed for by_seed in present.values() for seed in by_seed})
    components = _components(present)
    design, response = _design(present, arms, seeds, components)
    inverse = np.asarray(np.linalg.inv(design.T @ design), dtype=np.float64)
    effects = inverse @ design.T @ response
    df = len(response) - len(arms) - len(seeds) + len(set(components.values()))
    residual = response - design @ effects
    # Least squares leaves rounding of the size of the values; below it the residual is 0.
    noise = 1e-12 * (1.0 + float(np.max(np.abs(response), initial=0.0)))
    residual[np.abs(residual) < noise] = 0.0
    sigma = math.sqrt(float(residual @ residual) / df) if df > 0 else None
    means = {arm: _mean(float(effects[i]), list(present[arm].values())) for i, arm in enumerate(arms)}
    return Fit(arms=arms, means=means, covariance=inverse[: len(arms), : len(arms)], components=components, sigma=sigma,
               df=df, seeds={arm: frozenset(present[arm]) for arm in arms},
               positions={arm: i for i, arm in enumerate(arms)})


def differences(fitted: Fit, pairs: Iterable[tuple[str, str]]) -> tuple[Difference, ...]:
    """Return `a - b` for each pair; together the pairs are one family of Holm's correction.

    A pair whose arms share no seed, not even through a third arm, has a value and no interval.
    """
    return contrasts(fitted, [(a, b, {a: 1.0, b: -1.0}) for a, b in pairs])


def contrasts(fitted: Fit, sides: Iterable[tuple[str, str, Mapping[str, float]]]) -> tuple[Difference, ...]:
    """Return weighted sums of arm means, as one family; each is given as its two sides in words and its weights."""
    return holm([_difference(fitted, a, b, weights) for a, b, weights in sides], fitted)


def to_baseline(fitted: Fit, baseline: str) -> dict[str, Difference]:
    """Return each other arm minus the baseline; the family is these A - 1 differences."""
    if baseline not in fitted.means:
        return {}
    pairs = [(arm, baseline) for arm in fitted.arms if arm != baseline]
    return {each.a: each for each in differences(fitted, pairs)}


def all_pairs(fitted: Fit) -> tuple[Difference, ...]:
    """Return all A (A - 1) / 2 differences as one family: what a choice among all arms needs."""
    return differences(fitted, itertools.combinations(fitted.arms, 2))


def holm(family: Sequence[Difference], fitted: Fit) -> tuple[Difference, ...]:
    """Fill in Holm's adjusted p-values and interval widths (see the module's docstring for what they promise)."""
    order = sorted((i for i, each in enumerate(family) if each.p is not None), key=lambda i: family[i].p or 0.0)
    result = list(family)
    adjusted, level, stopped = 0.0, 1.0, False
    for rank, i in enumerate(order):
        left = len(order) - rank
        adjusted = max(adjusted, min(1.0, left * (family[i].p or 0.0)))
        if not stopped:
            level = 1 - (1 - CONFIDENCE) / left
            stopped = adjusted > 1 - CONFIDENCE
        width = _half_width(fitted, _standard_error(fitted, family[i].weights), level)
        result[i] = replace(family[i], p_holm=adjusted, half_width_holm=width)
    return tuple(result)


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


def _components(values: Values) -> dict[str, int]:
    """Number the groups of arms that are linked by common seeds."""
    parent = {arm: arm for arm in values}

    def root(arm: str) -> str:
        return arm if parent[arm] == arm else root(parent[arm])

    first_with: dict[int, str] = {}
    for arm, by_seed in values.items():
        for seed in by_seed:
            parent[root(arm)] = root(first_with.setdefault(seed, arm))
    roots = {arm: root(arm) for arm in values}
    numbers = {name: i for i, name in enumerate(dict.fromkeys(roots.values()))}
    return {arm: numbers[name] for arm, name in roots.items()}


def _design(values: Values, arms: Sequence[str], seeds: Sequence[int],
            components: Mapping[str, int]) -> tuple[Array, Array]:
    """Build indicator columns of arms, and seed columns that sum to 0 within each component.

    So an arm's coefficient is its mean over the seeds of its component, and every coefficient can be estimated.
    """
    group = {seed: components[arm] for arm in arms for seed in values[arm]}
    free = [seed for seed in seeds if any(group[other] == group[seed] and other < seed for other in seeds)]
    first = {group[seed]: seed for seed in reversed(seeds)}
    rows, response = [], []
    for i, arm in enumerate(arms):
        for seed, value in values[arm].items():
            row = np.zeros(len(arms) + len(free))
            row[i] = 1.0
            same = [len(arms) + j for j, other in enumerate(free) if group[other] == group[seed]]
            row[same if seed == first[group[seed]] else len(arms) + free.index(seed)] = (
                -1.0 if seed == first[group[seed]] else 1.0)
            rows.append(row)
            response.append(value)
    return np.array(rows).reshape(len(response), len(arms) + len(free)), np.array(response, dtype=float)


def _mean(value: float, own: Sequence[float]) -> Mean:
    n = len(own)
    if n == 1:
        return Mean(value, None, 1)
    return Mean(value, _quantile(n - 1, CONFIDENCE) * float(np.std(own, ddof=1)) / math.sqrt(n), n)


def _difference(fitted: Fit, a: str, b: str, weights: Mapping[str, float]) -> Difference:
    value = math.fsum(weight * fitted.means[arm].value for arm, weight in weights.items())
    error = _standard_error(fitted, weights)
    n = len(frozenset.intersection(*(fitted.seeds[arm] for arm in weights)))
    return Difference(a=a, b=b, weights=weights, value=value, half_width=_half_width(fitted, error, CONFIDENCE),
                      half_width_holm=None, p=_p_value(value, error, fitted.df), p_holm=None, n=n)


def _standard_error(fitted: Fit, weights: Mapping[str, float]) -> float | None:
    if fitted.sigma is None or len({fitted.components[arm] for arm in weights}) > 1:
        return None
    rows = [fitted.positions[arm] for arm in weights]
    factors = np.array(list(weights.values()))
    variance = float(factors @ fitted.covariance[np.ix_(rows, rows)] @ factors)
    return fitted.sigma * math.sqrt(max(0.0, variance))


def _half_width(fitted: Fit, error: float | None, level: float) -> float | None:
    return None if error is None else _quantile(fitted.df, level) * error


def _p_value(value: float, error: float | None, df: int) -> float | None:
    if error is None:
        return None
    if error == 0:
        return 1.0 if math.isclose(value, 0.0, abs_tol=1e-9) else 0.0
    return float(2 * special.stdtr(df, -abs(value) / error))


def _quantile(df: int, level: float) -> float:
    """Return the t quantile that a two-sided interval of this level needs."""
    return float(special.stdtrit(df, 0.5 + level / 2))
