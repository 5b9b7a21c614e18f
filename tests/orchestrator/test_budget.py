"""Budgets: refused when the plan expects more, paused when it is spent; estimate and actual side by side."""

import threading

import pytest

from orchestrator import actions
from orchestrator.budget import Spent, over
from orchestrator.cli.preview import preview
from orchestrator.driver import Exit, drive
from orchestrator.errors import StudyError
from orchestrator.executor import InlineExecutor
from orchestrator.ledger import open_ledger, read
from orchestrator.ledger.known import keep_estimate
from orchestrator.results import study_results
from orchestrator.study import Budget
from orchestrator.submit import submit
from tests.toy import toy_settings


@pytest.fixture
def settings(tmp_path):
    return toy_settings(tmp_path)


@pytest.fixture
def engine(settings):
    engine = open_ledger(settings.ledger_url)
    yield engine
    engine.dispose()


def slowly(order, _report, _should_stop):
    threading.Event().wait(0.02)
    result = {"benchmark": order["spec"].get("benchmark"), "score": 50.0, "num_items": 4, "loss": 1.0}
    return {"attempt_id": order["attempt_id"], "attempt_no": 1, "state": "SUCCEEDED", "result": result, "failure": None, "seconds": 0.02}


def with_budget(text):
    return ("seeds: 2", f"seeds: 2\nbudget: {text}")


def test_a_plan_that_expects_more_is_refused_at_its_line(planned):
    with pytest.raises(StudyError, match=r"budget.hours: .* hours estimated; allowed: 1e-06"):
        planned(with_budget("{hours: 0.000001}"))


def test_a_budget_without_a_limit_is_refused(planned):
    with pytest.raises(StudyError, match="at least one of hours, gpu_hours, wall_hours"):
        planned(with_budget("{}"))


@pytest.mark.parametrize(("limit", "spent"), [("hours", Spent(hours=2, gpu_hours=0, wall_hours=0)),
                                              ("gpu_hours", Spent(hours=0, gpu_hours=2, wall_hours=0)),
                                              ("wall_hours", Spent(hours=0, gpu_hours=0, wall_hours=2))])
def test_each_limit_is_reached_by_its_own_sum(limit, spent):
    assert limit.replace("_", " ") in over(Budget(**{limit: 2.0}), spent)
    assert over(Budget(**{limit: 2.1}), spent) == ""


def test_a_spent_budget_pauses_the_study_until_the_file_allows_more(settings, engine, planned):
    study_id = submit(engine, planned(with_budget("{wall_hours: 0.0000001}")))
    assert drive(settings, until=study_id, executor=lambda _: InlineExecutor(slowly)) is Exit.PAUSED
    row = read.study(engine, study_id)
    assert "wall hours are spent; raise `budget`" in row.reason
    assert row.stages_done < row.stages_total
    assert submit(engine, planned(with_budget("{wall_hours: 9}"))) == study_id
    actions.resume(engine, study_id)
    assert drive(settings, until=study_id, executor=lambda _: InlineExecutor(slowly)) is Exit.FINISHED


def test_estimate_is_kept_once_and_shown_beside_what_was_spent(settings, engine, planned):
    plan = planned()
    study_id = submit(engine, plan)
    keep_estimate(engine, study_id, {"hours": 1.0})
    keep_estimate(engine, study_id, {"hours": 2.0})
    drive(settings, until=study_id, executor=lambda _: InlineExecutor(slowly))
    found = study_results(engine, read.study(engine, study_id)).to_json()["budget"]
    assert found["estimate"] == {"hours": 1.0}
    assert found["spent"]["hours"] * 3600 >= 0.02 * plan.num_unique
    assert preview(plan, engine, slots=2).expected.hours == 0


def test_a_search_is_priced_with_all_its_arms(planned):
    text = """
name: searched
question: How much?
recipe: sft-ablation
search: {trials: 10, parameters: {sft.mixture.alpha.science: {float: [0.0, 1.0]}}}
seeds: 2
select: {maximize: knowledge, baseline: {sft.mixture.alpha.science: 0}}
"""
    plan = planned(text=text)
    assert plan.growth_flops == pytest.approx(10 * plan.flops, rel=0.5)
    pruned = planned(("trials: 10,", "trials: 10, prune: {rungs: [0.25], keep: 0.5},"), text=text)
    assert pruned.growth_flops == pytest.approx(plan.growth_flops * (0.5 + 0.25 / 2), rel=0.01)
