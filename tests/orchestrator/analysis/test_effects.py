import itertools

import numpy as np
import pytest
from scipy import stats

from orchestrator.analysis import statistics
from orchestrator.analysis.effects import effects

A, B = "sft.mixture.alpha.science", "sft.images.mode"
LEVELS = {f"{a}/{b}": {A: a, B: b} for a, b in itertools.product((0, 0.1, 2), ("single", "dynamic"))}


def score(a, b, seed):
    noise = np.random.default_rng([int(10 * a), len(b), seed]).normal(0, 0.2)
    return 40 + 5 * a + (b == "dynamic") * (3 + 2 * a) + 7 * seed + noise


def fitted(levels=LEVELS, num_seeds=4):
    return statistics.fit({arm: {seed: score(own[A], own[B], seed) for seed in range(num_seeds)}
                           for arm, own in levels.items()})


def by_name(found):
    return {(each.factors, each.levels): each for each in found}


def test_main_effect_is_the_mean_over_the_other_factor_paired_by_seed():
    found = by_name(effects(fitted(), LEVELS))[(A,), (2,)]
    by_seed = [np.mean([score(2, b, seed) - score(0, b, seed) for b in ("single", "dynamic")]) for seed in range(4)]
    expected = stats.ttest_1samp(by_seed, 0).confidence_interval()
    assert found.difference.value == pytest.approx(np.mean(by_seed))
    assert found.difference.half_width == pytest.approx((expected.high - expected.low) / 2)
    assert (found.difference.a, found.difference.b, found.num_settings) == ("science=2", "science=0", 2)


def test_interaction_is_a_difference_of_differences():
    found = by_name(effects(fitted(), LEVELS))[(A, B), (2, "dynamic")]
    assert found.difference.value == pytest.approx(4.0, abs=0.5)
    assert found.difference.is_told_apart
    assert found.difference.a == "science=2 minus science=0 at mode=dynamic"


def test_all_effects_are_listed_once():
    assert len(effects(fitted(), LEVELS)) == 2 + 1 + 2


def test_setting_with_a_missing_arm_is_left_out_of_the_average():
    levels = {arm: own for arm, own in LEVELS.items() if arm != "2/dynamic"}
    found = by_name(effects(fitted(levels), levels))
    assert found[(A,), (2,)].num_settings == 1
    assert ((A, B), (2, "dynamic")) not in found


def test_one_factor_has_no_effects_beside_its_arms():
    levels = {"0": {A: 0}, "1": {A: 1}}
    assert effects(statistics.fit({"0": {0: 1.0, 1: 2.0}, "1": {0: 3.0, 1: 5.0}}), levels) == ()


def test_three_factors_average_over_the_third():
    levels = {f"{x}{y}{z}": {"x": x, "y": y, "z": z} for x, y, z in itertools.product((0, 1), repeat=3)}
    values = {arm: {seed: own["x"] + 2 * own["x"] * own["y"] + 5 * own["z"] + seed for seed in range(3)}
              for arm, own in levels.items()}
    found = {(each.factors): each for each in effects(statistics.fit(values), levels)}
    assert found["x",].difference.value == pytest.approx(2.0)
    assert (found["x", "y"].difference.value, found["x", "y"].num_settings) == (pytest.approx(2.0), 2)
    assert found["x", "z"].difference.value == pytest.approx(0.0)
