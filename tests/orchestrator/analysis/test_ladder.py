import math

import numpy as np
import pytest
from scipy import stats

from orchestrator.analysis import statistics
from orchestrator.analysis.ladder import Rung, agreement, compute_gain, project
from orchestrator.analysis.simulation.ladders import climb


def rung(means, *, flops=1e15, scale="tiny", noise=0.3, seed=0, seeds=4):
    rng = np.random.default_rng(seed)
    common = rng.normal(0, 0.1, seeds)
    values = {arm: dict(enumerate((mean + common + rng.normal(0, noise, seeds)).tolist()))
              for arm, mean in means.items()}
    return Rung(scale=scale, flops=flops, fitted=statistics.fit(values))


MEANS = {f"arm{i}": 40.0 + 2 * i for i in range(6)}


def raised(by, **changes):
    return {arm: mean + by + changes.get(arm, 0.0) for arm, mean in MEANS.items()}


def test_projections_agreement_and_gains_cover_in_simulated_ladders():
    climbs = [climb(np.random.default_rng(seed)) for seed in range(100)]
    for name in ("scores_covered", "leads_covered", "accuracy_covered", "tau_covered", "gains_covered"):
        assert np.mean([getattr(each, name) for each in climbs]) >= 0.93 - 0.04, name


def test_same_order_agrees_and_is_trusted():
    found = agreement(rung(MEANS), rung(raised(10), seed=1, scale="small"))
    assert found.tau.value > 0.9
    assert found.is_trusted
    assert found.sentence.startswith("tiny puts 100 %") or found.sentence.startswith("tiny puts 9")


def test_noise_alone_is_not_trusted():
    flat = dict.fromkeys(MEANS, 50.0)
    found = agreement(rung(flat, noise=2.0), rung(flat, noise=2.0, seed=5))
    assert not found.is_trusted
    assert "do not trust it, ranks may not agree at all" in found.sentence


def test_reversed_order_is_negative():
    upside_down = {arm: 100 - mean for arm, mean in MEANS.items()}
    found = agreement(rung(MEANS), rung(upside_down, seed=1))
    assert found.tau.high < 0
    assert found.accuracy.value < 0.1


def test_true_ranks_agree_as_kendall_says_where_there_is_next_to_no_noise():
    other = raised(5, arm1=3.0, arm4=-5.0)
    found = agreement(rung(MEANS, noise=1e-4), rung(other, noise=1e-4, seed=2))
    expected = stats.kendalltau(list(MEANS.values()), list(other.values())).statistic
    assert found.tau.value == pytest.approx(expected, abs=0.01)


def test_lines_without_noise_are_projected_onto_themselves():
    rungs = [rung({arm: mean + (3 + 0.2 * i) * step for i, (arm, mean) in enumerate(MEANS.items())},
                  noise=0.01, seed=step, flops=10.0 ** (15 + step)) for step in range(3)]
    found = project(rungs, 1e18, baseline="arm0")
    assert found.leads["arm5"].value == pytest.approx(10 + 3 * 1.0, abs=0.3)
    assert found.leads["arm5"].low < 13 < found.leads["arm5"].high
    assert found.scores["arm2"].low < 44 + 3 * 3.4 < found.scores["arm2"].high


def test_two_scales_can_be_projected_less_surely():
    rungs = [rung(raised(4 * step), flops=10.0 ** (15 + step), seed=step) for step in range(3)]
    wide, narrow = (project(own, 1e18, baseline="arm0").scores["arm1"] for own in (rungs[1:], rungs))
    assert wide.high - wide.low > narrow.high - narrow.low


def test_lead_of_one_decade_is_worth_ten_times_the_compute():
    rungs = [rung(raised(2 * step), flops=10.0 ** (15 + step), noise=0.01, seed=step) for step in range(3)]
    found = compute_gain(rungs, baseline="arm0")
    assert found["arm1"].value == pytest.approx(10, rel=0.2)
    assert found["arm1"].low < 10 < found["arm1"].high


def test_scores_that_do_not_rise_with_compute_make_no_finite_gain():
    rungs = [rung(raised(-step), flops=10.0 ** (15 + step), noise=0.01, seed=step) for step in range(3)]
    assert compute_gain(rungs, baseline="arm0")["arm1"].value == math.inf
    assert compute_gain(rungs, baseline="arm5")["arm1"].value == 0.0


@pytest.mark.parametrize(("flops", "baseline", "words"), [
    ((1e15,), "arm0", "two or more, rising"), ((1e16, 1e15), "arm0", "two or more, rising"),
    ((1e15, 1e16), "nobody", "baseline nobody")])
def test_what_is_no_ladder_is_refused(flops, baseline, words):
    with pytest.raises(ValueError, match=words):
        project([rung(MEANS, flops=each) for each in flops], 1e18, baseline=baseline)


def test_too_few_common_arms_are_refused():
    with pytest.raises(ValueError, match="2 arms have scores at all scales"):
        agreement(rung(MEANS), rung({"arm0": 1.0, "arm1": 2.0}))
