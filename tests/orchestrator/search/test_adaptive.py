"""Studies that grow: arms of a search, rungs, seeds where they matter; nothing is kept outside the ledger."""

import hashlib
from collections import Counter
from concurrent.futures import Future

import pytest

from model.evaluation.benchmarks.registry import SUITES
from orchestrator.driver.loop import Exit, drive
from orchestrator.errors import StudyError
from orchestrator.execution.executor import InlineExecutor
from orchestrator.ledger import read
from orchestrator.ledger import tables as t
from orchestrator.ledger.engine import open_ledger, transaction
from orchestrator.ledger.submit import submit
from orchestrator.ledger.verify import verify
from orchestrator.plan.cost import metrics_of_config
from orchestrator.results.results import study_results
from orchestrator.search import adaptive
from orchestrator.search.adaptive import AdaptiveStudies
from tests.orchestrator.conftest import SEARCH
from tests.support.toy import toy_settings

PATH = "sft.mixture.alpha.science"


def scored(order, _report, _should_stop):
    """Carry out nothing and say that all went well."""
    digest = hashlib.sha256(order["stage_id"].encode()).digest()
    result = {"benchmark": order["spec"].get("benchmark"), "score": digest[0] / 2.55, "num_items": 4, "loss": 1.0}
    return {"attempt_id": order["attempt_id"], "attempt_no": 1, "state": "SUCCEEDED", "result": result, "failure": None, "seconds": 0.0}


@pytest.fixture
def study_id(ledger, planned):
    return submit(ledger, planned(text=SEARCH))


def run(settings, study_id):
    return drive(settings, until=study_id, executor=lambda _: InlineExecutor(scored))


def levels(ledger, study_id):
    return list(dict.fromkeys(row.levels[PATH] for row in read.trials(ledger, study_id)))


def next_levels(settings, ledger, study_id, call=None):
    """Return the levels of the next proposed arm."""
    return AdaptiveStudies(ledger, settings, call).step(study_id).plan.arms[0].levels


def by_level(score, noise=0.0):
    """Score every benchmark by the arm's level, with noise that each seed shares over arms and some of its own."""

    def carried_out(order, _report, _should_stop):
        spec = order["spec"]
        result = {"loss": 1.0}
        if order["kind"] == "evaluate":
            level, seed = LEVELS[spec["parent_id"]]
            digest = hashlib.sha256(f"{level} {seed}".encode()).digest()
            value = score(level) + 3 * seed + noise * (digest[0] / 127.5 - 1)
            result = {"benchmark": spec["benchmark"], "score": value, "num_items": 4}
        elif order["kind"] == "sft":
            LEVELS[order["stage_id"]] = (spec["config"]["mixture"]["alpha"]["science"], spec["seed"])
        return {"attempt_id": order["attempt_id"], "attempt_no": 1, "state": "SUCCEEDED", "result": result, "failure": None, "seconds": 0.0}

    return carried_out


LEVELS: dict[str, tuple[float, int]] = {}
"""Training stage -> level and seed, for the evaluate stages that follow."""


# ---- searches ----


def test_a_search_runs_its_baseline_and_all_its_arms(settings, ledger, study_id):
    assert run(settings, study_id) is Exit.FINISHED
    row = read.study(ledger, "searched")
    assert (row.state, row.num_arms, row.num_trials) == ("COMPLETED", 5, 10)
    assert len(set(levels(ledger, study_id))) == 5
    assert len(read.scores(ledger, study_id)) == 10 * len(SUITES["workbench"])


def test_a_search_that_was_interrupted_proposes_what_it_would_have_proposed(settings, ledger, study_id):
    assert next_levels(settings, ledger, study_id) == next_levels(settings, ledger, study_id)


def test_a_space_without_anything_new_ends_the_search(settings, ledger, planned):
    study_id = submit(ledger, planned(("{float: [0.0, 1.0]}", "{choice: [0, 0.5]}"), text=SEARCH))
    assert run(settings, study_id) is Exit.FINISHED
    assert levels(ledger, study_id) == [0, 0.5]


def test_what_cannot_be_proposed_pauses_the_study_with_the_reason(settings, ledger, study_id, monkeypatch):
    monkeypatch.setattr(adaptive, "propose", lambda *_, **__: {PATH: -1.0})
    assert run(settings, study_id) is Exit.PAUSED
    assert "allowed: 0 to 1000" in read.study(ledger, "searched").reason


def test_a_changed_library_is_noticed(settings, ledger, study_id):
    with transaction(ledger) as connection:
        connection.execute(t.studies.update().values(spec_hash="another"))
    with pytest.raises(StudyError, match="recipe sft-ablation or scale tiny changed since the study was submitted"):
        next_levels(settings, ledger, study_id)


def test_a_fixed_design_has_nothing_to_add(settings, ledger, planned):
    with pytest.raises(StudyError, match="the study adds no trials"):
        next_levels(settings, ledger, submit(ledger, planned()))


def gp(planned):
    return planned(("trials: 4", "trials: 4\n  sampler: gp"), text=SEARCH)


def test_a_proposal_that_needs_torch_is_made_by_the_executor_and_waited_for(settings, ledger, planned):
    asked, answer = [], Future()
    found = AdaptiveStudies(ledger, settings, lambda *order: asked.append(order) or answer)
    study_id = submit(ledger, gp(planned))
    assert (found.step(study_id).plan, found.step(study_id).plan, found.is_waiting, len(asked)) == (None, None, True, 1)
    answer.set_result({PATH: 0.25})
    assert found.step(study_id).plan.arms[0].levels == {PATH: 0.25}
    assert not found.is_waiting


def test_a_proposal_that_fails_elsewhere_is_told(settings, ledger, planned):
    answer = Future()
    answer.set_exception(RuntimeError("no memory"))
    found, study_id = AdaptiveStudies(ledger, settings, lambda *_: answer), submit(ledger, gp(planned))
    found.step(study_id)
    with pytest.raises(StudyError, match="sampler gp failed to propose an arm: no memory"):
        found.step(study_id)


def test_a_search_by_gp_ends(settings, ledger, planned):
    study_id = submit(ledger, planned(("trials: 4", "trials: 1\n  sampler: gp"), text=SEARCH))
    assert run(settings, study_id) is Exit.FINISHED
    assert len(levels(ledger, study_id)) == 2


# ---- what an earlier version tried, and an early end ----


def more(planned, *changes):
    """Plan the search with twice as many arms, and further changes."""
    return planned(("trials: 4", "trials: 8"), *changes, text=SEARCH)


def trained(settings, study_id):
    """Drive a study and return how many arms were trained for it."""
    asked = []

    def execute(order, *rest):
        asked.append(order["kind"])
        return scored(order, *rest)

    drive(settings, until=study_id, executor=lambda _: InlineExecutor(execute))
    return asked.count("sft") / 2  # seeds


@pytest.mark.parametrize("sampler", ["tpe", "qmc"])
def test_a_finished_search_that_gets_more_trials_goes_on_from_what_it_tried(settings, ledger, planned, sampler):
    named = ("parallel: 2", f"parallel: 2\n  sampler: {sampler}")
    first = submit(ledger, planned(named, text=SEARCH))
    run(settings, first)
    second = submit(ledger, more(planned, named), update=True)
    assert trained(settings, second) == 4
    assert levels(ledger, second)[:5] == levels(ledger, first)
    assert len(levels(ledger, second)) == 9
    assert verify(ledger).differences == ()


@pytest.mark.parametrize(("change", "is_kept"), [
    (("parallel: 2", "parallel: 1\n  sampler: random\n  seed: 3"), True),
    (("seeds: 2", "seeds: 3"), True),
    (("maximize: knowledge", "maximize: mmbase"), True),
    (("[0.0, 1.0]", "[0, 1]"), True),
    (("[0.0, 1.0]", "[0.0, 0.9]"), False),
    (("seeds: 2", "set: {sft.steps: 7, sft.warmup_steps: 0}\nseeds: 2"), False)])
def test_an_arm_is_the_record_of_every_version_with_its_base_and_ranges(settings, ledger, planned, change, is_kept):
    first = submit(ledger, planned(text=SEARCH))
    run(settings, first)
    second = submit(ledger, planned(change, text=SEARCH), update=True)
    assert AdaptiveStudies(ledger, settings, None).step(second).plan is not None
    taken_up = AdaptiveStudies(ledger, settings, None)._records.read(second).to_take_up()
    assert (taken_up == {PATH: levels(ledger, first)[1]}) == is_kept


def test_fewer_trials_take_up_the_first_arms_alone(settings, ledger, planned):
    first = submit(ledger, planned(text=SEARCH))
    run(settings, first)
    second = submit(ledger, planned(("trials: 4", "trials: 2"), text=SEARCH), update=True)
    assert trained(settings, second) == 0
    assert levels(ledger, second) == levels(ledger, first)[:3]


def test_rungs_judge_what_an_earlier_version_tried_anew(settings, ledger, planned):
    first = submit(ledger, planned(text=SEARCH))
    run(settings, first)
    second = submit(ledger, planned(("trials: 4", "trials: 4\n  prune: {rungs: [0.5], warmup: 2}"), text=SEARCH), update=True)
    run(settings, second)
    assert {arm.key for arm in read.arms(ledger, second)} == {arm.key for arm in read.arms(ledger, first)}


def test_a_search_that_ends_early_says_why(settings, ledger, planned):
    study_id = submit(ledger, planned(("{float: [0.0, 1.0]}", "{choice: [0, 0.5]}"), text=SEARCH))
    run(settings, study_id)
    row = read.study(ledger, "searched")
    assert row.state == "COMPLETED"
    assert row.reason == ("the search ended after 1 of 4 arms: 64 draws in a row gave arms that were tried already; "
                          "its ranges hold too few others")
    assert [event.to_state for event in read.events(ledger, study_id, limit=1000) if event.entity == "search"] == ["ENDED"]
    assert verify(ledger).differences == ()


def test_a_search_that_ends_early_still_adds_seeds_where_they_matter(settings, ledger, planned):
    study_id = submit(ledger, planned(("{float: [0.0, 1.0]}", "{choice: [0, 0.1, 0.5]}"), ADDED, text=SEARCH))
    executor = InlineExecutor(by_level(lambda level: 50 if level else 0, noise=6.0))
    assert drive(settings, until=study_id, executor=lambda _: executor) is Exit.FINISHED
    assert seeds_of(ledger, study_id)[0.5] == 8
    assert "after 2 of 4 arms" in read.study(ledger, "searched").reason


# ---- constraints on what is known before training ----

GRIDS = """
name: grids
question: Which grid, for at most so many tokens?
recipe: sft-ablation
set: {sft.images.mode: dynamic}
search:
  trials: 4
  sampler: SAMPLER
  parameters: {sft.images.grid: {grid_range: {n_min: [1, 4], n_max: [4, 16]}}}
  constraints: ["tokens_per_image <= 84"]
select: {maximize: knowledge, baseline: {sft.images.grid: [1, 4]}}
"""
GRID = "sft.images.grid"


def searched(settings, ledger, planned, sampler="tpe"):
    study_id = submit(ledger, planned(text=GRIDS.replace("SAMPLER", sampler)))
    assert run(settings, study_id) is Exit.FINISHED
    return study_id


@pytest.mark.parametrize("sampler", ["tpe", "random", "nsga2"])
def test_what_misses_a_constraint_before_training_is_recorded_and_never_trained(settings, ledger, planned, sampler):
    study_id = searched(settings, ledger, planned, sampler)
    trained = {row.arm_key: metrics_of_config(row.config)["tokens_per_image"] for row in read.trials(ledger, study_id)}
    found = study_results(ledger, read.study(ledger, study_id)).search
    assert len(trained) == 1 + 4
    assert all(tokens <= 84 for tokens in trained.values())
    assert found.refused
    assert all(why["value"] > 84 and why["violations"] == [why["value"] - 84] for why in found.refused.values())
    assert not found.refused.keys() & trained.keys()
    events = {event.entity_id for event in read.events(ledger, study_id, limit=10_000) if event.to_state == "INFEASIBLE"}
    assert events == found.refused.keys()
    assert verify(ledger).differences == ()


def test_refusals_are_the_same_for_the_same_ledger_and_seed(tmp_path, planned):
    def arms(folder):
        settings = toy_settings(tmp_path / folder)
        ledger = open_ledger(settings.ledger_url)
        found = [(arm.key, arm.stopped) for arm in read.arms(ledger, searched(settings, ledger, planned))]
        ledger.dispose()
        return found

    assert arms("a") == arms("b")


def test_a_search_without_anything_feasible_ends_after_so_many_tries(settings, ledger, planned, monkeypatch):
    monkeypatch.setattr(adaptive, "MOST_REFUSED", 5)
    study_id = submit(ledger, planned(("<= 84", "<= 1"), text=GRIDS.replace("SAMPLER", "random")))
    assert run(settings, study_id) is Exit.FINISHED
    row = read.study(ledger, study_id)
    assert len(study_results(ledger, row).search.refused) == 5
    assert row.reason.startswith("the search ended after 0 of 4 arms: 5 proposals in a row violated a constraint; the last one was "
                                 "infeasible before training: tokens_per_image <= 1, and it has ")
    assert {row.arm_name for row in read.trials(ledger, study_id)} == {"baseline"}


def test_a_constraint_on_an_unknown_metric_is_refused_at_its_line(planned):
    with pytest.raises(StudyError, match=r"search.constraints\[0\]: no metric 'tokens_per_imag'"):
        planned(("tokens_per_image", "tokens_per_imag"), text=GRIDS.replace("SAMPLER", "tpe"))


# ---- rungs ----


RUNGS = ("trials: 4", "trials: 8\n  sampler: random\n  prune: {rungs: [0.25], keep: 0.5, warmup: 2}")


def test_rungs_stop_the_worst_and_train_the_best_in_full(settings, ledger, planned):
    study_id = submit(ledger, planned(RUNGS, text=SEARCH))
    assert drive(settings, until=study_id, executor=lambda _: InlineExecutor(by_level(lambda level: 50 * level))) is Exit.FINISHED
    rows = read.trials(ledger, study_id)
    stopped = {row.arm_key: row for row in rows if row.stopped}
    whole = {row.arm_key: row.levels[PATH] for row in rows if row.rung == 0}
    assert 1 <= len(stopped) <= 6
    assert len(stopped) + len(whole) == 1 + 8
    assert not stopped.keys() & whole.keys()
    assert max(row.levels[PATH] for row in rows) in whole.values()
    short = {row.config["sft"]["steps"] for row in rows if row.rung == 1}
    assert len(short) == 1
    assert short.pop() == round(0.25 * next(row.config["sft"]["steps"] for row in rows if row.rung == 0))
    assert {row.seed for row in rows if row.rung == 1} == {0}


def test_stopped_arms_are_recorded_with_score_and_rank_and_enter_no_mean(settings, ledger, planned):
    study_id = submit(ledger, planned(RUNGS, text=SEARCH))
    drive(settings, until=study_id, executor=lambda _: InlineExecutor(by_level(lambda level: 50 * level)))
    found = study_results(ledger, read.study(ledger, study_id))
    why = next(iter(found.search.stopped.values()))
    assert why["rung"] == 1
    assert why["rank"] > why["among"] * why["keep"]
    assert not found.search.stopped.keys() & {arm.key for arm in found.arms}
    events = [event for event in read.events(ledger, study_id, limit=10_000) if event.to_state == "STOPPED"]
    assert {event.entity_id for event in events} == found.search.stopped.keys()
    assert found.verdict.kind != "incomplete"


# ---- seeds where they matter ----


ADDED = ("seeds: 2", "seeds: {first: 2, most: 8}\neffect: 2")


def seeds_of(ledger, study_id):
    return Counter(row.levels[PATH] for row in read.trials(ledger, study_id))


def test_clear_differences_need_one_seed_beyond_two_that_agree(settings, ledger, planned):
    study_id = submit(ledger, planned(ADDED))
    assert drive(settings, until=study_id, executor=lambda _: InlineExecutor(by_level(lambda level: 60 * level))) is Exit.FINISHED
    assert seeds_of(ledger, study_id) == {0: 3, 0.1: 3, 0.5: 3}
    assert study_results(ledger, read.study(ledger, study_id)).verdict.kind == "selected"


def test_seeds_are_added_to_the_arms_that_cannot_be_told_apart_up_to_the_cap(settings, ledger, planned):
    study_id = submit(ledger, planned(ADDED))
    executor = InlineExecutor(by_level(lambda level: 50 if level else 0, noise=6.0))
    assert drive(settings, until=study_id, executor=lambda _: executor) is Exit.FINISHED
    seeds = seeds_of(ledger, study_id)
    assert seeds[0] < seeds[0.1] == seeds[0.5] == 8
    found = study_results(ledger, read.study(ledger, study_id))
    assert (found.looks, found.verdict.kind) == (7, "underpowered")
    assert "all 7 looks together keep 5 %" in found.seed_note
