"""Scores at branching points stand beside the final table: they are shown, and decide nothing."""

import dataclasses
import json

import pytest
from rich.console import Console
from sqlalchemy import select

from orchestrator.cli.results_table import print_results
from orchestrator.errors import StudyError
from orchestrator.ledger import read
from orchestrator.ledger import tables as t
from orchestrator.ledger.engine import transaction
from orchestrator.ledger.insert import database_now
from orchestrator.ledger.journal import Journal
from orchestrator.ledger.write import finish_trial
from orchestrator.plan.plan import Planner
from orchestrator.results.branches import final_stages
from orchestrator.results.report import render
from orchestrator.results.results import study_results
from orchestrator.results.tables import score_text
from tests.support import scored

STUDY = """
name: written
question: How long?
recipe: sft-ablation
vary: {sft.steps: [30, 40]}
set: {sft.schedule: wsd, sft.branch_every: 10, sft.warmup_steps: 0, sft.decay_steps: 5}
seeds: 2
evaluate: {benchmarks: [scene-qa, form-fields, loss-general], at_branches: [scene-qa]}
select: {maximize: scene-qa, baseline: {sft.steps: 30}}
"""


@pytest.fixture
def finished(engine, write, checkpoint):
    """A study whose score at a branching point is 90, whatever the final ones are."""
    scored.enter(engine, Planner(write(text=STUDY), "tiny").plan())
    scored.finish(engine)
    early = {row.stage_id for row in read.branch_scores(engine, "study-1")}
    with transaction(engine) as connection:
        connection.execute(t.scores.update().where(t.scores.c.stage_id.in_(early)).values(value=90.0))
    return engine


def results(engine):
    return study_results(engine, read.study(engine, "written"))


def test_each_branching_point_has_its_score(finished):
    found = results(finished)
    names = {arm.key: arm.name for arm in found.arms}
    assert {(names[each.arm_key], each.seed, each.kind, each.step) for each in found.at_branches} == {
        (f"steps={steps}", seed, "sft", step)
        for steps in (30, 40) for seed in (0, 1) for step in range(10, steps - 5, 10)}
    assert {(each.benchmark, each.score) for each in found.at_branches} == {("scene-qa", 90.0)}
    assert found.to_json()["at_branches"] == [dataclasses.asdict(each) for each in found.at_branches]
    json.dumps(found.to_json(), allow_nan=False)


def test_they_enter_no_score_and_no_verdict(finished):
    found = results(finished)
    assert all(trial.metrics["scene-qa"] < 90 for trial in found.trials)
    assert found.verdict.kind != "incomplete"
    stages = {stage.stage_id: stage for stage in found.stages}
    rows = read.scores(finished, "study-1")
    assert len(rows) == 4 * 3
    assert all(stages[row.stage_id].parent_id == _last(found, stages, row.trial_key) for row in rows)


def _last(found, stages, trial_key):
    row = next(each for each in found.trial_rows if each.trial_key == trial_key)
    return [each for each in row.stage_ids if stages[each].kind == "sft"][-1]


def test_a_missing_one_leaves_the_final_table_complete(finished):
    with transaction(finished) as connection:
        early = [row.stage_id for row in read.branch_scores(finished, "study-1")]
        connection.execute(t.scores.delete().where(t.scores.c.stage_id.in_(early)))
        connection.execute(t.stages.update().where(t.stages.c.stage_id.in_(early)).values(state="FAILED"))
    found = results(finished)
    assert found.at_branches == ()
    assert not any(trial.withheld.keys() - {"mmbase", "overall"} for trial in found.trials)


def test_the_answers_of_a_trial_are_those_of_its_last_checkpoint(finished):
    found = results(finished)
    stages = {stage.stage_id: stage for stage in found.stages}
    for trial in found.trial_rows:
        own = final_stages(trial, stages)
        assert {stage.spec["benchmark"] for stage in own} == {"scene-qa", "form-fields", "loss-general"}
        assert {stage.parent_id for stage in own} == {_last(found, stages, trial.trial_key)}


def test_they_are_printed_below_the_table(finished):
    console = Console(width=120, record=True)
    print_results(console, results(finished))
    text = console.export_text()
    assert "at branching points, means over seeds; in no average and no verdict" in text
    assert "10: 90.0, 20: 90.0, 30: 90.0, end: " in text


def test_a_trial_that_diverged_has_none(finished):
    key = results(finished).trials[0].trial_key
    with transaction(finished) as connection:
        connection.execute(t.trials.update().where(t.trials.c.trial_key == key).values(state="DIVERGED"))
    assert key not in {each.trial_key for each in results(finished).at_branches}


def test_tracking_is_told_the_final_scores_alone(finished):
    key = results(finished).trials[0].trial_key
    with transaction(finished) as connection:
        record = Journal(connection, now=database_now(connection), actor="test")
        finish_trial(connection, record, "study-1", key, "SUCCEEDED")
        record.flush()
        kept = t.tracking_outbox.c
        payload = connection.execute(select(kept.payload).where(kept.kind == "trial_finished")).scalars().one()
    assert json.loads(payload)["scores"]["scene-qa"]["value"] < 90


# ---- held-out loss, beside them ----


def test_a_loss_is_shown_in_nats_and_in_no_average(finished):
    found = results(finished)
    (metric,) = [each for each in found.metrics if each.kind == "loss"]
    assert (metric.name, metric.category, metric.is_decisive) == ("loss-general", "held_out", False)
    assert not any("held_out" in {**trial.metrics, **trial.withheld} for trial in found.trials)
    assert score_text(found, found.arms[0], "loss-general").endswith(" nats")
    console = Console(width=120, record=True)
    print_results(console, found)
    assert "held-out loss in nats for each supervised token; lower is better" in console.export_text()
    assert "<h2>Held-out loss</h2>" in render(found)


def test_a_loss_is_not_maximised(write):
    study = STUDY.replace("maximize: scene-qa", "maximize: loss-general")
    with pytest.raises(StudyError, match="select.maximize: loss-general is a loss in nats, and lower is better; allow"):
        Planner(write(text=study), "tiny").plan()


def test_a_loss_can_be_bounded(engine, write, checkpoint):
    study = STUDY.replace("select: {", "select: {subject_to: [loss-general <= baseline.loss-general - 20], ")
    scored.enter(engine, Planner(write(text=study), "tiny").plan())
    scored.finish(engine)
    found = results(engine)
    assert found.verdict.kind == "infeasible"
    assert [each.name for each in found.metrics if each.is_decisive] == ["scene-qa", "loss-general"]
    print_results(Console(width=120, record=True), found)
