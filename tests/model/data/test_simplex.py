"""Points of a simplex: coordinates without a redundant one, and samples around a prior within bounds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from model.config.stages import Alpha, GroupWeights, SftMixture
from model.data.mixture import mixture_of, shares
from model.data.simplex import repetition_caps, sampled, shares_of, sticks_of

PRIOR = {"general": 0.3, "text_rich": 0.4, "science": 0.1, "math": 0.2}
FINAL = SftMixture(alpha=Alpha(text_rich=3.29, refer_ground=2.0, math=0.5, code=0.2, science=0.1),
                   weights=GroupWeights(single=0.8, multi=0.1, text=0.1))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=7))
def test_sticks_are_shares_that_sum_to_one(sticks):
    found = shares_of(sticks)
    assert len(found) == len(sticks) + 1
    assert min(found) >= 0
    assert sum(found) == pytest.approx(1, abs=1e-9)


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=8))
def test_sticks_and_shares_are_inverse(parts):
    wanted = [part / sum(parts) for part in parts]
    assert shares_of(sticks_of(wanted)) == pytest.approx(wanted, abs=1e-9)


def test_uniform_sticks_are_uniform_over_the_simplex():
    """Each share of a uniform point of a simplex of 4 is Beta(1, 3); Kolmogorov-Smirnov at p = 0.001."""
    random = np.random.default_rng(0)
    found = np.array([shares_of(random.uniform(size=3)) for _ in range(2000)])
    assert all(stats.kstest(found[:, place], stats.beta(1, 3).cdf).pvalue > 0.001 for place in range(4))


@pytest.mark.parametrize("wrong", [[0.5, 0.6], [-0.1, 1.1]])
def test_what_is_no_point_of_the_simplex_is_refused(wrong):
    with pytest.raises(ValueError, match="summing to 1"):
        sticks_of(wrong)


def test_samples_have_the_mean_and_the_spread_of_the_dirichlet():
    found = np.array([list(sampled(PRIOR, concentration=20, index=index).values()) for index in range(1500)])
    mean = np.array(list(PRIOR.values()))
    spread = np.sqrt(mean * (1 - mean) / 21)
    assert found.mean(axis=0) == pytest.approx(mean, abs=4 * spread.max() / 1500**0.5)
    assert found.std(axis=0) == pytest.approx(spread, rel=0.1)


def test_a_sample_is_a_function_of_seed_and_index():
    assert sampled(PRIOR, concentration=5, seed=1, index=9) == sampled(PRIOR, concentration=5, seed=1, index=9)
    assert len({tuple(sampled(PRIOR, concentration=5, seed=seed, index=index).values()) for seed in (0, 1) for index in range(5)}) == 10


@settings(deadline=None, max_examples=25)
@given(st.floats(0.5, 200), st.tuples(*[st.floats(0, 0.2)] * 4), st.tuples(*[st.floats(0.26, 1)] * 4), st.integers(0, 99))
def test_samples_keep_within_bounds_however_tight(concentration, low, high, index):
    bounds = {name: (least, most) for name, least, most in zip(PRIOR, low, high, strict=True)}
    found = sampled(PRIOR, concentration=concentration, bounds=bounds, index=index)
    assert sum(found.values()) == pytest.approx(1, abs=1e-9)
    assert all(bounds[name][0] - 1e-9 <= share <= bounds[name][1] + 1e-9 for name, share in found.items())


def test_tight_bounds_give_the_cut_off_distribution():
    """Against rejection over many samples, where a share must be above what it is in one of a thousand."""
    random = np.random.default_rng(1)
    reference = random.dirichlet([2, 2, 2], size=400_000)
    reference = reference[reference[:, 0] > 0.85]
    prior = {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}
    found = np.array([list(sampled(prior, concentration=6, bounds={"a": (0.85, 1.0)}, index=index).values()) for index in range(250)])
    assert stats.ks_2samp(found[:, 0], reference[:, 0]).pvalue > 0.001
    assert stats.ks_2samp(found[:, 1], reference[:, 1]).pvalue > 0.001


def test_caps_bound_the_passes():
    caps = repetition_caps({"general": 542_300, "science": 8_200, "math": 0}, samples=5_888_000, most_passes=8)
    assert {name: most for name, (_, most) in caps.items()} == pytest.approx({"general": 0.73682, "science": 0.01114, "math": 1}, abs=1e-5)
    found = sampled({"general": 0.5, "science": 0.2, "math": 0.3}, concentration=10, bounds=caps)
    assert found["science"] * 5_888_000 / 8_200 <= 8 + 1e-6


@pytest.mark.parametrize(("bounds", "message"), [
    ({"science": (0.6, 0.5)}, "0 <= low <= high <= 1"), ({"science": (0.6, 1), "math": (0.6, 1)}, "sum to at most 1"),
    ({name: (0.0, 0.2) for name in PRIOR}, "highs to at least 1"), ({"sience": (0, 1)}, "the prior does not have"),
])
def test_bounds_that_no_mixture_meets_are_refused(bounds, message):
    with pytest.raises(ValueError, match=message):
        sampled(PRIOR, concentration=5, bounds=bounds)


def test_the_published_mixture_goes_to_shares_and_back():
    assert mixture_of(shares(FINAL)).alpha == FINAL.alpha
    assert shares(mixture_of(shares(FINAL))) == pytest.approx(shares(FINAL), abs=1e-6)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**6))
def test_sampled_shares_become_a_mixture_with_those_shares(index):
    prior = {**PRIOR, "multi_image": 0.1, "text_only": 0.1}
    found = sampled(prior, concentration=8, bounds={"general": (0.02, 1)}, index=index)
    back = shares(mixture_of(found))
    assert {name: back.get(name, 0.0) for name in found} == pytest.approx(found, abs=2e-5)


def test_a_mixture_without_single_image_data_is_one():
    assert shares(mixture_of({"multi_image": 0.25, "text_only": 0.75})) == pytest.approx({"multi_image": 0.25, "text_only": 0.75})


@pytest.mark.parametrize("wrong", [{"science": 1.0}, {"general": 0.5}, {"general": 0.5, "sience": 0.5}])
def test_shares_that_are_no_mixture_are_refused(wrong):
    with pytest.raises(ValueError, match="shares"):
        mixture_of(wrong)
