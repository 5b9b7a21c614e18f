"""A ledger that a driver wrote agrees with its events; each kind of tampering is named."""

import pytest
from sqlalchemy import text

from orchestrator.driver.loop import drive
from orchestrator.execution.executor import InlineExecutor
from orchestrator.ledger.engine import transaction
from orchestrator.ledger.submit import submit
from orchestrator.ledger.verify import verify
from tests.support.toy import toy_execute, toy_plan, toy_settings


@pytest.fixture
def engine(tmp_path, ledger_url, engine):
    """A finished study with a failed, a diverged and good arms."""
    settings = toy_settings(tmp_path, ledger=ledger_url)
    study_id = submit(engine, toy_plan(trouble={1: "error", 2: "diverge"}, benchmarks=("a",), seeds=1))
    drive(settings, until=study_id, executor=lambda _: InlineExecutor(toy_execute))
    return engine


def tampered(engine, statement):
    with transaction(engine) as connection:
        assert connection.execute(text(statement)).rowcount > 0
    return [f"{each.entity}: {each.what}" for each in verify(engine).differences]


def test_a_ledger_that_only_drivers_wrote_agrees(engine):
    found = verify(engine)
    assert found.differences == ()
    assert (found.num_rows, found.num_events > 30) == (16, True)


@pytest.mark.parametrize(("statement", "named"), [
    ("UPDATE stages SET state = 'QUEUED' WHERE kind = 'pretrain'", "stage: the row says QUEUED, the events say SUCCEEDED"),
    ("UPDATE stages SET state = 'FAILED' WHERE kind = 'pretrain'", "stage: is FAILED with 1 accepted attempts"),
    ("UPDATE trials SET state = 'CANCELLED' WHERE state = 'FAILED'", "trial: the row says CANCELLED, the events say FAILED"),
    ("UPDATE studies SET state = 'COMPLETED'", "study: the row says COMPLETED, the events say COMPLETED_WITH_FAILURES"),
    ("UPDATE attempts SET state = 'LOST' WHERE state = 'USER_ERROR'", "attempt: the row says LOST, the events say USER_ERROR"),
    ("UPDATE attempts SET state = 'RUNNING' WHERE state = 'USER_ERROR'", "stage: is FAILED with 1 live attempts"),
    ("UPDATE attempts SET epoch = 9", "attempt: epoch 9 of 1"),
    ("UPDATE attempts SET attempt_no = 3 WHERE state = 'DIVERGED'", "stage: has made 1 attempts, but its rows are numbered [3]"),
    ("DELETE FROM scores", "stage: succeeded without a score"),
    ("UPDATE events SET from_state = 'PLANNED' WHERE entity = 'stage' AND to_state = 'FAILED'",
     "starts from PLANNED, but the event before it ended in"),
    ("UPDATE events SET to_state = 'SKIPPED' WHERE entity = 'stage' AND to_state = 'SUCCEEDED'", "cannot become SKIPPED"),
    ("DELETE FROM events WHERE entity = 'trial' AND to_state = 'DIVERGED'", "trial: the row says DIVERGED, the events say RUNNING"),
    ("DELETE FROM tracking_outbox WHERE kind = 'attempt_finished'", "with 1 messages for tracking; expected 2"),
    ("UPDATE tracking_outbox SET seq = 5 WHERE kind = 'trial_finished'", "message: 2 messages are numbered 1 to 5"),
])
def test_tampering_is_named(engine, statement, named):
    assert any(named in each for each in tampered(engine, statement))


def test_events_without_a_row_are_named(engine):
    statement = "UPDATE events SET entity_id = 'gone' WHERE entity = 'study'"
    assert "study: has events, but no row" in tampered(engine, statement)


def test_a_trial_cannot_have_succeeded_without_its_stages(engine):
    statement = "UPDATE trials SET state = 'SUCCEEDED' WHERE state = 'FAILED'"
    assert any("succeeded, but its stage" in each for each in tampered(engine, statement))
