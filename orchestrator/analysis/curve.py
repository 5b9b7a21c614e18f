"""A smooth curve through the arms of one numeric factor, with a band, and each arm's probability of being the best.

- The score is modelled as a Gaussian process over the factor's levels (Matérn 5/2 kernel), measured with noise at each
  arm. Levels are transformed by asinh in units of the smallest one above 0: equal ratios then have equal lengths, and 0
  has a place.
- Half a dozen arms do not determine the curve's length scale, its size and the noise. So all three are averaged over a
  grid, weighted by how well they explain the means. Fitting them would give bands that are too narrow.
- The noise of an arm is its own residual variance shrunk towards the pooled one: three seeds alone say little about it.
- The band is pointwise and covers what differs between arms. What all arms share (a hard seed) moves the whole curve
  and is not in it.
- The probabilities are those of the model, not of a test. They rank arms and show what is still open; they decide
  nothing.

Source: Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), chapters 2 and 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

from orchestrator.analysis.design import Array
from orchestrator.analysis.noise import mean_variances, residual_df
from orchestrator.analysis.statistics import Fit

FEWEST_ARMS = 4
"""With fewer arms a curve would show its assumptions rather than the scores."""
NUM_POINTS = 51
NUM_DRAWS = 2000
_LENGTHS = (0.15, 0.3, 0.6, 1.2)
"""Length scales of the kernel, as fractions of the range of levels."""
_SIZES = (0.3, 0.8, 2.0, 5.0)
"""Standard deviations of the curve, in units of the spread of the arms' means."""
_PARTS = (1 / 6, 3 / 6, 5 / 6)
"""Quantiles that represent the distribution of the noise."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """Expected scores over a factor's levels."""

    levels: Array
    """Points from the lowest to the highest level."""
    mean: Array
    """Expected score at each point."""
    low: Array
    """Lower end of the pointwise 95 % band."""
    high: Array
    """Upper end of the pointwise 95 % band."""
    is_best: dict[str, float]
    """Arm -> probability that it is the best of the arms; these sum to 1."""
    peak: tuple[float, float]
    """Levels between which the best point of the curve lies with 95 % probability."""


def smooth(fitted: Fit, levels: Mapping[str, float], *, is_maximized: bool = True) -> Curve:
    """Fit the curve of one metric.

    Args:
        fitted: the metric's scores, with two seeds or more.
        levels: arm -> level of the factor, 0 or more.
        is_maximized: whether the highest score is the best.

    Raises:
        ValueError: there are fewer than `FEWEST_ARMS` different levels, a level is negative, or there is one seed an
            arm.
    """
    arms = [arm for arm in fitted.arms if arm in levels]
    at = np.array([levels[arm] for arm in arms])
    if len(set(at.tolist())) < FEWEST_ARMS:
        raise ValueError(f"{len(set(at.tolist()))} levels have scores; allowed: {FEWEST_ARMS} or more")
    if at.min() < 0:
        raise ValueError(f"a level is {at.min():g}; allowed: 0 or more")
    if fitted.sigma is None:
        raise ValueError("each arm has one seed; allowed: two or more, for a band")
    points = _points(at)
    places = [fitted.positions[arm] for arm in arms]
    draws = _draws(_spread(at, at), _spread(points, at), np.array([fitted.means[arm].value for arm in arms]),
                   mean_variances(fitted)[places], max(1.0, residual_df(fitted.scores)))
    on_curve, on_arms = draws[:, :NUM_POINTS], draws[:, NUM_POINTS:]
    sign = 1 if is_maximized else -1
    wins = np.bincount(np.argmax(sign * on_arms, axis=1), minlength=len(arms)) / len(draws)
    low, high = np.quantile(on_curve, (0.025, 0.975), axis=0)
    peak = np.quantile(points[np.argmax(sign * on_curve, axis=1)], (0.025, 0.975), method="nearest")
    return Curve(levels=points, mean=on_curve.mean(axis=0), low=low, high=high, peak=(float(peak[0]), float(peak[1])),
                 is_best=dict(zip(arms, wins.tolist(), strict=True)))


def _points(at: Array) -> Array:
    """Return levels at equal distances after the transformation."""
    unit = _unit(at)
    low, high = np.arcsinh(np.array([at.min(), at.max()]) / unit)
    return np.asarray(np.clip(np.sinh(np.linspace(low, high, NUM_POINTS)) * unit, at.min(), at.max()))


def _spread(levels: Array, at: Array) -> Array:
    """Return levels transformed to places from 0 to 1."""
    unit = _unit(at)
    low, high = np.arcsinh(np.array([at.min(), at.max()]) / unit)
    return np.asarray((np.arcsinh(levels / unit) - low) / (high - low))


def _unit(at: Array) -> float:
    return float(at[at > 0].min())


def _draws(x: Array, points: Array, means: Array, variance: Array, df: float) -> Array:
    """Return draws of the curve at the points, then at the arms, over all sizes, lengths and amounts of noise."""
    places = np.concatenate([points, x])
    gaps_all, gaps = np.abs(places[:, None] - places[None, :]), np.abs(places[:, None] - x[None, :])
    centre, spread = means.mean(), means.std() or 1.0
    y = (means - centre) / spread
    found = [_posterior(gaps_all, gaps, y, (length, size), variance / spread**2 * scale)
             for length in _LENGTHS for size in _SIZES for scale in _scales(df)]
    weights = np.exp(special.log_softmax([evidence for evidence, _, _ in found]))
    rng = np.random.default_rng(0)  # fixed, so that the same scores give the same picture
    counts = rng.multinomial(NUM_DRAWS, weights)
    parts = [mean + rng.normal(size=(count, len(places))) @ _root(covariance).T
             for count, (_, mean, covariance) in zip(counts, found, strict=True) if count]
    return np.asarray(centre + spread * np.concatenate(parts))


def _scales(df: float) -> Array:
    """Return possible factors of the noise estimate: equally probable quantiles of df / chi-squared."""
    return np.asarray(df / (2 * special.gammaincinv(df / 2, np.array(_PARTS))))


def _posterior(gaps_all: Array, gaps: Array, y: Array, shape: tuple[float, float],
               variance: Array) -> tuple[float, Array, Array]:
    """Return the log evidence of a length and size, and the curve's mean and covariance given them."""
    length, size = shape
    # A constant of deviation 3 stands for the unknown level of the whole curve.
    prior, cross = (size**2 * _matern(each / length) + 9.0 for each in (gaps_all, gaps))
    inner = cross[-len(y):] + np.diag(np.maximum(variance, 1e-8))
    factor = np.linalg.cholesky(inner)
    scaled, whitened = np.linalg.solve(factor, y), np.linalg.solve(factor, cross.T)
    evidence = -0.5 * float(scaled @ scaled) - float(np.log(np.diag(factor)).sum())
    return evidence, whitened.T @ scaled, prior - whitened.T @ whitened


def _matern(gaps: Array) -> Array:
    r = np.sqrt(5) * gaps
    return np.asarray((1 + r + r**2 / 3) * np.exp(-r))


def _root(covariance: Array) -> Array:
    """Return a square root of the covariance. Rounding may leave eigenvalues below 0, hence the small diagonal."""
    return np.asarray(np.linalg.cholesky(covariance + 1e-7 * np.eye(len(covariance))))
