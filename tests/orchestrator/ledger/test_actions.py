import pytest

from orchestrator.errors import IllegalTransition, StudyError
from orchestrator.ledger import actions, outbox, read
from orchestrator.ledger import tables as t
from orchestrator.ledger.engine import transaction
from orchestrator.ledger.submit import submit
from orchestrator.ledger.verify import verify
from tests.support.toy import toy_plan


@pytest.fixture
def study_id(engine):
    return submit(engine, toy_plan(levels=(0,), seeds=2))


def state(engine, study_id):
    return read.study(engine, study_id).state


def force(engine, table, **values):
    with transaction(engine) as connection:
        connection.execute(table.update().values(**values))


@pytest.mark.parametrize(("act", "becomes"), [(actions.pause, "PAUSED"), (actions.resume, "QUEUED"), (actions.cancel, "CANCELLED")])
def test_an_act_changes_the_state_and_twice_is_fine(engine, study_id, act, becomes):
    act(engine, study_id)
    act(engine, study_id)
    assert state(engine, study_id) == becomes


def test_an_act_says_what_the_state_was(engine, study_id):
    assert [actions.pause(engine, study_id), actions.resume(engine, study_id)] == ["QUEUED", "PAUSED"]


def test_an_act_leaves_an_event_with_its_actor_and_rings_the_bell(engine, study_id):
    before = read.bell(engine)
    actions.pause(engine, study_id, actor="ada")
    event = read.events(engine, study_id, limit=1)[0]
    assert (event.actor, event.from_state, event.to_state, read.bell(engine)) == ("ada", "QUEUED", "PAUSED", before + 1)


def test_resuming_what_runs_changes_nothing(engine, study_id):
    force(engine, t.studies, state="RUNNING")
    actions.resume(engine, study_id)
    assert state(engine, study_id) == "RUNNING"


@pytest.mark.parametrize("act", [actions.pause, actions.resume, actions.cancel])
def test_a_completed_study_stays(engine, study_id, act):
    force(engine, t.studies, state="COMPLETED")
    with pytest.raises(IllegalTransition, match="is completed; it cannot become"):
        act(engine, study_id)


def test_an_unknown_study_is_an_error(engine):
    with pytest.raises(StudyError, match="holds no study with this id"):
        actions.pause(engine, "x")


def test_cancelling_ends_the_open_trials_and_tells_tracking(engine, study_id):
    actions.cancel(engine, study_id)
    assert {row.state for row in read.trials(engine, study_id)} == {"CANCELLED"}
    told = [each.payload["state"] for each in outbox.pending(engine) if each.kind == "trial_finished"]
    assert told == ["CANCELLED", "CANCELLED"]


def test_resuming_reopens_what_did_not_succeed_and_keeps_results(engine, study_id):
    force(engine, t.studies, state="COMPLETED_WITH_FAILURES")
    force(engine, t.trials, state="FAILED")
    force(engine, t.stages, state="FAILED", attempts_made=2)
    with transaction(engine) as connection:
        connection.execute(t.stages.update().where(t.stages.c.position == 0).values(state="SUCCEEDED"))
    actions.resume(engine, study_id)
    assert {row.state for row in read.trials(engine, study_id)} == {"PLANNED"}
    assert [row.state for row in read.stages(engine, study_id)][:2] == ["SUCCEEDED", "PLANNED"]


def test_another_study_reopens_a_stage_that_was_given_up(engine, study_id):
    actions.cancel(engine, study_id)
    force(engine, t.stages, state="CANCELLED")
    other = submit(engine, toy_plan(name="other", levels=(0,), seeds=1))
    assert {row.state for row in read.stages(engine, other)} == {"PLANNED"}


def test_share_of_the_slots_is_changed_part_by_part_with_an_event_and_a_bell(engine, study_id):
    before = read.bell(engine)
    assert actions.share(engine, study_id, priority=3) == (3, 0)
    assert actions.share(engine, study_id, max_slots=2) == (3, 2)
    assert actions.share(engine, study_id, max_slots=2) == (3, 2)
    row = read.study(engine, study_id)
    assert (row.priority, row.max_slots) == (3, 2)
    assert [event.detail for event in read.events(engine, study_id) if event.entity == "share"] == [
        {"priority": 3, "max_slots": 2}, {"priority": 3, "max_slots": 0}]
    assert read.bell(engine) == before + 2
    assert verify(engine).differences == ()


def test_share_of_an_unknown_study_is_an_error(engine):
    with pytest.raises(StudyError, match="holds no study with this id"):
        actions.share(engine, "nobody", priority=1)
