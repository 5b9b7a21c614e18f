import math

import numpy as np
import pytest
from scipy import stats

from orchestrator.analysis import statistics
from orchestrator.analysis.signal_to_noise import signal_to_noise, worth


def study(*, signal, noise, arms=8, seeds=4, seed=0):
    rng = np.random.default_rng(seed)
    means, common = rng.normal(50, signal, arms), rng.normal(0, 2, seeds)
    return {f"arm{i}": dict(enumerate(mean + common + rng.normal(0, noise, seeds))) for i, mean in enumerate(means)}


def test_signal_and_noise_of_many_studies_are_those_that_were_planted():
    found = [signal_to_noise(statistics.fit(study(signal=2.0, noise=1.0, seed=seed))) for seed in range(200)]
    assert np.mean([each.signal**2 for each in found]) == pytest.approx(4.0, rel=0.1)
    assert np.mean([each.seeds**2 for each in found]) == pytest.approx(1.0, rel=0.1)
    held = [each.interval[0] <= 2.0 <= each.interval[1] for each in found]
    assert 0.90 <= np.mean(held) <= 0.99


def test_accuracy_is_the_chance_that_one_trial_each_is_in_the_right_order():
    found = signal_to_noise(statistics.fit(study(signal=2.0, noise=1.0)))
    rng = np.random.default_rng(1)
    true, noise = rng.normal(0, found.ratio, (2, 100_000)), rng.normal(0, 1, (2, 100_000))
    right = np.mean((true[0] > true[1]) == (true[0] + noise[0] > true[1] + noise[1]))
    assert found.accuracy == pytest.approx(right, abs=0.01)


def test_test_of_equal_arms_is_the_two_way_analysis_of_variance():
    values = study(signal=1.0, noise=1.0)
    scores = np.array([list(own.values()) for own in values.values()])
    residual = scores - scores.mean(axis=1, keepdims=True) - scores.mean(axis=0) + scores.mean()
    ratio = (4 * scores.mean(axis=1).var(ddof=1)) / ((residual**2).sum() / 21)
    assert signal_to_noise(statistics.fit(values)).p == pytest.approx(stats.f.sf(ratio, 7, 21))


def test_benchmark_without_signal_carries_nothing():
    carried = [signal_to_noise(statistics.fit(study(signal=0.0, noise=1.0, seed=seed))).carries for seed in range(300)]
    assert np.mean(carried) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)
    assert signal_to_noise(statistics.fit(study(signal=3.0, noise=1.0))).carries


def test_items_take_from_the_signal_and_add_to_the_noise():
    fitted = statistics.fit(study(signal=2.0, noise=1.0))
    plain, drawn = signal_to_noise(fitted), signal_to_noise(fitted, item_variance=1.0)
    assert drawn.signal == pytest.approx(math.sqrt(plain.signal**2 - 1))
    assert drawn.ratio == pytest.approx(drawn.signal / math.hypot(plain.seeds, 1.0))


def test_parts_of_the_noise_are_listed():
    fitted, data = statistics.fit(study(signal=2.0, noise=1.0)), statistics.fit(study(signal=2.0, noise=0.4, seed=1))
    found = signal_to_noise(fitted, data=data, checkpoints=[[50.0, 51.0], [40.0, 40.0, 43.0], [7.0]])
    assert found.data == data.sigma
    assert found.checkpoints == pytest.approx(math.sqrt((0.5 + 3.0) / 2))


def test_one_seed_or_one_arm_says_nothing():
    assert signal_to_noise(statistics.fit(study(signal=2.0, noise=1.0, seeds=1))) is None
    assert signal_to_noise(statistics.fit(study(signal=2.0, noise=1.0, arms=1))) is None


def test_average_is_better_without_a_benchmark_that_only_adds_noise():
    good = study(signal=2.0, noise=0.5, seed=1)
    also_good = {arm: {s: x + 0.1 * s for s, x in own.items()} for arm, own in good.items()}
    found = worth({"good": good, "also good": also_good, "noise": study(signal=0.0, noise=8.0, seed=2)})
    assert {name: each.helps for name, each in found.items()} == {"good": True, "also good": True, "noise": False}


def test_one_benchmark_has_nothing_to_be_compared_with():
    assert worth({"good": study(signal=2.0, noise=0.5)}) == {}
    assert worth({}) == {}
