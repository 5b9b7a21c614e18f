import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.regression.mixed_linear_model import MixedLM

from orchestrator.analysis import crossed, statistics
from orchestrator.analysis.crossed import Answers, advise, answers_of, half_width


def made_up(*, num_arms=2, num_seeds=4, num_pictures=30, per_picture=2, arm_item=1.0, seed=0):
    """Draw answers, right or wrong, of arms that are equally good at the population of pictures."""
    rng = np.random.default_rng(seed)
    shape = (num_arms, num_seeds, num_pictures)
    logits = rng.normal(0.4, 1.0, num_pictures) + rng.normal(0, arm_item, (num_arms, 1, num_pictures))
    logits = logits + rng.normal(0, 0.2, (num_arms, num_seeds, 1)) + rng.normal(0, 0.5, shape)
    right = rng.random((*shape, per_picture)) < 1 / (1 + np.exp(-logits))[..., None]
    return right.reshape(num_arms, num_seeds, num_pictures * per_picture) * 100.0


def by_picture(scores, per_picture=2):
    arms = [f"arm{i}" for i in range(len(scores))]
    return answers_of(arms, scores, np.repeat(np.arange(scores.shape[2] // per_picture), per_picture).tolist())


def fitted(scores):
    means = scores.mean(axis=2)
    return statistics.fit({f"arm{i}": {s: float(x) for s, x in enumerate(own) if not np.isnan(x)}
                           for i, own in enumerate(means)})


def test_parts_of_a_trial_sum_to_0_and_items_of_a_picture_stay_together():
    scores = made_up()
    answers = by_picture(scores)
    assert answers.parts.sum(axis=2) == pytest.approx(0.0, abs=1e-9)
    assert answers.scores[1, 2, 3] == pytest.approx(scores[1, 2, 6:8].mean())


def test_order_of_items_changes_nothing():
    scores, pictures = made_up(), np.repeat(np.arange(30), 2)
    shuffled = np.random.default_rng(1).permutation(60)
    moved = answers_of(["arm0", "arm1"], scores[:, :, shuffled], pictures[shuffled].tolist())
    assert crossed.item_variance(moved, {"arm0": 1.0, "arm1": -1.0}) == pytest.approx(
        crossed.item_variance(by_picture(scores), {"arm0": 1.0, "arm1": -1.0}))


def test_item_variance_is_that_of_the_two_way_analysis_of_variance():
    scores = made_up(per_picture=1)
    d = scores[0] - scores[1]
    num_seeds, num_pictures = d.shape
    mean_picture = num_seeds * d.mean(axis=0).var(ddof=1)
    rest = d - d.mean(axis=0) - d.mean(axis=1, keepdims=True) + d.mean()
    mean_rest = (rest ** 2).sum() / ((num_seeds - 1) * (num_pictures - 1))
    found = crossed.item_variance(by_picture(scores, 1), {"arm0": 1.0, "arm1": -1.0})
    assert found == pytest.approx((mean_picture - mean_rest) / (num_seeds * num_pictures))


def test_components_are_those_of_the_mixed_model_of_statsmodels():
    scores = made_up(num_arms=3, num_seeds=3, num_pictures=12, per_picture=4, seed=3)
    found = crossed.components(by_picture(scores, 4))
    cells = by_picture(scores, 4).scores
    rows = pd.DataFrame([(arm, f"{arm}-{seed}", f"p{picture}", f"{arm}-p{picture}", cells[arm, seed, picture])
                         for arm, seed, picture in np.ndindex(cells.shape)],
                        columns=["arm", "trial", "picture", "cell", "score"])
    variance = {name: f"0 + C({name})" for name in ("trial", "picture", "cell")}
    model = MixedLM.from_formula("score ~ C(arm)", rows, groups=np.ones(len(rows)), vc_formula=variance, re_formula="0")
    expected = model.fit(reml=True, method="lbfgs")
    by_name = dict(zip(expected.model.exog_vc.names, expected.vcomp, strict=True))
    assert found.rest == pytest.approx(expected.scale, rel=1e-2)
    assert (found.seed, found.item, found.arm_item) == pytest.approx(
        (by_name["trial"], by_name["picture"], by_name["cell"]), rel=2e-2, abs=0.5)


def test_population_of_items_covers_where_these_items_alone_mislead():
    weights, misled, wrong = {"arm0": 1.0, "arm1": -1.0}, 0, 0
    for seed in range(400):
        scores = made_up(num_seeds=5, seed=seed)
        pair = statistics.all_pairs(fitted(scores))
        found, = crossed.for_population(fitted(scores), pair, [crossed.item_variance(by_picture(scores), weights)], 30)
        misled, wrong = misled + pair[0].excludes_zero, wrong + found.excludes_zero
    assert misled / 400 > 0.10
    assert wrong / 400 <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 400)


def test_interval_for_the_population_excludes_0_exactly_when_its_p_value_does():
    scores = made_up(num_arms=4)
    pairs = statistics.all_pairs(fitted(scores))
    answers = by_picture(scores)
    variances = [crossed.item_variance(answers, each.weights) for each in pairs]
    found = crossed.for_population(fitted(scores), pairs, variances, 30)
    assert [each.excludes_zero for each in found] == [abs(each.value) > each.half_width for each in found]
    assert [each.is_told_apart for each in found] == [abs(each.value) > each.half_width_holm for each in found]
    assert all(own.half_width >= these.half_width for own, these in zip(found, pairs, strict=True))


def test_width_without_variance_of_items_is_that_of_the_paired_t_test():
    assert half_width(0.7, 5, 0.0, 40) == pytest.approx(0.7 * stats.t.isf(0.025, 4))


def test_one_common_seed_leaves_no_interval():
    scores = made_up(num_seeds=2)
    scores[0, 1] = scores[1, 1] = np.nan
    answers = by_picture(scores)
    variance = crossed.item_variance(answers, {"arm0": 1.0, "arm1": -1.0})
    found, = crossed.for_population(fitted(scores), statistics.all_pairs(fitted(scores)), [variance], 30)
    assert (variance, found.half_width, found.p_holm) == (None, None, None)
    assert crossed.components(answers) is None


def test_certain_difference_stays_certain():
    scores = np.repeat(np.array([[[100.0] * 10], [[0.0] * 10]]), 2, axis=1)
    pair = statistics.all_pairs(fitted(scores))
    found, = crossed.for_population(fitted(scores), pair, [0.0], 10)
    assert found.is_told_apart


@pytest.mark.parametrize(("change", "words"), [
    (lambda scores: scores[:, :, :-1], "allowed: 2 arms x seeds x 60 items"),
    (lambda scores: np.where(np.arange(60) == 5, np.nan, scores), "lacks some of the items")])
def test_incomplete_answers_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        answers_of(["a", "b"], change(made_up()), np.repeat(np.arange(30), 2).tolist())


def test_answers_of_trials_are_collected_into_one_table():
    own = [("q1", "p", 100.0), ("q2", "p", 0.0), ("q3", "q", 50.0)]
    answers = crossed.collect([("a", 0, own), ("b", 0, own), ("a", 3, own)])
    assert (answers.arms, answers.num_pictures) == (("a", "b"), 2)
    assert answers.scores[0, 1].tolist() == [50.0, 50.0]
    assert np.isnan(answers.scores[1, 1]).all()


@pytest.mark.parametrize(("trials", "words"), [
    ([], "no trial has answers"),
    ([("a", 0, [("q1", "p", 1.0)]), ("b", 0, [("q2", "p", 1.0)])], "trials answered different items")])
def test_trials_without_common_items_are_refused(trials, words):
    with pytest.raises(ValueError, match=words):
        crossed.collect(trials)


def test_advice_meets_the_effect_and_one_less_does_not():
    found = advise(2.0, error=1.5, num_seeds=3, variance=0.4, num_pictures=60)
    deviation = 1.5 * np.sqrt(3)
    widths = [half_width(deviation / np.sqrt(n), n, 0.4, 60) for n in (found.seeds - 1, found.seeds)]
    assert widths[0] > 2.0 >= widths[1]
    assert (found.add, found.pictures) == ("seeds", None)


@pytest.mark.parametrize(("error", "variance", "add"), [
    (0.1, 0.01, "nothing"), (0.1, 4.0, "pictures"), (3.0, 4.0, "both"), (1.0, 0.1, "seeds"), (0.3, 0.5, "pictures")])
def test_advice_names_what_is_short(error, variance, add):
    assert advise(1.5, error=error, num_seeds=4, variance=variance, num_pictures=40).add == add


def test_advice_refuses_no_effect():
    with pytest.raises(ValueError, match="above 0 points"):
        advise(0.0, error=1.0, num_seeds=3, variance=1.0, num_pictures=30)


def test_forty_arms_of_six_thousand_items_fit_into_memory():
    scores = np.random.default_rng(0).random((40, 8, 6000)) * 100
    answers = by_picture(scores, 4)
    assert isinstance(answers, Answers)
    assert answers.parts.nbytes + answers.scores.nbytes + scores.nbytes < 100e6
    pairs = statistics.all_pairs(fitted(scores))
    assert len([crossed.item_variance(answers, each.weights) for each in pairs]) == 780
