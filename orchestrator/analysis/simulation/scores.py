"""Thousands of studies with equal arms: do intervals cover, and is an arm selected that is not better?

- A cell is one kind of study: arms, seeds, how unequal their noise is, its tails, missing trials, one look or many.
- The tests are the real ones (`statistics.paired`, `looks`, Holm), applied to thousands of studies at once. What is
  computed again here for speed (means, the choice of the best) is compared with `selection.select` by a test.
- Coverage is that of a pair's own interval, over all looks. It is computed for a few pairs, because a noisy arm makes
  them differ.
- A false selection is counted in the two ways in which it can happen: all arms are equal; or two arms are equal and all
  others are far behind, which is the hardest case.
- "Today" is the earlier rule: a residual pooled over all arms.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.random import Generator
from scipy import special

from orchestrator.analysis.design import Array
from orchestrator.analysis.looks import Schedule, schedule_of
from orchestrator.analysis.statistics import ERROR, least_deviation, p_values, paired, quantile

Noise = Literal["normal", "t3", "items"]
Deviations = Literal["1:1", "1:2", "1:4", "half 1:4"]
SHARE_LOST = 0.15
"""Share of lost trials in cells with missing ones."""
NUM_PICTURES, PER_PICTURE = 30, 4
MOST_VALUES = 3_000_000
"""The most scores that are drawn for a cell at once."""
MOST_PAIRS = 400_000
"""The most pairs on which a family of all pairs is tested."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One kind of study."""

    num_arms: int
    num_seeds: int
    deviations: Deviations
    """`1:4`: the first arm has four times the noise of the others; `half 1:4`: every second arm has."""
    noise: Noise
    """Tails of the noise, or scores from `NUM_PICTURES` pictures with `PER_PICTURE` questions each, right or wrong."""
    is_missing: bool
    """Whether trials are lost at random."""
    looks: tuple[int, ...] = ()
    """Numbers of seeds at which the rule looks; empty means only at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of a cell, as shares of simulated studies."""

    cell: Cell
    num_draws: int
    coverage_low: float
    """Coverage of the pair that is covered worst."""
    coverage_high: float
    selected_equal: float
    """An arm is selected although all are equal."""
    selected_behind: float
    """An arm is selected although another one is as good and all others are far behind."""
    told_apart: float
    """Holm's test over all pairs tells two equal arms apart, at the last look."""
    dropped: float
    """An arm that is as good as any is not among those tied with the best, at the last look."""
    width: float
    """Mean half-width divided by today's; NaN where today's is not defined (missing trials, several looks)."""
    coverage_today: float
    """Coverage of the pair that today's interval covers worst."""

    @property
    def slack(self) -> float:
        """Three standard errors of a share of 5 % with this many draws."""
        return 3 * math.sqrt(ERROR * (1 - ERROR) / self.num_draws)

    @property
    def holds(self) -> bool:
        """Whether no error is more frequent than promised, beyond the chance of the simulation."""
        wrong = (1 - self.coverage_low, self.selected_equal, self.selected_behind, self.told_apart)
        return max(wrong) <= ERROR + self.slack


ARMS = (2, 3, 5, 12, 40)
SEEDS = (3, 4, 5, 6, 7, 8)
LOOKS = ((2, 3), (2, 3, 4, 5), tuple(range(2, 9)), tuple(range(2, 10)))
"""2, 4, 7 and 8 looks."""
LARGE = 40
"""With this many arms only some numbers of seeds and looks are simulated, because each cell takes seconds."""


def grid() -> Iterator[Cell]:
    """Yield all cells."""
    kinds: list[tuple[Deviations, Noise, bool]] = list(itertools.product(
        ("1:1", "1:2", "1:4", "half 1:4"), ("normal", "t3", "items"), (False, True)))
    for num_arms, (deviations, noise, is_missing) in itertools.product(ARMS, kinds):
        cell = Cell(num_arms=num_arms, num_seeds=0, deviations=deviations, noise=noise, is_missing=is_missing)
        is_large = num_arms >= LARGE
        yield from (replace(cell, num_seeds=num_seeds) for num_seeds in (SEEDS[::2] if is_large else SEEDS))
        yield from (replace(cell, num_seeds=looks[-1], looks=looks) for looks in (LOOKS[1::2] if is_large else LOOKS))


def simulate(cell: Cell, rng: Generator, num_draws: int) -> Outcome:
    """Draw studies of one kind and count the errors."""
    tallies = [_tally(cell, draw(cell, rng, size)) for size in _sizes(cell, num_draws)]
    sizes = np.array([len(each.covered) for each in tallies])
    covered = np.average([np.nanmean(each.covered, axis=0) for each in tallies], axis=0, weights=sizes)
    today = np.average([each.today for each in tallies], axis=0, weights=sizes)
    behind = np.average([each.behind for each in tallies], axis=0, weights=sizes)
    rates = np.average([(each.equal, each.told_apart, each.dropped, each.width) for each in tallies],
                       axis=0, weights=sizes)
    return Outcome(cell=cell, num_draws=int(sizes.sum()), coverage_low=float(covered.min()),
                   coverage_high=float(covered.max()), selected_equal=float(rates[0]), selected_behind=float(behind.max()),
                   told_apart=float(rates[1]), dropped=float(rates[2]), width=float(rates[3]),
                   coverage_today=float(today.min()))


def _sizes(cell: Cell, num_draws: int) -> list[int]:
    """Split the draws into parts that fit into memory."""
    values = cell.num_arms * cell.num_seeds * (NUM_PICTURES if cell.noise == "items" else 1)
    size = max(100, min(num_draws, MOST_VALUES // values))
    return [size] * math.ceil(num_draws / size)


# ---- drawing -------------------------------------------------------------------------------------------------------


def draw(cell: Cell, rng: Generator, num_draws: int) -> Array:
    """Return scores of studies x arms x seeds with equally good arms; NaN where a trial is missing."""
    shape = (num_draws, cell.num_arms, cell.num_seeds)
    if cell.noise == "items":
        scores = _right_answers(cell, rng, shape)
    else:
        tails = rng.normal(size=shape) if cell.noise == "normal" else rng.standard_t(3, shape) / math.sqrt(3)
        scores = 50.0 + rng.normal(0, 2, (num_draws, 1, cell.num_seeds)) + _ratios(cell)[:, None] * tails
    if cell.is_missing:
        scores[rng.random(shape) < SHARE_LOST] = math.nan
        # Keep one trial of the first arm and seed: a study that loses a whole arm or seed would be another cell.
        scores[:, 0, 0] = np.where(np.isnan(scores[:, 0, 0]), 50.0, scores[:, 0, 0])
    return scores


def _ratios(cell: Cell) -> Array:
    """Return each arm's standard deviation in units of the quiet arms'."""
    loud = {"1:1": 1.0, "1:2": 2.0, "1:4": 4.0, "half 1:4": 4.0}[cell.deviations]
    ratios = np.ones(cell.num_arms)
    ratios[:: 2 if cell.deviations == "half 1:4" else cell.num_arms] = loud
    return ratios


def _right_answers(cell: Cell, rng: Generator, shape: tuple[int, ...]) -> Array:
    """Return shares of right answers. Pictures differ in difficulty, and each trial has its own luck with each."""
    chance = rng.uniform(0.35, 0.65, (shape[0], 1, 1, NUM_PICTURES))
    chance = chance + rng.normal(0, 0.02, (shape[0], 1, shape[2], 1))
    chance = chance + (_ratios(cell)[:, None] * rng.normal(0, 0.02, shape))[..., None]
    chance = chance + rng.uniform(-0.1, 0.1, (*shape, NUM_PICTURES))
    right = rng.binomial(PER_PICTURE, np.clip(chance, 0.0, 1.0))
    return np.asarray(right.mean(axis=-1) * (100.0 / PER_PICTURE))


# ---- counting ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Tally:
    covered: Array
    """Studies x pairs: 1 where the intervals of all looks contain the truth, NaN where the pair has none."""
    today: Array
    """Share of studies, by pair, that today's interval covers."""
    behind: Array
    """Share of studies, by pair, in which its interval excludes 0; a pair without an interval counts as not."""
    equal: float
    told_apart: float
    dropped: float
    width: float


def _tally(cell: Cell, scores: Array) -> _Tally:
    schedule = schedule_of(cell.looks)
    numbers = cell.looks or (cell.num_seeds,)
    pairs = _watched(cell.num_arms)
    by_look = [_p_of_pairs(scores[..., :n], pairs, schedule) for n in numbers]
    lowest = np.fmin.reduce(by_look)
    equal = np.any([selects(scores[..., :n], schedule) for n in numbers], axis=0)
    return _Tally(covered=np.where(np.isnan(lowest), np.nan, lowest > ERROR), equal=float(equal.mean()),
                  behind=np.mean(lowest <= ERROR, axis=0), dropped=_dropped(scores, schedule),
                  told_apart=_told_apart(cell, scores, schedule), width=_width(cell, scores, pairs),
                  today=_today(cell, scores, pairs))


def _watched(num_arms: int) -> list[tuple[int, int]]:
    """Return the pairs whose coverage is counted: noisy with quiet, quiet with quiet, and noisy with noisy."""
    return [pair for pair in ((0, 1), (0, 2), (1, 2), (1, 3)) if max(pair) < num_arms]


def _p_of_pairs(scores: Array, pairs: list[tuple[int, int]], schedule: Schedule) -> Array:
    """Return p-values of studies x pairs over all looks; NaN where a pair has fewer than two common seeds."""
    first, second = np.array(pairs).T
    return _p_of(scores[:, first] - scores[:, second], least_deviation(scores), schedule)


def _p_of(by_seed: Array, floors: Array, schedule: Schedule) -> Array:
    num_draws, num_contrasts, num_seeds = by_seed.shape
    values, errors, counts = paired(by_seed.reshape(-1, num_seeds), np.repeat(floors, num_contrasts))
    p = schedule.repeated(p_values(values, np.nan_to_num(errors), np.maximum(counts - 1, 1)), counts)
    return np.where(counts >= 2, p, math.nan).reshape(num_draws, num_contrasts)


def selects(scores: Array, schedule: Schedule) -> Array:
    """Return the studies in which the best arm's own interval against every other arm excludes 0."""
    best, by_seed = _against_best(scores)
    p = _p_of(by_seed, least_deviation(scores), schedule)
    ahead = np.where(np.isnan(by_seed), 0.0, by_seed).sum(axis=-1) > 0
    beaten = (p <= ERROR) & ahead
    beaten[np.arange(len(best)), best] = True
    return np.asarray(beaten.all(axis=1))


def _against_best(scores: Array) -> tuple[Array, Array]:
    """Return the arm with the best mean in each study, and its lead over each arm by seed."""
    best = np.argmax(least_squares_means(scores), axis=1)
    return best, scores[np.arange(len(best)), best][:, None] - scores


def least_squares_means(scores: Array) -> Array:
    """Return studies x arms: means over all seeds of the study, as `statistics.fit` computes them."""
    has = ~np.isnan(scores)
    if has.all():
        return np.asarray(scores.mean(axis=-1))
    weights, filled = has.astype(float), np.where(has, scores, 0.0)
    per_arm = np.maximum(weights.sum(axis=-1, keepdims=True), 1.0)
    share = weights / per_arm
    # Normal equations of the seeds' effects after removing the arms' means. The ridge fixes the free constant.
    normal = weights.sum(axis=1)[:, :, None] * np.eye(scores.shape[-1]) - np.swapaxes(weights, 1, 2) @ share
    right = (filled - share * filled.sum(axis=-1, keepdims=True)).sum(axis=1)
    ridge = 1.0 / scores.shape[-1] + 1e-9 * np.eye(scores.shape[-1])
    effects = np.linalg.solve(normal + ridge, right[..., None])[..., 0]
    means = (filled - weights * effects[:, None, :]).sum(axis=-1) / per_arm[..., 0]
    return np.where(has.any(axis=-1), means + effects.mean(axis=-1, keepdims=True), -np.inf)


def _told_apart(cell: Cell, scores: Array, schedule: Schedule) -> float:
    """Return the share of studies in which Holm's test over all pairs rejects anything.

    Its smallest p-value decides.
    """
    first, second = np.triu_indices(cell.num_arms, 1)
    chosen = scores[: max(100, MOST_PAIRS // len(first))]
    p = _p_of(chosen[:, first] - chosen[:, second], least_deviation(chosen), schedule)
    smallest = np.fmin.reduce(p, axis=1)  # NaN where no pair has two seeds in common
    return float(np.mean(smallest * (~np.isnan(p)).sum(axis=1) <= ERROR))


def _dropped(scores: Array, schedule: Schedule) -> float:
    """Return how often an arm is not among those tied with the best, for the arm to which this happens most."""
    best, by_seed = _against_best(scores)
    p = _p_of(by_seed, least_deviation(scores), schedule)
    p[np.arange(len(best)), best] = math.nan
    ranked = np.argsort(p, axis=1)
    left = (~np.isnan(p)).sum(axis=1, keepdims=True) - np.arange(p.shape[1])
    rising = np.maximum.accumulate(np.take_along_axis(p, ranked, axis=1) * np.maximum(left, 1), axis=1)
    rejected = np.zeros(p.shape)
    np.put_along_axis(rejected, ranked, rising <= ERROR, axis=1)
    return float(rejected.mean(axis=0).max())


# ---- today's intervals, to compare ---------------------------------------------------------------------------------


def _has_today(cell: Cell) -> bool:
    return not cell.is_missing and not cell.looks


def pooled_deviation(scores: Array) -> tuple[Array, int]:
    """Return each study's pooled residual deviation and its degrees of freedom."""
    _, num_arms, num_seeds = scores.shape
    residual = scores - scores.mean(axis=2, keepdims=True) - scores.mean(axis=1, keepdims=True)
    residual = residual + scores.mean(axis=(1, 2), keepdims=True)
    df = (num_arms - 1) * (num_seeds - 1)
    return np.sqrt((residual ** 2).sum(axis=(1, 2)) / df), df


def _today(cell: Cell, scores: Array, pairs: list[tuple[int, int]]) -> Array:
    if not _has_today(cell):
        return np.full(len(pairs), math.nan)
    sigma, df = pooled_deviation(scores)
    half = -special.stdtrit(df, ERROR / 2) * sigma * math.sqrt(2 / cell.num_seeds)
    means = scores.mean(axis=2)
    return np.array([np.mean(np.abs(means[:, a] - means[:, b]) <= half) for a, b in pairs])


def _width(cell: Cell, scores: Array, pairs: list[tuple[int, int]]) -> float:
    """Return the mean half-width of the watched pairs divided by today's."""
    if not _has_today(cell):
        return math.nan
    sigma, df = pooled_deviation(scores)
    first, second = np.array(pairs).T
    deviations = (scores[:, first] - scores[:, second]).std(axis=2, ddof=1).mean()
    today = -special.stdtrit(df, ERROR / 2) * sigma.mean() * math.sqrt(2)
    return float(quantile(cell.num_seeds - 1, ERROR) * deviations / today)
