"""Ladders of scales whose truth is known: do projections cover, and is decision accuracy what it claims?

Errors fall as a power of compute, with a floor. Arms differ in height and in exponent, and each is slightly off its
curve at every scale, as real ones are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from orchestrator.analysis import statistics
from orchestrator.analysis.design import Array
from orchestrator.analysis.ladder import Estimate, Rung, agreement, compute_gain, project

FLOPS = (1e15, 4e15, 1.6e16, 6.4e16)
"""The last scale is held out."""
NUM_ARMS, NUM_SEEDS = 8, 4
SEED_DEVIATION, MISFIT = 0.7, 0.2
"""In points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Climb:
    """What the analysis said about one ladder, compared with the truth: shares of arms or pairs."""

    scores_covered: float
    leads_covered: float
    accuracy_covered: bool
    tau_covered: bool
    gains_covered: float
    accuracy: float
    """True share of pairs in the right order."""


def climb(rng: Generator) -> Climb:
    """Draw one ladder and analyse all but its last scale."""
    truth = _truth(rng)
    rungs = [_rung(i, truth[:, i], rng) for i in range(len(FLOPS))]
    found = project(rungs[:-1], FLOPS[-1], baseline="arm0")
    told = agreement(rungs[0], rungs[-1])
    gains = compute_gain(rungs[:-1], baseline="arm0")
    observed = np.array([rungs[0].fitted.means[f"arm{i}"].value for i in range(NUM_ARMS)])
    accuracy = _agreeing(observed, truth[:, -1])
    true_gains = _gains(truth)
    return Climb(scores_covered=_held([(found.scores[f"arm{i}"], truth[i, -1]) for i in range(NUM_ARMS)]),
                 leads_covered=_held([(found.leads[f"arm{i}"], truth[i, -1] - truth[0, -1])
                                      for i in range(1, NUM_ARMS)]),
                 accuracy_covered=bool(_held([(told.accuracy, accuracy)])), accuracy=accuracy,
                 tau_covered=bool(_held([(told.tau, 2 * _agreeing(truth[:, 0], truth[:, -1]) - 1)])),
                 gains_covered=_held([(gains[f"arm{i}"], true_gains[i]) for i in range(1, NUM_ARMS)]))


def _truth(rng: Generator) -> Array:
    """Return arms x scales: expected scores, 0 to 100."""
    compute = np.array(FLOPS) / FLOPS[0]
    height, exponent = rng.normal(50, 1.5, (NUM_ARMS, 1)), rng.normal(0.15, 0.01, (NUM_ARMS, 1))
    return np.asarray(90.0 - height * compute ** -exponent + rng.normal(0, MISFIT, (NUM_ARMS, len(FLOPS))))


def _rung(number: int, truth: Array, rng: Generator) -> Rung:
    common, own = rng.normal(0, SEED_DEVIATION, NUM_SEEDS), rng.normal(0, SEED_DEVIATION, (NUM_ARMS, NUM_SEEDS))
    scores = truth[:, None] + common + own
    fitted = statistics.fit({f"arm{i}": dict(enumerate(row)) for i, row in enumerate(scores.tolist())})
    return Rung(scale=f"scale{number}", flops=FLOPS[number], fitted=fitted)


def _agreeing(first: Array, second: Array) -> float:
    a, b = np.triu_indices(len(first), 1)
    return float(np.mean((first[a] > first[b]) == (second[a] > second[b])))


def _gains(truth: Array) -> Array:
    """Return the compute that the baseline needs for each arm's score at the third scale, by the mean slope."""
    logs = np.log(FLOPS[:-1])
    slope = np.polyfit(logs, truth[:, :-1].mean(axis=0), 1)[0]
    return np.asarray(np.exp((truth[:, -2] - truth[0, -2]) / slope))


def _held(pairs: list[tuple[Estimate, float]]) -> float:
    return float(np.mean([each.low <= true <= each.high for each, true in pairs]))
