import pytest

from orchestrator.analysis import selection, statistics
from orchestrator.analysis.scores import TrialScores
from orchestrator.analysis.selection import Rule
from orchestrator.plan.arms import Arm
from orchestrator.study.constraint import parse_constraint

ALPHA = "sft.mixture.alpha.science"
ARMS = [Arm(key=key, name=f"alpha {key}", levels={ALPHA: float(key)}) for key in ("0", "0.1", "0.5")]
NOISE = [0.0, 3.0, -2.0]
WOBBLE = {"0": [0.1, -0.1, 0.0], "0.1": [-0.1, 0.0, 0.1], "0.5": [0.0, 0.1, -0.1]}


def trial(arm, seed, state="SUCCEEDED", **metrics):
    return TrialScores(trial_key=f"{arm} s{seed}", arm_key=arm, seed=seed, state=state, metrics=metrics, withheld={})


def trials(means, metric="science", scale=1.0):
    return [trial(arm, seed, **{metric: mean + NOISE[seed] + scale * WOBBLE[arm][seed]})
            for arm, mean in means.items() for seed in range(3)]


def with_mmbase(measured, means):
    return [trial(each.arm_key, each.seed, **each.metrics, mmbase=means[each.arm_key]) for each in measured]


def choose(measured, **rule):
    return selection.select(Rule(objective="science", baseline="0", **rule), ARMS, measured)


def test_arm_above_all_others_is_selected():
    verdict = choose(trials({"0": 10.0, "0.1": 30.0, "0.5": 60.0}))
    assert (verdict.kind, verdict.chosen, verdict.tied) == ("selected", "0.5", ("0.5",))
    assert verdict.sentence.startswith("alpha 0.5 is selected: highest science of 3 feasible arms, +30.0 [")


def test_seed_noise_does_not_hide_a_paired_difference():
    assert choose(trials({"0": 10.0, "0.1": 11.0, "0.5": 12.0})).kind == "selected"


@pytest.mark.parametrize(("prefer", "chosen"), [("first", "0.1"), ("smallest", "0.1"), ("largest", "0.5")])
def test_tie_is_broken_as_declared(prefer, chosen):
    verdict = choose(trials({"0": 10.0, "0.1": 30.0, "0.5": 30.05}), prefer=prefer)
    assert (verdict.kind, verdict.chosen, verdict.tied) == ("tied", chosen, ("0.1", "0.5"))
    assert f"is chosen as the {prefer}" in verdict.sentence


def test_tie_within_the_effect_says_that_the_effect_would_have_shown():
    verdict = choose(trials({"0": 10.0, "0.1": 30.0, "0.5": 30.05}), effect=5.0)
    assert verdict.kind == "tied"
    assert "An effect of 5 would have shown" in verdict.sentence


def test_interval_wider_than_the_effect_is_underpowered_with_seeds():
    verdict = choose(trials({"0": 10.0, "0.1": 30.0, "0.5": 31.0}, scale=20.0), effect=0.5)
    assert verdict.kind == "underpowered"
    assert verdict.num_seeds > 3
    assert f"about {verdict.num_seeds} seeds would settle it" in verdict.sentence


def test_arms_that_stay_open_are_those_whose_own_interval_includes_0():
    verdict = choose(trials({"0": 10.0, "0.1": 30.0, "0.5": 30.05}))
    assert verdict.open == ("0.1", "0.5")


def test_every_arm_but_the_best_must_be_beaten_and_none_pays_for_the_others():
    measured = trials({"0": 59.5, "0.1": 59.5, "0.5": 60.0})
    against = statistics.against_all(statistics.fit(selection.values_of(measured, "science")), "0.5")
    assert not any(each.is_told_apart for each in against.values())
    assert choose(measured).kind == "selected"


def test_arm_that_leads_only_where_the_other_is_missing_does_not_win():
    rows = {"0": {0: 10.0, 1: 20.0, 2: 60.0}, "0.1": {0: 12.0, 1: 22.01}, "0.5": {0: 1.0, 1: 11.0, 2: 12.0}}
    measured = [trial(arm, seed, science=score)
                for arm, own in rows.items() for seed, score in own.items()]
    assert "0.1" in choose(measured).tied


def test_one_seed_is_underpowered():
    measured = [each for each in trials({"0": 10.0, "0.1": 30.0, "0.5": 60.0}) if each.seed == 0]
    verdict = choose(measured)
    assert (verdict.kind, verdict.num_seeds) == ("underpowered", None)
    assert "no interval (n=1)" in verdict.sentence


def test_infeasible_arm_cannot_be_selected():
    measured = with_mmbase(trials({"0": 10.0, "0.1": 30.0, "0.5": 60.0}), {"0": 50.0, "0.1": 49.8, "0.5": 40.0})
    verdict = choose(measured, subject_to=(parse_constraint("mmbase >= baseline.mmbase - 0.5"),))
    assert (verdict.kind, verdict.chosen, verdict.feasible) == ("selected", "0.1", ("0", "0.1"))


def test_no_feasible_arm_names_the_nearest():
    measured = with_mmbase(trials({"0": 10.0, "0.1": 30.0, "0.5": 60.0}), {"0": 50.0, "0.1": 58.0, "0.5": 40.0})
    verdict = choose(measured, subject_to=(parse_constraint("mmbase >= 60"),))
    assert (verdict.kind, verdict.chosen) == ("infeasible", None)
    assert "alpha 0.1, misses it by 2.0 points" in verdict.sentence


def test_missing_scores_are_incomplete():
    measured = [*trials({"0": 10.0, "0.1": 30.0}), trial("0.5", 0)]
    verdict = choose(measured)
    assert (verdict.kind, verdict.num_missing) == ("incomplete", 1)
    assert verdict.sentence == "No verdict yet: 1 of 7 trials lack science."


def test_no_trials_are_incomplete():
    assert choose([]).sentence == "No verdict: there are no trials yet."


def test_diverged_trial_is_left_out_and_counted():
    measured = trials({"0": 10.0, "0.1": 30.0, "0.5": 60.0})
    lost = trial("0.5", 2, "DIVERGED")
    verdict = choose([*measured[:-1], lost])
    assert (verdict.kind, verdict.chosen, verdict.num_diverged) == ("selected", "0.5", 1)
    assert verdict.sentence.endswith("1 diverged trial is left out.")


def test_arm_that_always_diverged_cannot_be_chosen():
    lost = [trial("0.5", seed, "DIVERGED") for seed in range(3)]
    verdict = choose([*trials({"0": 10.0, "0.1": 30.0}), *lost])
    assert (verdict.chosen, verdict.num_diverged) == ("0.1", 3)


def test_relative_bound_without_baseline_scores_is_incomplete():
    measured = with_mmbase(trials({"0.1": 30.0, "0.5": 60.0}), {"0.1": 50.0, "0.5": 50.0})
    lost = [trial("0", seed, "DIVERGED") for seed in range(3)]
    verdict = choose([*measured, *lost], subject_to=(parse_constraint("mmbase >= baseline.mmbase"),))
    assert verdict.kind == "incomplete"
    assert verdict.sentence == "No verdict: the baseline has no scores. 3 diverged trials are left out."


def test_minimized_objective_takes_the_lowest():
    assert choose(trials({"0": 10.0, "0.1": 30.0, "0.5": 60.0}), is_maximized=False).chosen == "0"


def test_levels_that_are_not_numbers_are_preferred_by_position():
    arms = [Arm(key=key, name=key, levels={"mode": mode}) for key, mode in (("z", "single"), ("a", "dynamic"))]
    assert selection.preferred("smallest", arms).key == "z"
