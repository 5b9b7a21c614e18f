"""A mixture surrogate predicts a metric from the shares of a mixture.

It is fitted to finished arms and checked before it is used. Pure.

- Three forms: `log_linear` (m = c + k exp(sum t_j r_j), as in data mixing laws), `quadratic` in the logarithm of the
  ratio to the first category (ridge regression), and `gp`, a Gaussian process with a squared exponential kernel over
  the square roots of the shares.
- The check is leave-one-out: each arm is predicted by a fit on the others. The rank correlation between these
  predictions and the measured values is shown with every proposal; below `TRUSTED` nothing is proposed.
- A proposal is an arm to be trained, never a result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import optimize, stats

Form = Literal["log_linear", "quadratic", "gp"]
FORMS: tuple[Form, ...] = ("log_linear", "quadratic", "gp")
TRUSTED = 0.5
"""The leave-one-out rank correlation (Spearman) below which nothing is proposed."""
FEWEST = 4
"""The fewest arms for which a correlation has a meaning."""
FLOOR = 1e-3
"""The share that replaces 0 in a logarithm."""
RIDGE = 1e-2
Array = np.ndarray[Any, np.dtype[np.float64]]
Predict = Callable[[Array], Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class SurrogateCheck:
    """How well a form predicts arms that it was not fitted to."""

    form: Form
    correlation: float
    """Spearman's rank correlation between leave-one-out predictions and measured values; 0 where either is constant."""
    error: float
    """Root mean square of the leave-one-out errors, in points."""
    predicted: dict[str, float]
    """Arm -> its leave-one-out prediction."""

    @property
    def is_trusted(self) -> bool:
        """Whether the correlation is high enough to train what the form proposes."""
        return self.correlation >= TRUSTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A mixture to train, proposed by a form that was checked."""

    shares: dict[str, float]
    predicted: float
    form: Form
    correlation: float


def check(form: Form, ratios: Mapping[str, Mapping[str, float]], values: Mapping[str, float]) -> SurrogateCheck:
    """Check a form by predicting each arm from the others.

    Args:
        form: the surrogate's form.
        ratios: arm -> category -> share; a missing category is a share of 0.
        values: arm -> mean of the metric.

    Raises:
        ValueError: fewer than `FEWEST` arms have both.
    """
    arms, _, shares, measured = _table(ratios, values)
    predicted = np.array(
        [_fit(form, np.delete(shares, i, 0), np.delete(measured, i))(shares[i : i + 1])[0] for i in range(len(arms))]
    )
    is_flat = np.ptp(predicted) < 1e-12 or np.ptp(measured) < 1e-12
    correlation = 0.0 if is_flat else float(stats.spearmanr(predicted, measured).statistic)
    return SurrogateCheck(
        form=form,
        correlation=correlation,
        error=float(np.sqrt(np.mean((predicted - measured) ** 2))),
        predicted=dict(zip(arms, map(float, predicted), strict=True)),
    )


def best_check(ratios: Mapping[str, Mapping[str, float]], values: Mapping[str, float]) -> list[SurrogateCheck]:
    """Return the checks of all forms, the best first."""
    return sorted((check(form, ratios, values) for form in FORMS), key=lambda each: (-each.correlation, each.error))


def propose(checked: SurrogateCheck, ratios: Mapping[str, Mapping[str, float]], values: Mapping[str, float],
            candidates: Sequence[Mapping[str, float]], *, is_maximized: bool = True) -> Proposal | None:
    """Return the candidate with the best prediction, None if the form is not trusted.

    Args:
        checked: the check of the form, on the same arms.
        ratios: as for `check`.
        values: as for `check`.
        candidates: mixtures that may be trained, such as draws around a prior.
        is_maximized: whether higher values are better.
    """
    if not checked.is_trusted or not candidates:
        return None
    _, names, shares, measured = _table(ratios, values)
    unknown = sorted({name for each in candidates for name in each} - set(names))
    if unknown:
        raise ValueError(
            f"candidates contain {', '.join(unknown)}, which no finished arm contains; allowed: {', '.join(names)}"
        )
    found = _fit(checked.form, shares, measured)(
        np.array([[float(each.get(name, 0.0)) for name in names] for each in candidates])
    )
    chosen = int(np.argmax(found) if is_maximized else np.argmin(found))
    return Proposal(
        shares=dict(candidates[chosen]),
        predicted=float(found[chosen]),
        form=checked.form,
        correlation=checked.correlation,
    )


def _table(
    ratios: Mapping[str, Mapping[str, float]], values: Mapping[str, float]
) -> tuple[list[str], list[str], Array, Array]:
    arms = [arm for arm in ratios if arm in values]
    if len(arms) < FEWEST:
        raise ValueError(f"{len(arms)} arms have both a mixture and a score; allowed: {FEWEST} or more")
    names = list(dict.fromkeys(name for arm in arms for name in ratios[arm]))
    shares = np.array([[float(ratios[arm].get(name, 0.0)) for name in names] for arm in arms])
    off = [arm for arm, row in zip(arms, shares, strict=True) if not math.isclose(row.sum(), 1.0, abs_tol=0.01)]
    if off:
        raise ValueError(f"shares of {off[0]} sum to {shares[arms.index(off[0])].sum():.3g}; allowed: 1")
    return arms, names, shares, np.array([float(values[arm]) for arm in arms])


def _fit(form: Form, shares: Array, values: Array) -> Predict:
    return {"log_linear": _log_linear, "quadratic": _quadratic, "gp": _gaussian_process}[form](shares, values)


def _log_linear(shares: Array, values: Array) -> Predict:
    """Fit c + s exp(r t) for s = 1 and s = -1, with t slightly shrunk to 0.

    The factor k is part of t, because the shares sum to 1.
    """
    spread = float(np.ptp(values)) or 1.0

    def residuals(theta: Array, sign: float) -> Array:
        fitted = theta[0] + sign * np.exp(np.clip(shares @ theta[1:], -30, 30))
        return np.concatenate([(fitted - values) / spread, RIDGE * theta[1:]])

    fits = []
    for sign in (1.0, -1.0):
        start = np.concatenate([[values.mean() - sign * spread], np.full(shares.shape[1], math.log(spread))])
        fits.append((optimize.least_squares(residuals, start, args=(sign,), max_nfev=200), sign))
    best, sign = min(fits, key=lambda pair: pair[0].cost)
    return lambda rows: np.asarray(best.x[0] + sign * np.exp(np.clip(rows @ best.x[1:], -30, 30)), dtype=np.float64)


def _quadratic(shares: Array, values: Array) -> Predict:
    """Fit a ridge regression on log-ratios to the first category and their squares."""
    centre, scale = _log_ratios(shares).mean(0), _log_ratios(shares).std(0) + 1e-9

    def features(rows: Array) -> Array:
        z = (_log_ratios(rows) - centre) / scale
        return np.hstack([z, z**2 - 1])

    x, mean = features(shares), values.mean()
    weights = np.linalg.solve(x.T @ x + RIDGE * len(x) * np.eye(x.shape[1]), x.T @ (values - mean))
    return lambda rows: np.asarray(mean + features(rows) @ weights, dtype=np.float64)


def _log_ratios(rows: Array) -> Array:
    safe = np.log(np.maximum(rows, FLOOR))
    return np.asarray(safe[:, 1:] - safe[:, :1], dtype=np.float64)


def _gaussian_process(shares: Array, values: Array) -> Predict:
    """Fit a Gaussian process. Length scale and noise maximise the marginal likelihood on a small grid.

    A finer search would not help: a few tens of arms say no more.
    """
    x, mean, spread = np.sqrt(shares), values.mean(), values.std() or 1.0
    y = (values - mean) / spread
    grid = [(length, noise) for length in (0.1, 0.2, 0.4, 0.8, 1.6) for noise in (0.01, 0.1, 0.4)]
    length, noise = max(grid, key=lambda each: _likelihood(x, y, *each))
    weights = np.linalg.solve(_kernel(x, x, length) + noise * np.eye(len(x)), y)
    return lambda rows: np.asarray(mean + spread * (_kernel(np.sqrt(rows), x, length) @ weights), dtype=np.float64)


def _likelihood(x: Array, y: Array, length: float, noise: float) -> float:
    factor = np.linalg.cholesky(_kernel(x, x, length) + noise * np.eye(len(x)))
    half = np.linalg.solve(factor, y)
    return float(-0.5 * half @ half - np.log(np.diag(factor)).sum())


def _kernel(a: Array, b: Array, length: float) -> Array:
    return np.asarray(np.exp(-((a[:, None, :] - b[None, :, :]) ** 2).sum(-1) / (2 * length**2)), dtype=np.float64)
