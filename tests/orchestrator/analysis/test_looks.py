import numpy as np
import pytest
from scipy import stats

from orchestrator.analysis.looks import schedule_of

EVERY_SEED = tuple(range(2, 9))


def t_tests(rng, num, most):
    """Return the p-values of t-tests on the first 2, 3, ..., `most` of `num` rows of noise: number -> p-values."""
    noise = rng.normal(size=(num, most))
    return {n: stats.ttest_1samp(noise[:, :n], 0.0, axis=1).pvalue for n in range(2, most + 1)}


@pytest.mark.parametrize("error", [0.05, 0.01, 0.002])
def test_all_looks_together_err_as_often_as_promised(error):
    schedule = schedule_of(EVERY_SEED)
    p = t_tests(np.random.default_rng(0), 100_000, 8)
    wrong = np.any([p[n] <= schedule.nominal(error, n) for n in EVERY_SEED], axis=0).mean()
    assert wrong == pytest.approx(error, abs=4 * np.sqrt(error / 100_000))


def test_looks_that_skip_numbers_err_as_often_as_promised():
    schedule = schedule_of((3, 5, 8))
    p = t_tests(np.random.default_rng(1), 100_000, 8)
    wrong = np.any([p[n] <= schedule.nominal(0.05, n) for n in (3, 5, 8)], axis=0).mean()
    assert wrong == pytest.approx(0.05, abs=4 * np.sqrt(0.05 / 100_000))


def test_one_look_is_the_ordinary_test():
    assert schedule_of(()).nominal(0.05, 7) == pytest.approx(0.05)
    assert schedule_of((4,)).repeated(np.array([0.03]), np.array([4])) == pytest.approx(0.03)


@pytest.mark.parametrize("error", [0.2, 0.05, 1e-3, 1e-6])
def test_repeated_p_value_is_the_error_at_which_a_look_would_just_have_rejected(error):
    schedule = schedule_of(EVERY_SEED)
    nominal = np.array([schedule.nominal(error, n) for n in EVERY_SEED])
    assert schedule.repeated(nominal, np.array(EVERY_SEED)) == pytest.approx(error, rel=1e-6)


def test_levels_are_never_stricter_than_equal_parts_at_the_last_look():
    assert schedule_of(EVERY_SEED).nominal(0.05, 8) > 0.05 / len(EVERY_SEED)


def test_looks_beyond_the_exact_ones_are_on_the_safe_side():
    within, beyond = schedule_of((8, 16, 32)), schedule_of((8, 16, 32, 64))
    assert 0 < beyond.nominal(0.05, 32) < within.nominal(0.05, 32)


@pytest.mark.parametrize("seeds", [(1, 2), (3, 3), (4, 2)])
def test_numbers_of_seeds_must_rise_from_two(seeds):
    with pytest.raises(ValueError, match="allowed: rising numbers from 2"):
        schedule_of(seeds)
