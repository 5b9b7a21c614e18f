import numpy as np
import pytest

from orchestrator.analysis import statistics
from orchestrator.analysis.curve import smooth

LEVELS = {"0": 0.0, "0.1": 0.1, "0.2": 0.2, "0.5": 0.5, "1": 1.0, "2": 2.0}


def rise_and_fall(level, peak=0.5):
    return 50 + 8 * np.exp(-(np.arcsinh(10 * level) - np.arcsinh(10 * peak)) ** 2)


def measured(truth, *, seed=0, noise=1.0, seeds=4):
    rng = np.random.default_rng(seed)
    common = rng.normal(0, 2, seeds)
    common -= common.mean()
    return statistics.fit({arm: dict(enumerate(truth(level) + common + rng.normal(0, noise, seeds)))
                           for arm, level in LEVELS.items()})


def test_band_holds_the_true_curve():
    held = []
    for seed in range(60):
        curve = smooth(measured(rise_and_fall, seed=seed, noise=1.5), LEVELS)
        truth = rise_and_fall(curve.levels)
        held.append(np.mean((curve.low <= truth) & (truth <= curve.high)))
    assert 0.90 <= np.mean(held) <= 0.99


def test_peak_and_best_arm_of_a_clear_curve_are_found():
    curve = smooth(measured(rise_and_fall, noise=0.3), LEVELS)
    assert curve.is_best["0.5"] > 0.95
    assert curve.peak[0] <= 0.5 <= curve.peak[1]
    assert curve.peak[1] - curve.peak[0] < 0.7


def test_probabilities_are_right_as_often_as_they_say():
    stated, hits = [], []
    for seed in range(100):
        peak = float(np.random.default_rng(1000 + seed).choice(list(LEVELS.values())))
        curve = smooth(measured(lambda level, peak=peak: rise_and_fall(level, peak), seed=seed, noise=3.0), LEVELS)
        likely = max(curve.is_best, key=curve.is_best.get)
        stated, hits = [*stated, curve.is_best[likely]], [*hits, LEVELS[likely] == peak]
    assert abs(np.mean(stated) - np.mean(hits)) < 0.12


def test_arms_that_are_alike_share_the_probability():
    curve = smooth(measured(lambda level: 50.0, noise=2.0), LEVELS)
    assert sum(curve.is_best.values()) == pytest.approx(1.0)
    assert max(curve.is_best.values()) < 0.8


def test_lowest_score_is_best_where_the_metric_is_minimized():
    curve = smooth(measured(lambda level: 100 - rise_and_fall(level), noise=0.3), LEVELS, is_maximized=False)
    assert curve.is_best["0.5"] > 0.95


def test_same_scores_make_the_same_picture():
    first, second = (smooth(measured(rise_and_fall), LEVELS) for _ in range(2))
    assert (first.low == second.low).all()


def test_points_run_from_the_lowest_to_the_highest_level():
    curve = smooth(measured(rise_and_fall), LEVELS)
    assert (curve.levels[0], curve.levels[-1]) == (0.0, pytest.approx(2.0))


@pytest.mark.parametrize(("levels", "seeds", "words"), [
    (dict(list(LEVELS.items())[:3]), 3, "3 levels have scores"), (LEVELS | {"0": -1.0}, 3, "a level is -1"),
    (LEVELS, 1, "one seed")])
def test_what_cannot_be_drawn_is_refused(levels, seeds, words):
    with pytest.raises(ValueError, match=words):
        smooth(measured(rise_and_fall, seeds=seeds), levels)
