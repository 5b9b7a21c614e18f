"""Budgets: refused when the plan expects more, paused when it is spent; estimate and actual side by side."""

import threading
from dataclasses import asdict
from functools import partial

import pytest

from model.manifest import publish
from orchestrator.cli.results_table import _cost_lines
from orchestrator.driver.loop import Exit, drive
from orchestrator.errors import StudyError
from orchestrator.execution.attempt import run_attempt
from orchestrator.execution.executor import InlineExecutor
from orchestrator.ledger import actions, lease, read
from orchestrator.ledger import tables as t
from orchestrator.ledger.engine import fenced, transaction
from orchestrator.ledger.submit import submit
from orchestrator.ledger.summaries import keep_estimate
from orchestrator.ledger.write import apply
from orchestrator.plan.estimate import Rates
from orchestrator.plan.plan import Planner
from orchestrator.results.budget import Spent, expected, over, spent
from orchestrator.results.preview import preview
from orchestrator.results.results import study_results
from orchestrator.scheduler.actions import Assign, Finish, MoveStage
from orchestrator.scheduler.views import Outcome
from orchestrator.states import AttemptState, StageState
from orchestrator.study.documents import Resources
from orchestrator.study.study import Budget
from tests.support.toy import toy_plan


def slowly(order, _report, _should_stop):
    threading.Event().wait(0.02)
    result = {"benchmark": order["spec"].get("benchmark"), "score": 50.0, "num_items": 4, "loss": 1.0}
    return {"attempt_id": order["attempt_id"], "attempt_no": 1, "state": "SUCCEEDED", "result": result, "failure": None, "seconds": 0.02}


def with_budget(text):
    return ("seeds: 2", f"seeds: 2\nbudget: {text}")


def test_a_plan_that_expects_more_is_refused_at_its_line(planned):
    with pytest.raises(StudyError, match=r"budget.hours: .* hours estimated; allowed: 1e-06"):
        planned(with_budget("{hours: 0.000001}"))
    with pytest.raises(StudyError, match=r"budget.flops: .* flops estimated; allowed: 1000"):
        planned(with_budget("{flops: 1000}"))
    with pytest.raises(StudyError, match=r"budget.checkpoint_gb: .* checkpoint gb estimated; allowed: 1e-06"):
        planned(with_budget("{checkpoint_gb: 0.000001}"))


def test_a_budget_without_a_limit_is_refused(planned):
    with pytest.raises(StudyError, match="at least one of hours, gpu_hours, wall_hours, flops, checkpoint_gb"):
        planned(with_budget("{}"))


@pytest.mark.parametrize(("limit", "spent"), [("hours", Spent(hours=2, gpu_hours=0, wall_hours=0)),
                                              ("gpu_hours", Spent(hours=0, gpu_hours=2, wall_hours=0)),
                                              ("wall_hours", Spent(hours=0, gpu_hours=0, wall_hours=2)),
                                              ("flops", Spent(hours=0, gpu_hours=0, wall_hours=0, flops=2)),
                                              ("checkpoint_gb", Spent(hours=0, gpu_hours=0, wall_hours=0, checkpoint_gb=2))])
def test_each_limit_is_reached_by_its_own_sum(limit, spent):
    assert limit.replace("_", " ") in over(Budget(**{limit: 2.0}), spent)
    assert over(Budget(**{limit: 2.1}), spent) == ""


def test_a_spent_budget_pauses_the_study_until_the_file_allows_more(settings, ledger, planned):
    study_id = submit(ledger, planned(with_budget("{wall_hours: 0.0000001}")))
    assert drive(settings, until=study_id, executor=lambda _: InlineExecutor(slowly)) is Exit.PAUSED
    row = read.study(ledger, study_id)
    assert "wall hours are spent; raise `budget`" in row.reason
    assert row.stages_done < row.stages_total
    assert submit(ledger, planned(with_budget("{wall_hours: 9}"))) == study_id
    actions.resume(ledger, study_id)
    assert drive(settings, until=study_id, executor=lambda _: InlineExecutor(slowly)) is Exit.FINISHED


def publishing(order, report, should_stop):
    """Publish a kilobyte, whatever was asked for."""
    def work_done(work):
        publish(work.out, lambda folder: (folder / "made").write_bytes(bytes(1000)) and None)
        return {"benchmark": work.spec.get("benchmark"), "score": 50.0, "num_items": 4, "loss": 1.0}

    return run_attempt(order, {order["kind"]: work_done}, report=report, should_stop=should_stop)


def test_what_was_computed_and_published_is_counted_and_stops_the_study(settings, ledger, planned, monkeypatch):
    plan = planned()
    study_id = submit(ledger, plan)
    drive(settings, until=study_id, executor=lambda _: InlineExecutor(publishing))
    assert [row.failure for row in read.stages(ledger, study_id) if row.failure] == []
    took = spent(ledger, study_id, Resources(flops_per_s=1e9))
    assert took.flops == pytest.approx(plan.flops)
    assert took.checkpoint_gb == pytest.approx(6 * 1e-6)
    found = " ".join(_cost_lines(study_results(ledger, read.study(ledger, study_id))))
    assert found == ""
    keep_estimate(ledger, study_id, asdict(preview(plan, None, slots=2).expected))
    found = " ".join(_cost_lines(study_results(ledger, read.study(ledger, study_id))))
    assert "6 kB of checkpoints (expected" in found


@pytest.mark.parametrize("limit", ["flops", "checkpoint_gb"])
def test_flops_and_checkpoints_pause_a_study(settings, ledger, planned, monkeypatch, limit):
    monkeypatch.setattr(Planner, "_check_budget", lambda *_: None)
    study_id = submit(ledger, planned(with_budget(f"{{{limit}: 0.0000015}}")))
    assert drive(settings, until=study_id, executor=lambda _: InlineExecutor(publishing)) is Exit.PAUSED
    row = read.study(ledger, study_id)
    assert f"{limit.replace('_', ' ')} are spent; raise `budget`" in row.reason
    assert row.stages_done < row.stages_total


def test_a_stage_that_took_two_attempts_counts_each_step_once(settings, ledger):
    plan = toy_plan(levels=(0,), seeds=1, benchmarks=("a",))
    study_id = submit(ledger, plan)
    with transaction(ledger) as connection:
        stage = next(each for each in plan.stages.values() if each.kind == "sft")
        attempt = {"stage_id": stage.stage_id, "study_id": study_id, "driver_id": "d", "epoch": 1, "lease_expires_at": 0.0,
                   "started_at": 0.0, "ended_at": 0.0, "is_charged": False, "failure_hash": "", "bytes": 0}
        for number, state, kept, step in ((1, "LOST", 2, 3), (2, "SUCCEEDED", 0, 4)):
            connection.execute(t.attempts.insert().values(**attempt, attempt_id=str(number), attempt_no=number, state=state,
                                                          checkpoint_step=kept, progress=f'{{"step": {step}, "steps": 4}}'))
    assert spent(ledger, study_id, Resources(flops_per_s=1e9)).flops == pytest.approx(stage.flops * (3 + 2) / 4)


def test_estimate_is_kept_once_and_shown_beside_what_was_spent(settings, ledger, planned):
    plan = planned()
    study_id = submit(ledger, plan)
    keep_estimate(ledger, study_id, {"hours": 1.0})
    keep_estimate(ledger, study_id, {"hours": 2.0})
    drive(settings, until=study_id, executor=lambda _: InlineExecutor(slowly))
    found = study_results(ledger, read.study(ledger, study_id)).to_json()["budget"]
    assert found["estimate"] == {"hours": 1.0}
    assert found["spent"]["hours"] * 3600 >= 0.02 * plan.num_unique
    assert preview(plan, ledger, slots=2).expected.hours == 0


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
    price = partial(expected, plan, Resources(flops_per_s=1e9), rates=Rates(declared=1e9), slots=1)
    assert price(done=set(plan.stages)).flops == pytest.approx(plan.growth_flops)  # a baseline that is there makes no other arm cheaper
    assert price(done=set(plan.stages)).checkpoint_gb == pytest.approx(price(done=()).checkpoint_gb * 10 / 11, rel=0.1)
    assert price(done=set(plan.stages), may_grow=False).flops == 0
    without = planned((", baseline: {sft.mixture.alpha.science: 0}", ""), text=text)
    assert without.flops == 0
    alone = expected(without, Resources(flops_per_s=1e9), rates=Rates(declared=1e9), slots=1, done=())
    assert alone.flops == pytest.approx(plan.growth_flops)
    shown = preview(without, None, slots=2)
    assert shown.estimate.seconds > 0
    assert shown.expected.wall_s == shown.estimate.seconds
    pruned = planned(("trials: 10,", "trials: 10, prune: {rungs: [0.25], keep: 0.5},"), text=text)
    assert pruned.growth_flops == pytest.approx(plan.growth_flops * (0.5 + 0.25 / 2), rel=0.01)


def test_what_ran_at_one_scale_prices_nothing_at_another(settings, ledger, planned, write):
    submitted = submit(ledger, planned())
    drive(settings, until=submitted, executor=lambda _: InlineExecutor(slowly))
    large = Planner(write(), "mm1.5-3b").plan()
    assert preview(large, ledger, slots=8).estimate == preview(large, None, slots=8).estimate
    assert preview(large, ledger, slots=8).estimate.declared_kinds == ("sft", "evaluate")


def test_no_time_is_spent_while_nobody_drives(engine, planned):
    """A driver dies with an attempt in flight; ten hours later another one takes over."""
    plan = planned()
    study_id = submit(engine, plan)
    stage_id = read.stages(engine, study_id)[1].stage_id
    fence = lease.acquire(engine, "first", ttl_s=15.0, holder={})
    with fenced(engine, fence) as tx:
        writes = [MoveStage(stage_id, StageState.PLANNED, StageState.QUEUED), Assign("a", stage_id, 1, study_id, tx.now)]
        apply(tx, fence, writes, artifact_of=lambda *_: "")
    with transaction(engine) as connection:
        ten_hours_ago = t.now_s() - 36_000
        connection.execute(t.attempts.update().values(started_at=ten_hours_ago, lease_expires_at=ten_hours_ago + 360))
    needs = Resources(flops_per_s=1e10)
    assert spent(engine, study_id, needs).hours == pytest.approx(0.1, abs=0.01)
    with fenced(engine, fence) as tx:
        outcome = Outcome("a", AttemptState.LOST, is_charged=False)
        apply(tx, fence, [Finish(outcome, stage_id, 1, StageState.LEASED, StageState.QUEUED)], artifact_of=lambda *_: "")
    assert spent(engine, study_id, needs).hours == pytest.approx(0.1, abs=0.01)
