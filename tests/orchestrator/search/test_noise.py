"""Searches on planted optima: a curve over one factor with a known best level, seeds with common and own noise."""

import json
import math
import random
from dataclasses import dataclass

import pytest

from orchestrator import search
from orchestrator.analysis import selection
from orchestrator.analysis.scores import TrialScores
from orchestrator.analysis.selection import Rule
from orchestrator.plan.arms import Arm
from orchestrator.search import ObservedTrial
from orchestrator.search.proposals import _repeats
from orchestrator.study.study import Search

ALPHA = "sft.mixture.alpha.science"
LOW, HIGH = 0.02, 2.0
SEEDS = 4
GRID = 20
"""Levels of the grid that a search stands in for."""
TRIALS = 10
"""Arms of the search, each as dear as one of the grid: half of the grid's FLOPs."""
EFFECT = 2.0
"""Smallest difference of interest, in points: who is that near to the best has found it."""


@dataclass(frozen=True)
class Planted:
    """A world: the score falls with the squared distance from the best level, on a logarithmic scale."""

    seed: int

    @property
    def best(self) -> float:
        return math.exp(random.Random(self.seed).uniform(math.log(2 * LOW), math.log(HIGH / 2)))

    def truth(self, alpha: float) -> float:
        return 60 - 6 * math.log(alpha / self.best) ** 2

    def scores(self, alpha: float) -> dict[int, float]:
        """Return the score of each seed: noise that all arms share, and noise of the arm's own."""
        return {seed: self.truth(alpha) + random.Random(f"{self.seed}/{seed}").gauss(0, 2) +
                random.Random(f"{self.seed}/{seed}/{alpha}").gauss(0, 1) for seed in range(SEEDS)}


def searched(world: Planted) -> list[ObservedTrial]:
    spec = Search.model_validate_json(json.dumps(
        {"trials": TRIALS, "sampler": "gp", "parameters": {ALPHA: {"log_float": [LOW, HIGH]}}}))
    history: list[ObservedTrial] = []
    for _ in range(TRIALS):
        levels = search.propose(spec, history, seed=world.seed)
        assert levels is not None
        scores = world.scores(levels[ALPHA])
        history.append(ObservedTrial(levels=levels, values=(sum(scores.values()) / SEEDS,),
                                     by_seed={seed: (value,) for seed, value in scores.items()}))
    return history


def verdict_of(world: Planted, history: list[ObservedTrial]) -> selection.Verdict:
    arms = [Arm(str(i), str(i), dict(each.levels)) for i, each in enumerate(history)]
    trials = [TrialScores(trial_key="", arm_key=str(i), seed=seed, state="SUCCEEDED", metrics={"score": values[0]}, withheld={})
              for i, each in enumerate(history) for seed, values in each.by_seed.items()]
    rule = Rule(objective="score", subject_to=(), baseline=None, prefer="first", effect=EFFECT, looks=())
    return selection.select(rule, arms, trials)


def test_planted_optima_are_found_at_half_of_a_grids_cost_and_no_wrong_arm_is_selected() -> None:
    num_found, num_wrong = 0, 0
    for world in map(Planted, range(20)):
        history = searched(world)
        truths = [world.truth(each.levels[ALPHA]) for each in history]
        leader = max(range(TRIALS), key=lambda i: history[i].values[0])  # noqa: B023 (called at once)
        num_found += truths[leader] >= world.truth(world.best) - EFFECT
        verdict = verdict_of(world, history)
        num_wrong += verdict.kind == "selected" and truths[int(verdict.chosen or 0)] < max(truths) - EFFECT
    assert 2 * TRIALS <= GRID
    assert num_found >= 18
    assert num_wrong == 0


def test_a_seed_that_lifts_all_arms_is_no_noise_of_an_arm() -> None:
    common = {0: 0.0, 1: 5.0}
    history = [ObservedTrial(levels={ALPHA: level}, values=(level + 2.5,), by_seed={seed: (level + more,) for seed, more in common.items()})
               for level in (0.1, 0.5, 1.0)]
    for each in history:
        for values in _repeats(history)[id(each)]:
            assert values == pytest.approx(each.values)


def test_an_arm_with_one_seed_stays_one_observation() -> None:
    history = [ObservedTrial(levels={ALPHA: 0.5}, values=(3.0,), by_seed={0: (3.0,)})]
    assert _repeats(history) == {}


def test_other_samplers_see_means() -> None:
    history = [ObservedTrial(levels={ALPHA: 0.1 * i}, values=(float(i),), by_seed={0: (i - 1.0,), 1: (i + 1.0,)}) for i in range(1, 8)]
    means = [ObservedTrial(levels=each.levels, values=each.values) for each in history]
    spec = Search.model_validate_json(json.dumps({"trials": 9, "parameters": {ALPHA: {"log_float": [LOW, HIGH]}}}))
    assert search.propose(spec, history, seed=0) == search.propose(spec, means, seed=0)
