import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from orchestrator.analysis import statistics
from orchestrator.analysis.looks import schedule_of

TWO = {"a": {0: 51.0, 1: 54.0, 2: 49.5, 3: 52.2}, "b": {0: 50.1, 1: 52.2, 2: 49.4, 3: 50.9}}
THREE = {**TWO, "c": {0: 55.3, 1: 57.0, 2: 52.9, 3: 56.1}}
UNBALANCED = {"a": {0: 51.0, 1: 54.0, 2: 49.5}, "b": {0: 50.1, 2: 49.4}, "c": {1: 57.0, 2: 52.9}}


def test_two_arms_equal_the_paired_t_test():
    (found,) = statistics.all_pairs(statistics.fit(TWO))
    paired = stats.ttest_rel(list(TWO["a"].values()), list(TWO["b"].values()))
    low, high = paired.confidence_interval(0.95)
    assert found.value == pytest.approx((low + high) / 2)
    assert found.half_width == pytest.approx((high - low) / 2)
    assert found.p == pytest.approx(paired.pvalue)


@pytest.mark.parametrize("values", [THREE, UNBALANCED])
def test_each_difference_is_a_paired_t_test_over_the_common_seeds(values):
    for found in statistics.differences(statistics.fit(values), [("a", "b"), ("a", "c")]):
        common = sorted(values[found.a].keys() & values[found.b].keys())
        first, second = ([values[arm][seed] for seed in common] for arm in (found.a, found.b))
        expected = stats.ttest_rel(first, second)
        low, high = expected.confidence_interval(0.95)
        assert (found.n, found.value) == (len(common), pytest.approx((low + high) / 2, nan_ok=True))
        assert found.half_width == (pytest.approx((high - low) / 2) if len(common) > 1 else None)


def test_noise_of_other_arms_does_not_widen_a_difference():
    loud = {**TWO, "c": {0: 10.0, 1: 90.0, 2: 35.0, 3: 70.0}}
    quiet, = statistics.differences(statistics.fit(TWO), [("a", "b")])
    beside_loud, = statistics.differences(statistics.fit(loud), [("a", "b")])
    assert beside_loud.half_width == pytest.approx(quiet.half_width)


def test_balanced_means_are_plain_means_with_their_own_t_interval():
    mean = statistics.fit(THREE).means["c"]
    own = list(THREE["c"].values())
    low, high = stats.t.interval(0.95, 3, np.mean(own), stats.sem(own))
    assert (mean.value, mean.n) == (pytest.approx(np.mean(own)), 4)
    assert mean.half_width == pytest.approx((high - low) / 2)


def test_pooled_deviation_has_a_minus_1_times_s_minus_1_degrees_of_freedom():
    fitted = statistics.fit(THREE)
    assert fitted.sigma == pytest.approx(math.sqrt(float((fitted.residuals ** 2).sum()) / ((3 - 1) * (4 - 1))))


def test_missing_seed_does_not_tilt_the_mean():
    values = {"a": {0: 10.0, 1: 20.0}, "b": {0: 11.0}, "c": {0: 12.0, 1: 22.0}}
    assert statistics.fit(values).means["b"].value == pytest.approx(16.0)


def test_one_seed_has_no_interval():
    fitted = statistics.fit({"a": {0: 1.0}, "b": {0: 2.0}})
    (difference,) = statistics.all_pairs(fitted)
    assert fitted.means["a"].interval_text == "n=1"
    assert (difference.value, difference.half_width, difference.p_holm) == (-1.0, None, None)
    assert not difference.is_told_apart


def test_arms_that_never_vary_are_told_apart_with_width_0():
    fixed = {"a": dict.fromkeys(range(3), 50.1), "b": dict.fromkeys(range(3), 51.1), "c": dict.fromkeys(range(3), 50.1)}
    by_pair = {(d.a, d.b): d for d in statistics.all_pairs(statistics.fit(fixed))}
    assert by_pair["a", "b"].half_width_holm == 0.0
    assert by_pair["a", "b"].is_told_apart
    assert not by_pair["a", "c"].is_told_apart


def test_equal_differences_on_a_grid_are_as_unsure_as_the_grid():
    found, = statistics.all_pairs(statistics.fit({"a": {0: 50.0, 1: 55.0}, "b": {0: 51.0, 1: 56.0}}))
    assert found.half_width == pytest.approx(stats.t.isf(0.025, 1) * 1.0 / math.sqrt(12) / math.sqrt(2))
    assert not found.excludes_zero


def test_arms_without_a_common_seed_have_a_value_and_no_interval():
    fitted = statistics.fit({"a": {0: 1.0, 1: 2.0}, "b": {2: 5.0, 3: 6.0}})
    (difference,) = statistics.all_pairs(fitted)
    assert (difference.value, difference.half_width, difference.n) == (pytest.approx(-4.0), None, 0)


def test_equal_differences_by_chance_are_not_taken_as_certain():
    steps = {"a": {0: 50.0, 1: 55.0}, "b": {0: 51.0, 1: 56.0}, "c": {0: 50.0, 1: 58.0}, "d": {0: 47.0, 1: 50.0}}
    found, = statistics.differences(statistics.fit(steps), [("a", "b")])
    assert found.half_width > 0
    assert not found.excludes_zero


def test_arms_with_one_common_seed_have_a_value_and_no_interval():
    found, = statistics.differences(statistics.fit({"a": {0: 1.0, 1: 2.0}, "b": {1: 5.0, 2: 6.0}}), [("a", "b")])
    assert (found.value, found.half_width, found.n) == (-3.0, None, 1)


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
    assume(all(statistics.fit(as_values(table, own)).floor > 0 for own in (None, shifts)))
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


def test_pairs_are_counted():
    assert len(statistics.all_pairs(statistics.fit(THREE))) == len(list(itertools.combinations(THREE, 2)))


@given(tables, st.integers(0, 4))
def test_one_arm_against_all_is_a_family_of_its_own(table, number):
    fitted = statistics.fit(as_values(table))
    arm = fitted.arms[number % len(fitted.arms)]
    pairs = [(arm, other) for other in fitted.arms if other != arm]
    assert tuple(statistics.against_all(fitted, arm).values()) == statistics.differences(fitted, pairs)


def test_several_looks_widen_a_difference():
    values = {"a": {0: 1.0, 1: 2.0, 2: 4.0}, "b": {0: 2.0, 1: 2.5, 2: 6.0}}
    once, = statistics.all_pairs(statistics.fit(values))
    often, = statistics.all_pairs(statistics.fit(values, looks=(2, 3, 4)))
    error = schedule_of((2, 3, 4)).nominal(0.05, 3)
    assert often.half_width / once.half_width == pytest.approx(stats.t.isf(error / 2, 2) / stats.t.isf(0.025, 2))
    assert often.p > once.p


@given(tables)
def test_interval_over_looks_excludes_0_exactly_when_its_p_value_does(table):
    for each in statistics.all_pairs(statistics.fit(as_values(table), looks=(2, 3, 4, 5))):
        margin = abs(each.value) - each.half_width
        assert each.excludes_zero == (margin > 0) or abs(margin) < 1e-3 * each.half_width
