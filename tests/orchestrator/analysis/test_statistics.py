import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from orchestrator.analysis import statistics

TWO = {"a": {0: 51.0, 1: 54.0, 2: 49.5, 3: 52.2}, "b": {0: 50.1, 1: 52.2, 2: 49.4, 3: 50.9}}
THREE = {**TWO, "c": {0: 55.3, 1: 57.0, 2: 52.9, 3: 56.1}}
UNBALANCED = {"a": {0: 51.0, 1: 54.0, 2: 49.5}, "b": {0: 50.1, 2: 49.4}, "c": {1: 57.0, 2: 52.9}}


def explicit_ols(values):
    """Solve the treatment-coded model; return effects against the first arm, their standard errors, and df."""
    arms, seeds = list(values), sorted({s for v in values.values() for s in v})
    rows = [(arm, seed, y) for arm in arms for seed, y in values[arm].items()]
    design = np.array([[1.0] + [float(arm == a) for a in arms[1:]] + [float(seed == s) for s in seeds[1:]]
                       for arm, seed, _ in rows])
    y = np.array([r[2] for r in rows])
    beta, residual, rank, _ = np.linalg.lstsq(design, y, rcond=None)
    df = len(y) - rank
    covariance = np.linalg.inv(design.T @ design) * float(residual[0]) / df
    return beta[1:len(arms)], np.sqrt(np.diag(covariance))[1:len(arms)], df


def test_two_arms_equal_the_paired_t_test():
    (found,) = statistics.all_pairs(statistics.fit(TWO))
    paired = stats.ttest_rel(list(TWO["a"].values()), list(TWO["b"].values()))
    low, high = paired.confidence_interval(0.95)
    assert found.value == pytest.approx((low + high) / 2)
    assert found.half_width == pytest.approx((high - low) / 2)
    assert found.p == pytest.approx(paired.pvalue)


@pytest.mark.parametrize("values", [THREE, UNBALANCED])
def test_differences_equal_explicit_least_squares(values):
    fitted = statistics.fit(values)
    effects, errors, df = explicit_ols(values)
    found = [statistics.to_baseline(fitted, "a")[arm] for arm in list(values)[1:]]
    assert fitted.df == df
    assert [d.value for d in found] == pytest.approx(effects)
    assert [d.half_width for d in found] == pytest.approx(stats.t.ppf(0.975, df) * errors)
    assert [d.p for d in found] == pytest.approx(2 * stats.t.sf(np.abs(effects / errors), df))


def test_balanced_means_are_plain_means_with_their_own_t_interval():
    mean = statistics.fit(THREE).means["c"]
    own = list(THREE["c"].values())
    low, high = stats.t.interval(0.95, 3, np.mean(own), stats.sem(own))
    assert (mean.value, mean.n) == (pytest.approx(np.mean(own)), 4)
    assert mean.half_width == pytest.approx((high - low) / 2)


def test_balanced_residual_has_a_minus_1_times_s_minus_1_degrees_of_freedom():
    assert statistics.fit(THREE).df == (3 - 1) * (4 - 1)


def test_missing_seed_does_not_tilt_the_mean():
    values = {"a": {0: 10.0, 1: 20.0}, "b": {0: 11.0}, "c": {0: 12.0, 1: 22.0}}
    assert statistics.fit(values).means["b"].value == pytest.approx(16.0)


def test_one_seed_has_no_interval():
    fitted = statistics.fit({"a": {0: 1.0}, "b": {0: 2.0}})
    (difference,) = statistics.all_pairs(fitted)
    assert fitted.means["a"].interval_text == "n=1"
    assert (difference.value, difference.half_width, difference.p_holm) == (-1.0, None, None)
    assert not difference.is_told_apart


def test_zero_residual_tells_arms_apart_with_width_0():
    same_shift = {"a": {0: 50.1, 1: 60.7, 2: 55.3}, "b": {0: 51.1, 1: 61.7, 2: 56.3}, "c": {0: 50.1, 1: 60.7, 2: 55.3}}
    by_pair = {(d.a, d.b): d for d in statistics.all_pairs(statistics.fit(same_shift))}
    assert by_pair["a", "b"].half_width_holm == 0.0
    assert by_pair["a", "b"].is_told_apart
    assert not by_pair["a", "c"].is_told_apart


def test_arms_without_a_common_seed_have_a_value_and_no_interval():
    fitted = statistics.fit({"a": {0: 1.0, 1: 2.0}, "b": {2: 5.0, 3: 6.0}})
    (difference,) = statistics.all_pairs(fitted)
    assert (difference.value, difference.half_width, difference.n) == (pytest.approx(-4.0), None, 0)


def test_arm_without_any_value_is_left_out():
    assert statistics.fit({"a": {0: 1.0}, "b": {}}).arms == ("a",)


def test_no_values_at_all_fit_to_nothing():
    assert statistics.all_pairs(statistics.fit({})) == ()


def test_non_finite_score_is_refused_by_name():
    with pytest.raises(ValueError, match=r"arm b, seed 1: score is nan"):
        statistics.fit({"a": {0: 1.0}, "b": {1: math.nan}})


def test_holm_adjusts_as_the_textbook_says():
    fitted = statistics.fit(THREE)
    raw = sorted(d.p for d in statistics.all_pairs(fitted))
    expected = np.minimum(1, np.maximum.accumulate([3 * raw[0], 2 * raw[1], raw[2]]))
    assert sorted(d.p_holm for d in statistics.all_pairs(fitted)) == pytest.approx(list(expected))


scores = st.floats(0, 100).map(lambda x: round(x, 2))
tables = st.integers(2, 5).flatmap(
    lambda seeds: st.lists(st.lists(scores, min_size=seeds, max_size=seeds), min_size=2, max_size=5))


def as_values(table, shifts=None):
    return {f"arm{i}": {s: y + (shifts or [0] * len(row))[s] for s, y in enumerate(row)} for i, row in enumerate(table)}


@given(tables, st.lists(st.floats(-50, 50), min_size=5, max_size=5))
def test_seed_effects_cancel_in_differences(table, shifts):
    plain = statistics.all_pairs(statistics.fit(as_values(table)))
    shifted = statistics.all_pairs(statistics.fit(as_values(table, shifts)))
    assert [d.value for d in shifted] == pytest.approx([d.value for d in plain], abs=1e-9)
    assert [d.half_width for d in shifted] == pytest.approx([d.half_width for d in plain], abs=1e-6)


@given(tables)
def test_holm_interval_excludes_0_exactly_when_holm_rejects(table):
    for each in statistics.all_pairs(statistics.fit(as_values(table))):
        margin = abs(each.value) - each.half_width_holm
        assert each.is_told_apart == (margin > 0) or abs(margin) < 1e-6


@given(tables)
def test_holm_interval_is_never_narrower_than_the_single_one(table):
    for each in statistics.all_pairs(statistics.fit(as_values(table))):
        assert each.half_width_holm >= each.half_width - 1e-9


@given(st.permutations(list(THREE)))
def test_order_of_arms_changes_nothing(order):
    means = statistics.fit({arm: THREE[arm] for arm in order}).means
    assert means["a"].value == pytest.approx(51.675)


def test_seeds_to_settle_match_power_by_simulation():
    needed = statistics.seeds_to_settle(1.0, sigma=1.0, num_arms=2, comparisons=1)
    rng = np.random.default_rng(0)

    def power(n):
        noise = rng.normal(1.0, math.sqrt(2), (4000, n))
        return np.mean(stats.ttest_1samp(noise, 0, axis=1).pvalue < 0.05)

    assert power(needed) >= 0.78
    assert power(needed - 1) <= 0.82


def test_more_comparisons_need_more_seeds():
    needed = [statistics.seeds_to_settle(1.0, sigma=1.0, num_arms=4, comparisons=m) for m in (1, 6, 45)]
    assert needed == sorted(set(needed))


@pytest.mark.parametrize(("effect", "sigma", "expected"), [(1.0, 0.0, 2), (1000.0, 0.1, 2), (0.001, 10.0, None)])
def test_seeds_to_settle_at_the_extremes(effect, sigma, expected):
    assert statistics.seeds_to_settle(effect, sigma=sigma, num_arms=3, comparisons=3) == expected


@pytest.mark.parametrize("arguments", [{"effect": 0.0, "num_arms": 2}, {"effect": 1.0, "num_arms": 1}])
def test_seeds_to_settle_refuses_the_impossible(arguments):
    with pytest.raises(ValueError, match="allowed"):
        statistics.seeds_to_settle(**arguments, sigma=1.0, comparisons=1)


def test_pairs_are_counted():
    assert len(statistics.all_pairs(statistics.fit(THREE))) == len(list(itertools.combinations(THREE, 2)))


@given(tables, st.integers(0, 4))
def test_one_arm_against_all_is_a_part_of_all_pairs(table, number):
    fitted = statistics.fit(as_values(table))
    arm = fitted.arms[number % len(fitted.arms)]
    for pair in (each for each in statistics.all_pairs(fitted) if arm in (each.a, each.b)):
        found = statistics.against_all(fitted, arm)[pair.b if pair.a == arm else pair.a]
        assert abs(found.value) == pytest.approx(abs(pair.value), abs=1e-9)
        assert found.p_holm == pytest.approx(pair.p_holm, abs=1e-9)
        assert found.half_width_holm == pytest.approx(pair.half_width_holm, rel=1e-6, abs=1e-9)


def test_one_arm_against_arms_of_other_seeds_has_no_interval():
    fitted = statistics.fit({"a": {0: 1.0, 1: 2.0}, "b": {2: 5.0, 3: 6.0}})
    assert statistics.against_all(fitted, "a")["b"].p_holm is None


def test_several_looks_widen_differences_as_bonferroni_does():
    values = {"a": {0: 1.0, 1: 2.0, 2: 4.0}, "b": {0: 2.0, 1: 2.5, 2: 6.0}}
    once, = statistics.all_pairs(statistics.fit(values))
    thrice, = statistics.all_pairs(statistics.fit(values, looks=3))
    expected = stats.t.ppf(1 - 0.05 / 3 / 2, 2) / stats.t.ppf(0.975, 2)
    assert thrice.half_width / once.half_width == pytest.approx(expected)
    assert thrice.half_width_holm == pytest.approx(thrice.half_width)
    assert thrice.is_told_apart == (thrice.p_holm <= 0.05 / 3)
