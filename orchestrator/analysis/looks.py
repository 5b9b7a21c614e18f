"""Test levels for looking at growing data: exact group-sequential t-tests, with a look after every seed.

- A pair of arms with n common seeds is tested by the paired t-test at the nominal level `budget * weight(n)`. The
  budget is the one number for which all looks together reject a true "no difference" with the promised probability;
  `Schedule` tabulates it.
- The weights rise with n. With two or three seeds the t quantile is so large that a look costs much and finds little.
- The distribution is exact for normal differences of any variance. By Basu's theorem the sequence of t-statistics does
  not depend on the sum of squares, so U = sum / root of the sum of squares is a Markov chain. It is followed on cells
  of its angle, with transition probabilities from the t-distribution.
- A pair's own number of seeds determines its look. A pair whose arm was dropped keeps its number, its test and its
  verdict.
- Beyond `MOST_EXACT` seeds, looks are added by Bonferroni's inequality. This is conservative, and little can be gained
  there.

Source: Jennison and Turnbull, Exact calculations for sequential t, chi-squared and F tests, Biometrika 78 (1991).
"""

from __future__ import annotations

import bisect
import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from orchestrator.analysis.design import Array

MOST_EXACT = 32
"""Seeds up to which the chain is followed exactly."""
NUM_CELLS = 320
"""Cells of the angle from 0 to a right angle. With twice as many, no level above 0.0001 changes by half a percent."""
LOWEST = 1e-12
"""Smallest budget in the table."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The numbers of seeds at which a rule looks at the scores, and the test level of each look."""

    seeds: tuple[int, ...]
    """Rising, each >= 2; a single number is an ordinary test."""
    budgets: Array
    """Rising; the nominal level of a look is the budget times its weight."""
    errors: Array
    """Chance that any look rejects wrongly, for each budget."""

    def weight(self, n: int) -> float:
        """Return the weight of the look at n seeds; a number between two scheduled ones takes that of the next."""
        place = min(bisect.bisect_left(self.seeds, n), len(self.seeds) - 1)
        return _weight(self.seeds[place], self.seeds[-1])

    def nominal(self, error: float, n: int) -> float:
        """Return the level at which to test with n seeds, so that all looks together err with probability `error`."""
        budget = np.exp(np.interp(np.log(error), np.log(self.errors), np.log(self.budgets)))
        return float(min(1.0, budget * self.weight(n)))

    def repeated(self, p_values: Array, counts: NDArray[np.intp]) -> Array:
        """Return repeated p-values: the smallest error over all looks at which this look would have rejected.

        Args:
            p_values: p-values of single t-tests.
            counts: number of seeds of each.
        """
        by_count = np.array([self.weight(n) for n in range(int(counts.max(initial=0)) + 1)])
        weights = by_count[counts]
        budgets = np.maximum(p_values / weights, LOWEST)
        found = np.exp(np.interp(np.log(budgets), np.log(self.budgets), np.log(self.errors)))
        return np.where(p_values <= 0.0, 0.0, found)


@functools.lru_cache(maxsize=64)
def schedule_of(seeds: tuple[int, ...]) -> Schedule:
    """Tabulate the looks at these numbers of seeds; empty if the number of seeds is fixed.

    Raises:
        ValueError: the numbers do not rise from 2 or more.
    """
    if any(b <= a for a, b in zip((1, *seeds), seeds, strict=False)):
        raise ValueError(f"looks at {list(seeds)} seeds; allowed: rising numbers from 2")
    if len(seeds) < 2:
        return Schedule(seeds or (2,), np.array([LOWEST, 1.0]), np.array([LOWEST, 1.0]))
    budgets = np.geomspace(LOWEST, 1.0, 73)
    errors = np.maximum.accumulate(_errors(seeds, budgets))
    return Schedule(seeds, budgets, np.minimum(1.0, errors))


def _weight(n: int, most: int) -> float:
    return n / most


def _errors(seeds: tuple[int, ...], budgets: Array) -> Array:
    """Return the chance that any of the looks rejects a true null, for each budget."""
    exact = [n for n in seeds if n <= MOST_EXACT]
    errors: Array = budgets * sum(_weight(n, seeds[-1]) for n in seeds if n > MOST_EXACT)
    if not exact:
        return errors
    edges = _edges()
    mass = np.tile(_start(exact[0], edges), (len(budgets), 1))
    for n in range(exact[0], exact[-1] + 1):
        if n > exact[0]:
            mass = mass @ _transition(n - 1, edges)
        if n in exact:
            kept = _kept(n, np.minimum(1.0, budgets * _weight(n, seeds[-1])), edges)
            errors = errors + (mass * (1 - kept)).sum(axis=1)
            mass = mass * kept
    return errors


def _edges() -> Array:
    """Return cell edges as distances from the right angle, falling to 0; cells are fine where t is large."""
    half = NUM_CELLS // 2
    coarse = np.linspace(np.pi / 2, 0.05, half + 1)
    return np.concatenate([coarse, np.geomspace(0.05, 1e-11, NUM_CELLS - half)[1:], [0.0]])


def _start(n: int, edges: Array) -> Array:
    """Return the probability of each cell for |t| with n seeds."""
    with np.errstate(divide="ignore"):
        above = 2 * special.stdtr(n - 1.0, -np.sqrt(n - 1) / np.tan(edges))
    return np.asarray(-np.diff(above))


def _kept(n: int, levels: Array, edges: Array) -> Array:
    """Return the share of each cell's probability (columns) that is not rejected at each level (rows)."""
    with np.errstate(divide="ignore"):
        above = 2 * special.stdtr(n - 1.0, -np.sqrt(n - 1) / np.tan(edges))
    upper, lower = above[:-1], above[1:]
    width = np.maximum(upper - lower, np.finfo(float).tiny)  # for huge t a cell's probability is 0
    return np.asarray(np.clip((upper - levels[:, None]) / width, 0.0, 1.0))


def _transition(n: int, edges: Array) -> Array:
    """Return the probability to move from a cell at n seeds (rows) to one at n + 1 (columns), ignoring signs."""
    middle = (edges[:-1] + edges[1:]) / 2
    u = np.sqrt(n) * np.cos(middle)[:, None]
    x = np.sqrt(n + 1) * np.cos(edges)[None, :]
    inside = _at_most(n, u, x) - _at_most(n, u, -x)
    return np.asarray(np.diff(inside, axis=1))


def _at_most(n: int, u: Array, x: Array) -> Array:
    """Return the probability that the next U is at most x, given U = u >= 0 at n seeds.

    With v = next difference / root of the sum of squares = tan(psi), the next U is u cos(psi) + sin(psi), and v times
    root n has a t-distribution with n degrees of freedom. So U is at most x where psi lies below one angle or above
    another.
    """
    size = np.sqrt(1 + u**2)
    turn, angle = np.arctan(u), np.arcsin(np.clip(x / size, -1.0, 1.0))
    return np.asarray(_below(n, angle - turn) + 1.0 - _below(n, np.pi - angle - turn))


def _below(n: int, psi: Array) -> Array:
    bounded = np.clip(psi, -np.pi / 2, np.pi / 2)
    return np.asarray(special.stdtr(float(n), np.sqrt(n) * np.tan(bounded)))
