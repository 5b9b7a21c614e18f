import numpy as np
import pytest
from scipy import stats

from orchestrator.analysis import noise, statistics


def study(deviations, *, seeds, seed=0):
    """Return made-up scores: arm -> seed -> score, one deviation an arm."""
    rng = np.random.default_rng(seed)
    common = rng.normal(50, 3, seeds)
    return {f"arm{i}": dict(enumerate(common + rng.normal(0, deviation, seeds)))
            for i, deviation in enumerate(deviations)}


def test_arm_of_six_times_the_noise_is_flagged():
    found, = noise.noisy_arms(statistics.fit(study([1, 1, 1, 1, 6], seeds=5)))
    assert (found.arm, found.ratio > 2) == ("arm4", True)
    assert "times as much between seeds" in found.sentence


def test_equal_arms_are_flagged_in_at_most_five_percent_of_studies():
    flagged = [bool(noise.noisy_arms(statistics.fit(study([1] * 4, seeds=4, seed=seed)))) for seed in range(400)]
    assert np.mean(flagged) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_two_arms_cannot_be_compared_in_noise():
    assert noise.noisy_arms(statistics.fit(study([1, 9], seeds=5))) == ()


def test_one_seed_says_nothing_about_noise():
    assert noise.noisy_arms(statistics.fit(study([1, 1, 1], seeds=1))) == ()


def test_rank_check_is_the_signed_rank_test_of_scipy():
    values = study([1, 2], seeds=8)
    found = noise.rank_check(statistics.fit(values), "arm0", "arm1")
    expected = stats.wilcoxon(list(values["arm0"].values()), list(values["arm1"].values()), method="exact")
    assert found.p == pytest.approx(expected.pvalue)
    assert found.n == 8


def test_rank_check_of_many_seeds_is_the_normal_approximation():
    values = study([1, 2], seeds=20)
    found = noise.rank_check(statistics.fit(values), "arm0", "arm1")
    expected = stats.wilcoxon(list(values["arm0"].values()), list(values["arm1"].values()), method="approx")
    assert found.p == pytest.approx(expected.pvalue)


def test_rank_check_counts_seeds_that_agree_and_leaves_ties_out():
    values = {"a": {0: 3.0, 1: 4.0, 2: 5.0, 3: 1.0}, "b": {0: 1.0, 1: 1.0, 2: 1.0, 3: 1.0}}
    found = noise.rank_check(statistics.fit(values), "a", "b")
    assert (found.num_agreeing, found.n, found.p) == (3, 4, 0.25)


def test_equal_scores_have_no_ranks():
    values = {"a": {0: 3.0, 1: 4.0}, "b": {0: 3.0, 1: 4.0}}
    assert noise.rank_check(statistics.fit(values), "a", "b").p == 1.0


def test_shrunk_winner_is_not_too_high_on_average():
    raw, shrunk = [], []
    for seed in range(300):
        truth = np.random.default_rng(seed).normal(50, 1, 6)
        rng = np.random.default_rng(10_000 + seed)
        fitted = statistics.fit({f"arm{i}": dict(enumerate(mean + rng.normal(0, 2, 4)))
                                 for i, mean in enumerate(truth)})
        best = max(range(6), key=lambda i, fitted=fitted: fitted.means[f"arm{i}"].value)
        raw.append(fitted.means[f"arm{best}"].value - truth[best])
        shrunk.append(noise.shrunk_means(fitted)[f"arm{best}"] - truth[best])
    assert np.mean(raw) > 0.4
    assert abs(np.mean(shrunk)) < 0.15
    assert np.square(shrunk).mean() < np.square(raw).mean()


def test_means_without_noise_are_not_shrunk():
    fitted = statistics.fit({"a": {0: 1.0, 1: 2.0}, "b": {0: 4.0, 1: 5.0}, "c": {0: 9.0, 1: 10.0}})
    assert noise.shrunk_means(fitted) == pytest.approx({arm: mean.value for arm, mean in fitted.means.items()})
