"""Two drivers on one ledger: one sleeps past its lease, another takes over, the first wakes and finds that it may do nothing."""

import json
from collections import Counter

import pytest
from sqlalchemy import select

from orchestrator.ledger import read
from orchestrator.ledger import tables as t
from orchestrator.ledger.engine import open_ledger, transaction
from orchestrator.states import TERMINAL_STUDIES
from tests.chaos.conftest import FENCED, Child, child, found_in, prepared

DRIVEN = ("lease.after_acquire", "takeover.after_commit", "tick.after_commit", "submit.before_handover", "submit.after_handover",
          "attempt.started", "attempt.before_result", "attempt.after_result", "result.before_accept")
"""Points between the transactions of a driver; within one it holds the lease, and nobody takes over."""


def let_it_run_out(engine):
    """As if the time-to-live had passed, by the database's clock."""
    with transaction(engine) as connection:
        connection.execute(t.driver_lease.update().values(lease_expires_at=1.0))


def overtaken_at(settings, point, visit):
    """Halt a driver, let a second one finish, wake the first; return the ledger as the second left it and as it is then.

    The first says that it was replaced, unless it slept after its last write: then its study is over, and it leaves in order.
    """
    sleeper = Child(settings.model_copy(update={"failpoint": f"{point}:{visit}:stop"}), "sweep")
    sleeper.wait_until_stopped()
    engine = open_ledger(settings.ledger_url)
    let_it_run_out(engine)
    study, = read.studies(engine)
    assert child(settings, "sweep") == 0
    before = found_in(settings)
    sleeper.go_on()
    assert sleeper.end() == (0 if study.state in TERMINAL_STUDIES else FENCED)
    return engine, before


@pytest.mark.parametrize("point", ["attempt.before_result", "tick.after_commit"])
def test_a_driver_that_slept_past_its_lease_changes_nothing_and_says_so(point, golden, new_home, record_property):
    settings = prepared(new_home(), "sweep")
    engine, before = overtaken_at(settings, point, 2)
    assert before == golden["sweep"].table == found_in(settings)
    lives = [(event.from_state, event.to_state) for event in reversed(read.events(engine, limit=1000)) if event.entity == "driver"]
    assert Counter(lives) == {("", "DRIVING"): 2, ("DRIVING", "FENCED"): 1, ("DRIVING", "LEFT"): 1}
    engine.dispose()
    record_property("survived", 1)


@pytest.mark.chaos
@pytest.mark.parametrize("point", DRIVEN)
def test_a_driver_that_slept_at_any_point_changes_nothing(point, golden, new_home, fresh_ledger, record_property):
    visits = Counter(golden["sweep"].visits)[point]
    for visit in range(1, visits + 1):
        home = new_home()
        settings = prepared(home, "sweep", fresh_ledger(home))
        engine, before = overtaken_at(settings, point, visit)
        assert before == golden["sweep"].table == found_in(settings)
        engine.dispose()
    record_property("survived", visits)


def test_a_zombie_worker_that_reports_late_is_kept_on_disk_and_not_accepted(golden, new_home):
    """The first attempt of the first stage wakes after another was accepted in its place."""
    settings = prepared(new_home(), "sweep")
    engine, _ = overtaken_at(settings, "attempt.before_result", 1)
    with engine.connect() as connection:
        rows = connection.execute(select(t.attempts).where(t.attempts.c.attempt_no == 1, t.attempts.c.state == "LOST")).all()
        mine = t.tracking_outbox.c.subject == f"attempt:{rows[0].attempt_id}"
        told = connection.execute(select(t.tracking_outbox.c.kind).where(mine)).all()
    late = next(settings.artifacts.glob(f"stages/*/{rows[0].stage_id}/attempts/0001/result.json"))
    assert json.loads(late.read_text())["state"] == "SUCCEEDED"
    assert [row.is_charged for row in rows] == [False]
    assert [row.kind for row in told] == ["attempt_started", "attempt_finished"]
    assert found_in(settings) == golden["sweep"].table
    engine.dispose()


def test_a_driver_whose_process_is_seen_to_be_gone_is_replaced_before_its_lease_runs_out(golden, new_home):
    settings = prepared(new_home(), "sweep", lease_ttl_s=10_000.0)
    assert child(settings.model_copy(update={"failpoint": "tick.after_commit:2:kill"}), "sweep") < 0
    assert child(settings, "sweep") == 0
    assert found_in(settings) == golden["sweep"].table
