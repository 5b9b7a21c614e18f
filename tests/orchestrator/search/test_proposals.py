import json
import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import search
from orchestrator.search import ObservedTrial, space
from orchestrator.study.study import Search, Study

ALPHA = "sft.mixture.alpha.science"
WEIGHTS = "sft.mixture.weights"
SAMPLERS = ["tpe", "gp", "nsga2", "nsga3", "qmc", "random"]
ONE = {ALPHA: {"log_float": [0.02, 2]}}
EVERYTHING = {
    ALPHA: {"log_float": [0.02, 2]}, "sft.lr": {"float": [0.0, 0.1]}, "sft.steps": {"int": [10, 20]},
    "sft.images.mode": {"choice": ["single", "dynamic"]}, WEIGHTS: {"simplex": ["single", "multi", "text"]},
    "sft.images.grid": {"grid_range": {"n_min": [1, 4], "n_max": [2, 9]}}}


def searching(parameters=ONE, **fields):
    return Search.model_validate_json(json.dumps({"trials": 20, "parameters": parameters, **fields}))


def run(spec, num_arms, objective=lambda levels: (levels[ALPHA],), seed=0):
    history = []
    for _ in range(num_arms):
        levels = search.propose(spec, history, seed=seed)
        history.append(ObservedTrial(levels=levels, values=objective(levels)))
    return history


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_same_record_and_seed_give_the_same_proposal(sampler):
    spec = searching(EVERYTHING, sampler=sampler)
    history = run(spec, 7)
    assert search.propose(spec, history, seed=0) == search.propose(spec, history, seed=0)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_proposals_differ_along_the_record(sampler):
    history = run(searching(sampler=sampler), 8)
    assert len({each.levels[ALPHA] for each in history}) == 8


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_arms_in_flight_are_not_proposed_again(sampler):
    spec = searching({"sft.images.mode": {"choice": ["single", "static", "dynamic"]}}, sampler=sampler)
    flying = [ObservedTrial(levels={"sft.images.mode": mode}, values=None) for mode in ("single", "dynamic")]
    assert search.propose(spec, flying, seed=0) == {"sft.images.mode": "static"}


def test_space_without_anything_new_gives_none():
    spec = searching({"sft.steps": {"int": [1, 2]}})
    assert search.propose(spec, [ObservedTrial(levels={"sft.steps": n}, values=(1.0,)) for n in (1, 2)], seed=0) is None


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("objectives", [[{"maximize": "mmbase"}, {"maximize": "refer_ground"}]])
def test_several_objectives_with_constraints(sampler, objectives):
    spec = searching(sampler=sampler, objectives=objectives)
    history = [ObservedTrial(levels={ALPHA: 0.05 * (i + 1)}, values=(float(i), -float(i)), violations=(i - 5.0,)) for i in range(12)]
    assert 0.02 <= search.propose(spec, history, seed=0)[ALPHA] <= 2


@pytest.mark.parametrize(("kind", "low", "high"), [
    ("float", 1.0001, 1.0009), ("log_float", 1.0001, 1.0009), ("float", 99.9, 100), ("float", -5.002, -5.001),
    ("float", 0.0123456, 0.0123457)])
@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc"])
def test_a_range_narrower_than_three_digits_is_searched(sampler, kind, low, high):
    history = run(searching({ALPHA: {kind: [low, high]}}, sampler=sampler), 8)
    assert len({each.levels[ALPHA] for each in history}) == 8
    assert all(low <= each.levels[ALPHA] <= high for each in history)


@pytest.mark.parametrize(("bounds", "value", "level"), [
    ((0.02, 2), 0.123456, 0.123), ((0.0, 1.0), 0.98765, 0.988), ((1e-5, 1e-4), 2.34567e-5, 2.35e-5), ((50, 100), 77.777, 77.8),
    ((90, 100), 95.4321, 95.4), ((1, 1.12), 1.05678, 1.057), ((1.0001, 1.0009), 1.00054321, 1.000543)])
def test_levels_have_three_digits_and_as_many_more_as_the_range_is_narrow(bounds, value, level):
    parameters = searching({ALPHA: {"float": list(bounds)}}).parameters
    assert space.levels_of(parameters, {f"{ALPHA}|value": value}) == {ALPHA: level}


def test_tpe_finds_a_peak_that_random_draws_miss():
    def peak(levels):
        return (-abs(math.log10(levels[ALPHA] / 0.3)),)

    best = max(run(searching(sampler="tpe"), 30, peak), key=lambda each: each.values)
    assert best.levels[ALPHA] == pytest.approx(0.3, rel=0.1)


def test_nsga2_inherits_from_earlier_generations():
    spec = searching({f"sft.mixture.alpha.{name}": {"float": [0.0, 1.0]} for name in ("science", "math", "code", "text_rich")},
                     sampler="nsga2", objectives=[{"maximize": "mmbase"}, {"maximize": "knowledge"}])
    history = run(spec, 24, lambda levels: (levels[ALPHA], -levels[ALPHA]))
    parents = {value for each in history[:16] for value in each.levels.values()}
    assert sum(value in parents for each in history[16:] for value in each.levels.values()) > 12


@pytest.mark.parametrize("sampler", ["tpe", "gp", "nsga2", "nsga3"])
def test_refused_arms_steer_the_sampler_before_any_score(sampler):
    spec = searching(sampler=sampler)
    tried = (0.3, 0.5, 0.7, 0.9, 1.2, 1.5, 1.8)
    refused = [ObservedTrial(levels={ALPHA: a}, values=None, violations=(a - 0.1,), is_refused=True) for a in tried]
    fine = [ObservedTrial(levels={ALPHA: a}, values=(a,), violations=(a - 0.1,)) for a in (0.03, 0.05, 0.08)]
    known = [search.propose(spec, fine + refused, seed=seed)[ALPHA] for seed in range(8)]
    unknown = [search.propose(spec, fine, seed=seed)[ALPHA] for seed in range(8)]
    assert sum(alpha > 0.2 for alpha in known) <= sum(alpha > 0.2 for alpha in unknown)
    assert all(0.02 <= alpha <= 2 for alpha in known)


def test_tpe_keeps_to_the_feasible_side():
    spec = searching(sampler="tpe")
    history = [ObservedTrial(levels={ALPHA: a}, values=(a,), violations=(a - 0.1,)) for a in (0.03, 0.05, 0.08, 0.2, 0.5, 0.9, 1.5)]
    found = [search.propose(spec, history, seed=seed)[ALPHA] for seed in range(10)]
    assert sum(alpha <= 0.2 for alpha in found) >= 6


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("fields", ["values", "violations"])
def test_non_finite_numbers_are_refused(value, fields):
    observed = ObservedTrial(**{"levels": {ALPHA: 0.1}, "values": (1.0,), fields: (value,)})
    with pytest.raises(ValueError, match="allowed: a finite number"):
        search.propose(searching(), [observed], seed=0)


def test_wrong_number_of_values_is_refused():
    with pytest.raises(ValueError, match="has 2 values; allowed: 1"):
        search.propose(searching(), [ObservedTrial(levels={ALPHA: 0.1}, values=(1.0, 2.0))], seed=0)


def test_baseline_outside_the_range_is_kept_from_the_sampler():
    baseline = ObservedTrial(levels={ALPHA: 0}, values=(99.0,))
    assert search.propose(searching(), [baseline], seed=0)[ALPHA] >= 0.02


@given(st.integers(0, 10**6), st.sampled_from(["random", "qmc", "tpe"]))
def test_proposals_are_within_bounds_and_can_be_read_back(seed, sampler):
    spec = searching(EVERYTHING, sampler=sampler)
    levels = search.propose(spec, [], seed=seed)
    n_min, n_max = levels["sft.images.grid"]
    assert 1 <= n_min <= min(4, n_max)
    assert 2 <= n_max <= 9
    assert sum(levels[f"{WEIGHTS}.{name}"] for name in ("single", "multi", "text")) == pytest.approx(1, abs=1e-9)
    again = space.levels_of(spec.parameters, space.params_of(spec.parameters, levels))
    assert again.pop("sft.images.grid") == levels.pop("sft.images.grid")
    assert again == pytest.approx(levels, abs=2e-3)


def test_simplex_is_drawn_uniformly():
    spec = searching({WEIGHTS: {"simplex": ["single", "multi", "text"]}}, sampler="random")
    drawn = [search.propose(spec, [], seed=seed) for seed in range(600)]
    for name in ("single", "multi", "text"):
        assert sum(each[f"{WEIGHTS}.{name}"] for each in drawn) / 600 == pytest.approx(1 / 3, abs=0.04)


def test_observe_reads_objectives_and_constraints_from_the_study():
    study = Study.model_validate_json(json.dumps({
        "name": "s", "question": "q", "recipe": "r", "search": {"trials": 2, "parameters": ONE},
        "select": {"maximize": "knowledge", "subject_to": ["mmbase >= baseline.mmbase - 0.5"], "baseline": {ALPHA: 0}}}))
    found = search.observe(study, {ALPHA: 0.1}, {"knowledge": 60.0, "mmbase": 48.0}, {"mmbase": 50.0})
    assert (found.values, found.violations) == ((60.0,), (1.5,))
    assert search.observe(study, {ALPHA: 0.1}, {"mmbase": 48.0}, {"mmbase": 50.0}).values is None


def test_proposal_by_tpe_imports_no_torch():
    program = ("import sys, json; from orchestrator import search; from orchestrator.study.study import Search; "
               f"spec = Search.model_validate_json('{json.dumps({'trials': 2, 'parameters': ONE})}'); "
               "history = [search.ObservedTrial(levels={'" + ALPHA + "': 0.1 * i}, values=(i,)) for i in range(1, 9)]; "
               "assert search.propose(spec, history, seed=0); print('torch' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_only_gp_needs_torch(sampler):
    assert search.needs_torch(searching(sampler=sampler)) == (sampler == "gp")
