"""How well a benchmark tells arms apart: the spread of the arms' true scores divided by the noise of one trial.

- Signal: the standard deviation of the arms' true scores, estimated from the spread of their means minus what noise
  adds to it.
- Noise: the standard deviation of one trial's score between seeds, and, where answers are stored, from the draw of
  items. Seeds that change only the order of data, and the last checkpoints of a run, each show a part of the first one;
  they are listed, not added.
- If true scores and noise are normal, one trial of each of two arms puts them in the right order with probability 1/2 +
  arctan(ratio) / pi. A ratio of 1 is right in 75 of 100 cases, of 3 in 90, of 0.3 in 59.
- A benchmark carries a decision if the arms differ at 5 % (F-test of arms against noise). One that does not adds noise
  to its averages; `worth` says how much better they would be without it.

Source: Signal and Noise, arXiv 2508.13144. Differs: it takes the range of scores and the noise of checkpoints, both
relative; here deviations and seeds, so that the ratio gives the probability of a right decision.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from orchestrator.analysis import statistics
from orchestrator.analysis.noise import residual_df
from orchestrator.analysis.statistics import ERROR, Fit, Values


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalToNoise:
    """Signal and noise of one metric, in points."""

    signal: float
    seeds: float
    """Standard deviation of one trial's score between seeds."""
    items: float | None
    """Standard deviation of one trial's score from the draw of items; None where answers are not stored."""
    data: float | None
    """The part of `seeds` that comes from the order of data alone; None where no seeds vary only that."""
    checkpoints: float | None
    """Standard deviation between the last checkpoints of a trial; None where only one is scored."""
    ratio: float
    """Signal divided by the noise of seeds and items."""
    interval: tuple[float, float]
    """95 % interval of signal divided by the noise of seeds."""
    p: float
    """p-value of the F-test that all arms are equal."""

    @property
    def accuracy(self) -> float:
        """Probability that one trial of each of two arms puts them in the right order, 0.5 to 1."""
        return 0.5 + math.atan(self.ratio) / math.pi

    @property
    def carries(self) -> bool:
        """Whether the arms differ on it at 5 %."""
        return self.p <= ERROR


def signal_to_noise(fitted: Fit, *, item_variance: float | None = None, data: Fit | None = None,
                    checkpoints: Sequence[Sequence[float]] = ()) -> SignalToNoise | None:
    """Compute signal and noise of one metric.

    Args:
        fitted: its scores, over seeds that vary everything a seed varies.
        item_variance: variance of one arm's score from the draw of items, in squared points; half that of a difference.
        data: the same arms over seeds that change only the order of data.
        checkpoints: for each trial the scores of its last checkpoints.

    Returns:
        None with fewer than two arms or without residual degrees of freedom.
    """
    df = residual_df(fitted.scores) if len(fitted.arms) > 1 else 0
    if df < 1 or not fitted.sigma:
        return None
    counts = (~np.isnan(fitted.scores)).sum(axis=1)
    seeds_each = float(stats.hmean(counts))
    between = float(np.var([fitted.means[arm].value for arm in fitted.arms], ddof=1))
    ratio = seeds_each * between / fitted.sigma**2
    signal = math.sqrt(max(0.0, between - fitted.sigma**2 / seeds_each - (item_variance or 0.0)))
    return SignalToNoise(
        signal=signal, seeds=fitted.sigma, items=None if item_variance is None else math.sqrt(item_variance),
        data=data.sigma if data else None, checkpoints=_between_checkpoints(checkpoints),
        ratio=signal / math.hypot(fitted.sigma, math.sqrt(item_variance or 0.0)),
        interval=_interval(ratio, len(fitted.arms) - 1, df, seeds_each),
        p=float(stats.f.sf(ratio, len(fitted.arms) - 1, df)))


def _interval(ratio: float, df_arms: int, df: int, seeds_each: float) -> tuple[float, float]:
    """Return the interval of signal over noise. It is exact for the balanced model with random arms."""
    low, high = (max(0.0, ratio / float(stats.f.isf(tail, df_arms, df)) - 1) for tail in (ERROR / 2, 1 - ERROR / 2))
    return math.sqrt(low / seeds_each), math.sqrt(high / seeds_each)


def _between_checkpoints(trials: Sequence[Sequence[float]]) -> float | None:
    own = [float(np.var(scores, ddof=1)) for scores in trials if len(scores) > 1]
    return math.sqrt(float(np.mean(own))) if own else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """The effect of a benchmark on the average that it enters."""

    ratio_with: float
    """Signal over noise of the average with the benchmark."""
    ratio_without: float

    @property
    def helps(self) -> bool:
        """Whether the average tells arms apart better with it."""
        return self.ratio_with >= self.ratio_without


def worth(benchmarks: Mapping[str, Values]) -> dict[str, Worth]:
    """Return for each benchmark the signal over noise of the plain mean with it and without it.

    Args:
        benchmarks: benchmark -> scores; only trials with a score on all of them count.

    Returns:
        Empty for fewer than two benchmarks, or if the ratio cannot be estimated.
    """
    whole = _ratio(list(benchmarks.values()))
    if whole is None or len(benchmarks) < 2:
        return {}
    without = {name: _ratio([own for other, own in benchmarks.items() if other != name]) for name in benchmarks}
    return {name: Worth(ratio_with=whole, ratio_without=ratio) for name, ratio in without.items() if ratio is not None}


def _ratio(parts: Sequence[Values]) -> float | None:
    if not parts:
        return None
    averages = {arm: {seed: math.fsum(part[arm][seed] for part in parts) / len(parts)
                      for seed in by_seed if all(seed in part.get(arm, {}) for part in parts)}
                for arm, by_seed in parts[0].items()}
    found = signal_to_noise(statistics.fit(averages))
    return found.ratio if found else None
