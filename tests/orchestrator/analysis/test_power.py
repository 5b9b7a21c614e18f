import math

import numpy as np
import pytest
from scipy import stats

from orchestrator.analysis.power import seeds_to_settle


def test_seeds_to_settle_match_power_by_simulation():
    needed = seeds_to_settle(1.0, deviation=math.sqrt(2))
    rng = np.random.default_rng(0)

    def power(n):
        noise = rng.normal(1.0, math.sqrt(2), (4000, n))
        return np.mean(stats.ttest_1samp(noise, 0, axis=1).pvalue < 0.05)

    assert power(needed) >= 0.78
    assert power(needed - 1) <= 0.82


def test_stricter_tests_need_more_seeds():
    needed = [seeds_to_settle(1.0, deviation=1.0, error=error) for error in (0.05, 0.01, 0.001)]
    assert needed == sorted(set(needed))


@pytest.mark.parametrize(("effect", "deviation", "expected"), [(1.0, 0.0, 2), (1000.0, 0.1, 2), (0.001, 10.0, None)])
def test_seeds_to_settle_at_the_extremes(effect, deviation, expected):
    assert seeds_to_settle(effect, deviation=deviation) == expected


@pytest.mark.parametrize(("effect", "deviation"), [(0.0, 1.0), (1.0, -1.0)])
def test_seeds_to_settle_refuses_the_impossible(effect, deviation):
    with pytest.raises(ValueError, match="allowed"):
        seeds_to_settle(effect, deviation=deviation)
