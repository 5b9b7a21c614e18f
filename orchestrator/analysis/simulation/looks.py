"""What looking after every seed costs and saves, compared with equal parts of 5 % at 2, 4 and 8 seeds.

A study ends as soon as the best arm is selected, or at its largest number of seeds. All rules see the same draws. Arms
are equally noisy, which is where the old rule's pooled residual does best.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy import special

from orchestrator.analysis.design import Array
from orchestrator.analysis.looks import schedule_of
from orchestrator.analysis.simulation.scores import pooled_deviation, selects
from orchestrator.analysis.statistics import ERROR

DOUBLED = (2, 4, 8)
EFFECTS = (0.0, 1.0, 1.5, 2.0, 3.0)
"""The best arm's lead over the second, in standard deviations of one arm."""
ARMS = (2, 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """The result of one rule."""

    rule: str
    num_arms: int
    effect: float
    """With 0 no arm is best, and a selection is false."""
    selected: float
    """Share of studies that select an arm."""
    seeds: float
    """Mean number of seeds an arm."""


def race(num_arms: int, effect: float, rng: Generator, num_draws: int) -> list[Race]:
    """Run three rules on the same studies.

    The best arm leads the second by `effect` and the others by three times as much.
    """
    behind = np.full(num_arms, -3 * effect)
    behind[:2] = 0.0, -effect
    scores = behind[:, None] + rng.normal(size=(num_draws, num_arms, DOUBLED[-1]))
    found = {"equal parts at 2, 4, 8, pooled, Holm": [(n, _selects_today(scores[..., :n])) for n in DOUBLED]}
    for most in (8, 7):
        schedule = schedule_of(tuple(range(2, most + 1)))
        by_look = [(n, selects(scores[..., :n], schedule)) for n in schedule.seeds]
        found[f"exact levels at 2 to {most}, paired"] = by_look
    return [_outcome(rule, num_arms, effect, by_look) for rule, by_look in found.items()]


def _outcome(rule: str, num_arms: int, effect: float, by_look: list[tuple[int, Array]]) -> Race:
    numbers = np.array([n for n, _ in by_look])
    selected = np.array([each for _, each in by_look])
    ends = np.where(selected.any(axis=0), numbers[np.argmax(selected, axis=0)], numbers[-1])
    return Race(rule=rule, num_arms=num_arms, effect=effect, selected=float(selected.any(axis=0).mean()),
                seeds=float(ends.mean()))


def _selects_today(scores: Array) -> Array:
    """Return the studies in which Holm's test over all pairs, with the pooled residual, selects the best arm."""
    num_draws, num_arms, num_seeds = scores.shape
    sigma, df = pooled_deviation(scores)
    means = np.sort(scores.mean(axis=2), axis=1)
    first, second = np.triu_indices(num_arms, 1)
    t = (means[:, second] - means[:, first]) / (sigma * math.sqrt(2 / num_seeds))[:, None]
    p = 2 * special.stdtr(float(df), -t)
    ranked = np.argsort(p, axis=1)
    rising = np.maximum.accumulate(np.take_along_axis(p, ranked, axis=1) * np.arange(len(first), 0, -1), axis=1)
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, ranked, rising, axis=1)
    return np.asarray((adjusted[:, second == num_arms - 1] <= ERROR / len(DOUBLED)).all(axis=1))
