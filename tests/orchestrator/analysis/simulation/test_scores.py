import dataclasses

import numpy as np
import pytest

from orchestrator.analysis import selection, statistics
from orchestrator.analysis.looks import schedule_of
from orchestrator.analysis.scores import TrialScores
from orchestrator.analysis.selection import Rule
from orchestrator.analysis.simulation import check, looks, scores
from orchestrator.analysis.simulation.items import Benchmark
from orchestrator.analysis.simulation.items import simulate as simulate_items
from orchestrator.analysis.simulation.scores import Cell, simulate
from orchestrator.plan.arms import Arm

CELL = Cell(num_arms=4, num_seeds=5, deviations="1:4", noise="normal", is_missing=True)


def as_values(own):
    return {f"arm{i}": {s: float(x) for s, x in enumerate(row) if not np.isnan(x)} for i, row in enumerate(own)}


def measured(own):
    return [TrialScores(trial_key="", arm_key=arm, seed=seed, state="SUCCEEDED", metrics={"m": x}, withheld={})
            for arm, by_seed in as_values(own).items() for seed, x in by_seed.items()]


def test_side_by_side_the_same_arms_are_selected_as_one_by_one():
    drawn = scores.draw(CELL, np.random.default_rng(0), 150) + np.array([3.0, 0.0, 0.0, -4.0])[:, None]
    arms = [Arm(f"arm{i}", f"arm{i}", {}) for i in range(4)]
    kinds = [selection.select(Rule(objective="m"), arms, measured(own)).kind for own in drawn]
    together = scores.selects(drawn, schedule_of(()))
    assert [kind == "selected" for kind in kinds] == together.tolist()
    assert 0 < together.mean() < 1


def test_side_by_side_means_are_those_of_the_fit():
    drawn = scores.draw(CELL, np.random.default_rng(1), 50)
    expected = [[mean.value for mean in statistics.fit(as_values(own)).means.values()] for own in drawn]
    connected = [i for i, own in enumerate(drawn) if not np.isnan(own).all(axis=1).any()]
    assert scores.least_squares_means(drawn)[connected] == pytest.approx(np.array([expected[i] for i in connected]))


@pytest.mark.parametrize("number", range(0, 1080, 67))
def test_short_form_of_the_grid_holds(number):
    cell = list(scores.grid())[number]
    outcome, = check.coverage([cell], seed=number, num_draws=800)
    assert outcome.holds
    assert outcome.coverage_low >= 0.95 - outcome.slack


def test_rule_of_before_fails_with_one_loud_arm():
    cell = dataclasses.replace(CELL, num_arms=12, is_missing=False)
    assert simulate(cell, np.random.default_rng(0), 2000).coverage_today < 0.80


def test_every_look_takes_fewer_seeds_for_more_selections():
    before, now, _ = looks.race(2, 2.0, np.random.default_rng(0), 4000)
    assert now.selected > before.selected
    assert now.seeds < 0.92 * before.seeds


def test_looking_at_equal_arms_errs_in_five_percent():
    for each in looks.race(2, 0.0, np.random.default_rng(0), 4000):
        assert each.selected <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 4000)


def test_more_seeds_mislead_these_items_and_not_the_population():
    benchmark = Benchmark(num_seeds=8, num_pictures=30, taste=0.2, seed_deviation=0.005, ratio=1.0)
    found = simulate_items(benchmark, np.random.default_rng(0), 300)
    assert found.these > 0.12
    assert found.population <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)


def test_summary_and_table_hold_every_cell():
    outcomes = list(check.coverage(list(scores.grid())[:3], seed=0, num_draws=400))
    assert [line.num_cells for line in check.summary(outcomes) if line.name == "noise: normal"] == [3]
    text = check.as_csv(outcomes)
    assert text.startswith("num_arms,num_seeds,deviations,noise,is_missing,looks,num_draws,coverage_low")
    assert len(text.splitlines()) == 4
    assert check.as_csv([]) == ""
