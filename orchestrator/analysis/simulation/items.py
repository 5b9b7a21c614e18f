"""Benchmarks drawn from a population of pictures on which two arms are equally good: does either interval mislead?

Each arm is better at some pictures and worse at others. In the population this cancels; in the pictures of one
benchmark it does not. So *these items* rightly tells the arms apart more often the more seeds there are, and only the
interval for the population answers which arm is better.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from orchestrator.analysis import crossed, statistics
from orchestrator.analysis.design import Array

PER_PICTURE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One kind of benchmark and of arms."""

    num_seeds: int
    num_pictures: int
    taste: float
    """By how much an arm's chance of a right answer is higher or lower at each picture."""
    seed_deviation: float
    """Standard deviation of an arm's chance between seeds."""
    ratio: float
    """Deviation of the second arm divided by that of the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Misled:
    """How often equal arms are told apart."""

    benchmark: Benchmark
    num_draws: int
    these: float
    population: float
    width: float
    """Mean width of the population's interval divided by that of these items."""


def grid() -> Iterator[Benchmark]:
    """Yield all kinds of benchmarks."""
    for num_seeds, num_pictures, taste, seed_deviation, ratio in itertools.product(
            (3, 5, 8), (30, 60, 240), (0.0, 0.2), (0.005, 0.03), (1.0, 4.0)):
        yield Benchmark(num_seeds=num_seeds, num_pictures=num_pictures, taste=taste, seed_deviation=seed_deviation,
                        ratio=ratio)


def simulate(benchmark: Benchmark, rng: Generator, num_draws: int) -> Misled:
    """Draw benchmarks and count how often each interval excludes 0."""
    found = np.array([_judge(benchmark, _draw(benchmark, rng)) for _ in range(num_draws)])
    these, population, width_these, width_population = found.mean(axis=0)
    return Misled(benchmark=benchmark, num_draws=num_draws, these=float(these), population=float(population),
                  width=float(width_population / width_these))


def _draw(benchmark: Benchmark, rng: Generator) -> Array:
    """Return scores of two arms x seeds x items.

    Chances lie around 1/2, so that cutting at 0 and 1 favours neither arm.
    """
    shape = (2, benchmark.num_seeds, benchmark.num_pictures)
    chance = rng.uniform(0.4, 0.6, benchmark.num_pictures)
    chance = chance + benchmark.taste * rng.choice([-1.0, 1.0], (2, 1, benchmark.num_pictures))
    deviations = benchmark.seed_deviation * np.array([1.0, benchmark.ratio])[:, None, None]
    chance = chance + deviations * rng.normal(size=(2, benchmark.num_seeds, 1)) + rng.uniform(-0.1, 0.1, shape)
    right = rng.random((*shape, PER_PICTURE)) < chance[..., None]
    return np.asarray(right.reshape(2, benchmark.num_seeds, -1) * 100.0)


def _judge(benchmark: Benchmark, scores: Array) -> tuple[float, float, float, float]:
    arms = ("a", "b")
    pictures = np.repeat(np.arange(benchmark.num_pictures), PER_PICTURE).tolist()
    answers = crossed.answers_of(arms, scores, pictures)
    means = scores.mean(axis=2).tolist()
    fitted = statistics.fit({arm: dict(enumerate(own)) for arm, own in zip(arms, means, strict=True)})
    these = statistics.all_pairs(fitted)
    variance = crossed.item_variance(answers, these[0].weights)
    population, = crossed.for_population(fitted, these, [variance], benchmark.num_pictures)
    return (float(these[0].excludes_zero), float(population.excludes_zero), these[0].half_width or 0.0,
            population.half_width or 0.0)
