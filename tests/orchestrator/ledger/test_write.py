"""The protocol: compare-and-set, one live and one accepted attempt a stage, events and messages beside every change."""

import json
from collections import Counter

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from orchestrator.errors import IllegalTransition, StaleWrite
from orchestrator.ledger import load_snapshot, outbox, read
from orchestrator.ledger import tables as t
from orchestrator.ledger.engine import fenced, transaction
from orchestrator.ledger.lease import acquire
from orchestrator.ledger.submit import submit
from orchestrator.ledger.write import apply, record_progress, take_over
from orchestrator.scheduler.actions import Assign, Finish, MoveStage, MoveStudy, Start
from orchestrator.scheduler.views import Outcome
from orchestrator.states import AttemptState, StageState, StudyState
from tests.support.toy import toy_plan


@pytest.fixture
def study_id(engine):
    return submit(engine, toy_plan(levels=(0,), seeds=1, benchmarks=("a",)))


@pytest.fixture
def fence(engine, study_id):
    return acquire(engine, "driver", ttl_s=60, holder={})


@pytest.fixture
def stage_id(engine, study_id):
    return read.stages(engine, study_id)[0].stage_id


def do(engine, fence, *writes):
    with fenced(engine, fence) as tx:
        apply(tx, fence, writes, artifact_of=lambda stage_id, no: f"{stage_id}/{no}")


def claim(stage_id, study_id, no=1):
    return Assign(f"attempt-{no}", stage_id, no, study_id, 1.0)


def finish(stage_id, state, target, *, no=1, source=StageState.LEASED, **more):
    outcome = Outcome(f"attempt-{no}", state, **more)
    return Finish(outcome, stage_id, no, source, target)


@pytest.fixture
def claimed(engine, fence, study_id, stage_id):
    do(engine, fence, MoveStage(stage_id, StageState.PLANNED, StageState.QUEUED), claim(stage_id, study_id))
    return stage_id


def stage(engine, study_id):
    return read.stages(engine, study_id)[0]


def test_a_claimed_stage_has_a_live_attempt_with_a_lease(engine, claimed, study_id):
    with engine.connect() as connection:
        row = connection.execute(select(t.attempts)).one()
    assert (row.state, row.attempt_no, row.driver_id, row.epoch) == ("LEASED", 1, "driver", 1)
    assert row.lease_expires_at > 1.7e9
    assert stage(engine, study_id).state == "LEASED"


def test_a_stage_cannot_be_claimed_twice(engine, fence, claimed, study_id):
    with pytest.raises(StaleWrite, match="no longer QUEUED"):
        do(engine, fence, claim(claimed, study_id, no=2))


def test_all_writes_of_a_transaction_stand_or_fall_together(engine, fence, claimed, study_id):
    with pytest.raises(StaleWrite):
        do(engine, fence, Start("attempt-1", claimed), Start("attempt-1", claimed))
    assert stage(engine, study_id).state == "LEASED"


def test_a_success_is_accepted_with_result_and_artifact(engine, fence, claimed, study_id):
    do(engine, fence, finish(claimed, AttemptState.SUCCEEDED, StageState.SUCCEEDED, result={"loss": 0.5}, seconds=3.0))
    row = stage(engine, study_id)
    assert (row.state, row.result, row.seconds, row.artifact) == ("SUCCEEDED", {"loss": 0.5}, 3.0, f"{claimed}/1")


def test_a_finished_attempt_cannot_be_finished_again(engine, fence, claimed):
    do(engine, fence, finish(claimed, AttemptState.LOST, StageState.QUEUED, failure={"message": "gone", "hash": ""}))
    with pytest.raises(StaleWrite, match="its outcome SUCCEEDED is not accepted"):
        do(engine, fence, finish(claimed, AttemptState.SUCCEEDED, StageState.SUCCEEDED, source=StageState.QUEUED, result={}))


def test_a_late_result_of_an_older_attempt_is_not_accepted(engine, fence, claimed, study_id):
    do(engine, fence, finish(claimed, AttemptState.LOST, StageState.QUEUED), claim(claimed, study_id, no=2))
    with pytest.raises(StaleWrite, match="attempt attempt-1 no longer belongs to this driver"):
        do(engine, fence, finish(claimed, AttemptState.SUCCEEDED, StageState.SUCCEEDED, result={}))


def test_an_attempt_of_another_epoch_is_accepted_only_after_adoption(engine, fence, claimed):
    newer = acquire(engine, "newer", ttl_s=60, holder={}, dead="driver")
    accept = finish(claimed, AttemptState.SUCCEEDED, StageState.SUCCEEDED, result={})
    with pytest.raises(StaleWrite):
        do(engine, newer, accept)
    with fenced(engine, newer) as tx:
        take_over(tx, newer)
    do(engine, newer, accept)


def test_a_transition_outside_the_table_is_refused(engine, fence, stage_id):
    with pytest.raises(IllegalTransition, match="StageState PLANNED cannot become SUCCEEDED; allowed: CANCELLED, QUEUED, SKIPPED"):
        do(engine, fence, MoveStage(stage_id, StageState.PLANNED, StageState.SUCCEEDED))


@pytest.mark.parametrize("states", [("LEASED", "RUNNING"), ("SUCCEEDED", "SUCCEEDED")])
def test_the_database_itself_refuses_a_second_live_or_accepted_attempt(engine, stage_id, states):
    def insert(connection, no, state):
        connection.execute(t.attempts.insert().values(
            attempt_id=str(no), stage_id=stage_id, attempt_no=no, study_id="s", driver_id="d", epoch=1, state=state,
            lease_expires_at=1.0, started_at=1.0, is_charged=False, checkpoint_step=0, failure_hash=""))

    with transaction(engine) as connection:
        insert(connection, 1, states[0])
    with pytest.raises(IntegrityError), transaction(engine) as connection:
        insert(connection, 2, states[1])


def test_an_evaluate_stage_leaves_its_score(engine, fence, study_id):
    first, train, evaluate = [row.stage_id for row in read.stages(engine, study_id)]
    with transaction(engine) as connection:
        connection.execute(t.stages.update().where(t.stages.c.stage_id == evaluate).values(state="QUEUED"))
    result = {"benchmark": "a", "score": 12.5, "score_lenient": 20.0, "num_items": 8, "num_unparseable": 1, "is_complete": False,
              "tokens_per_image": 16.0}
    do(engine, fence, claim(evaluate, study_id), finish(evaluate, AttemptState.SUCCEEDED, StageState.SUCCEEDED, result=result))
    row = read.scores(engine, study_id)[0]
    assert (row.benchmark, row.value, row.value_lenient, row.num_items, row.is_complete) == ("a", 12.5, 20.0, 8, False)
    assert (first, train) != (evaluate, evaluate)


def test_progress_and_lease_of_a_live_attempt_are_kept(engine, fence, claimed, study_id):
    with transaction(engine) as connection:
        connection.execute(t.attempts.update().values(lease_expires_at=1.0))
    with fenced(engine, fence) as tx:
        record_progress(tx, fence, {"attempt-1": {"step": 3}}, ["attempt-1"])
    assert stage(engine, study_id).progress == {"step": 3}
    with engine.connect() as connection:
        assert 30 < connection.execute(select(t.attempts.c.lease_expires_at - t.now_s())).scalar_one() <= fence.ttl_s


@pytest.mark.parametrize(("lease_s", "seconds", "took_s"), [(3600, 0.0, 600), (-300, 0.0, 300), (-300, 450.0, 450), (-300, 4000.0, 600)],
                         ids=["alive till now", "its driver died", "its record says how long", "no longer than till now"])
def test_an_attempt_ends_when_it_was_last_alive(engine, fence, claimed, study_id, lease_s, seconds, took_s):
    with transaction(engine) as connection:
        connection.execute(t.attempts.update().values(started_at=t.now_s() - 600, lease_expires_at=t.now_s() + lease_s))
    do(engine, fence, finish(claimed, AttemptState.LOST, StageState.QUEUED, seconds=seconds))
    with engine.connect() as connection:
        ended = connection.execute(select(t.attempts.c.ended_at - t.attempts.c.started_at)).scalar_one()
    assert abs(ended - took_s) < 30


def test_progress_of_an_attempt_that_is_over_is_not_shown(engine, fence, claimed, study_id):
    with fenced(engine, fence) as tx:
        record_progress(tx, fence, {"attempt-1": {"step": 3}}, ["attempt-1"])
    do(engine, fence, finish(claimed, AttemptState.SUCCEEDED, StageState.SUCCEEDED, result={}))
    assert stage(engine, study_id).progress is None


def test_every_change_leaves_an_event(engine, fence, claimed, study_id):
    do(engine, fence, Start("attempt-1", claimed), MoveStudy(study_id, StudyState.QUEUED, StudyState.RUNNING))
    steps = [(event.entity, event.from_state, event.to_state) for event in reversed(read.events(engine, study_id))]
    assert steps == [("study", "", "QUEUED"), ("stage", "PLANNED", "QUEUED"), ("stage", "QUEUED", "LEASED"),
                     ("stage", "LEASED", "RUNNING"), ("study", "QUEUED", "RUNNING")]


def test_messages_of_a_subject_are_numbered_without_gaps(engine, fence, claimed):
    do(engine, fence, finish(claimed, AttemptState.SUCCEEDED, StageState.SUCCEEDED, result={}))
    found = [(each.subject.split(":")[0], each.seq, each.kind) for each in outbox.pending(engine)]
    assert found == [("trial", 1, "trial_created"), ("attempt", 1, "attempt_started"), ("attempt", 2, "attempt_finished")]


def test_sent_messages_do_not_wait_any_more(engine, fence, claimed):
    first, *rest = outbox.pending(engine)
    outbox.settle(engine, [first.message_id], {})
    outbox.settle(engine, [first.message_id], {})
    assert outbox.pending(engine) == rest
    assert read.outbox_lag(engine) == len(rest)
    assert outbox.last_sent_at(engine) > 1.7e9


def test_the_first_external_id_of_a_subject_counts(engine):
    assert outbox.external_id(engine, "trial:x") is None
    assert [outbox.settle(engine, [], {"trial:x": each}) for each in ("one", "two")] == [{}, {"trial:x": "one"}]
    assert outbox.external_id(engine, "trial:x") == "one"


def test_the_driver_reads_what_it_decides_from(engine, fence, claimed, study_id):
    with engine.connect() as connection:
        snapshot = load_snapshot.read_snapshot(connection)
    assert Counter(stage.state for stage in snapshot.stages.values()) == {"LEASED": 1, "PLANNED": 2}
    assert snapshot.attempts["attempt-1"].stage_id == claimed
    assert [len(trial.stage_ids) for trial in snapshot.trials.values()] == [3]


def test_an_order_says_what_the_worker_needs(engine, fence, claimed, study_id):
    do(engine, fence, finish(claimed, AttemptState.SUCCEEDED, StageState.SUCCEEDED, result={}))
    child = read.stages(engine, study_id)[1].stage_id
    with engine.connect() as connection:
        order = load_snapshot.orders(connection, [child])[child]
    assert (order["kind"], order["artifact"], json.loads(order["spec"])["parent_id"]) == ("sft", f"{claimed}/1", claimed)
