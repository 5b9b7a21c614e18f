"""kill -9 at every failpoint, at every visit, on both engines: always the same table, and a ledger that agrees with its events.

A sample runs in `make test`, all in `make chaos`.
"""

import signal
import threading
from collections import Counter

import pytest

from orchestrator.errors import IllegalTransition
from orchestrator.failpoints import KNOWN, failpoint
from orchestrator.failpoints import arm as arm_failpoint
from orchestrator.ledger import actions, read
from orchestrator.ledger.engine import open_ledger
from orchestrator.states import TERMINAL_TRIALS
from tests.chaos.conftest import SCENARIOS, Child, agreed, child, found_in, prepared
from tests.support.toy import executions

ACTS = ("person.before_commit", "person.after_commit")
"""Visited when a person acts, not when a driver drives: `test_a_person_killed_on_the_way` visits them."""
SEARCHES = ("propose.before_commit", "propose.after_commit")
TRACKED = ("flush.after_create", "flush.before_mark")
DRIVEN = tuple(point for point in KNOWN if point not in (*ACTS, *SEARCHES, *TRACKED))
OF = {"search": SEARCHES, "tracked": TRACKED, "sweep": DRIVEN}


def killed_at(settings, scenario, point, visit):
    """Kill a driver at the k-th visit of a point, drive again to the end, return the table."""
    assert child(settings.model_copy(update={"failpoint": f"{point}:{visit}:kill"}), scenario) == -signal.SIGKILL
    assert child(settings, scenario) == 0
    return found_in(settings)


def test_every_point_is_visited_and_known(golden):
    visited = {point for each in golden.values() for point in each.visits}
    assert visited | set(ACTS) == set(KNOWN)


@pytest.mark.parametrize("point", DRIVEN)
def test_a_kill_at_the_first_visit_changes_nothing(point, golden, new_home, record_property):
    assert killed_at(prepared(new_home(), "sweep"), "sweep", point, 1) == golden["sweep"].table
    record_property("survived", 1)


@pytest.mark.chaos
@pytest.mark.parametrize("point", DRIVEN)
def test_a_kill_at_every_visit_changes_nothing(point, golden, new_home, fresh_ledger, record_property):
    visits = Counter(golden["sweep"].visits)[point]
    for visit in range(1, visits + 1):
        home = new_home()
        assert killed_at(prepared(home, "sweep", fresh_ledger(home)), "sweep", point, visit) == golden["sweep"].table, f"visit {visit}"
    record_property("survived", visits)


@pytest.mark.parametrize("point", SEARCHES)
def test_a_kill_while_a_search_proposes_changes_no_proposal(point, golden, new_home, record_property):
    visits = Counter(golden["search"].visits)[point]
    for visit in range(1, visits + 1):
        assert killed_at(prepared(new_home(), "search"), "search", point, visit) == golden["search"].table
    record_property("survived", visits)


@pytest.mark.parametrize("point", TRACKED)
def test_a_kill_while_tracking_sends_loses_and_doubles_nothing(point, golden, new_home, record_property):
    from mlflow.tracking import MlflowClient

    settings = prepared(new_home(), "tracked")
    assert child(settings.model_copy(update={"failpoint": f"{point}:1:kill"}), "tracked") == 0  # kills who writes to MLflow, not the driver
    assert found_in(settings) == golden["tracked"].table
    engine = open_ledger(settings.ledger_url)
    assert read.outbox_lag(engine) > 0
    for _ in range(10):  # a driver waits a while for what is unsent, which on a busy machine is not always long enough
        assert child(settings, "tracked") == 0
        if not read.outbox_lag(engine):
            break
    engine.dispose()
    client = MlflowClient(settings.mlflow_uri)
    ids = [each.experiment_id for each in client.search_experiments()]
    subjects = Counter(run.data.tags["subject"] for run in client.search_runs(ids) if "duplicate_of" not in run.data.tags)
    engine = open_ledger(settings.ledger_url)
    attempts = sum(row.attempts_made for row in read.stages(engine, read.studies(engine)[0].study_id))
    assert set(subjects.values()) == {1}
    assert len(subjects) == attempts + 1
    assert read.outbox_lag(engine) == 0
    engine.dispose()
    record_property("survived", 1)


@pytest.mark.parametrize("point", ["attempt.after_result", "result.before_accept"])
def test_what_a_killed_driver_had_finished_is_harvested_not_trained_again(point, golden, new_home):
    settings = prepared(new_home(), "sweep")
    assert killed_at(settings, "sweep", point, 2) == golden["sweep"].table
    assert sorted(executions(settings)) == sorted(golden["sweep"].executions)


# ---- persons -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", ACTS)
def test_a_person_killed_on_the_way_has_acted_whole_or_not_at_all(point, golden, new_home):
    settings = prepared(new_home(), "sweep")
    assert child(settings.model_copy(update={"failpoint": "lease.after_acquire:1:kill"}), "sweep") == -signal.SIGKILL
    engine = open_ledger(settings.ledger_url)
    study_id = read.studies(engine)[0].study_id
    arm_failpoint(f"{point}:1:raise")
    with pytest.raises(Exception, match=f"failpoint {point}"):
        actions.pause(engine, study_id)
    arm_failpoint("")
    assert read.study(engine, study_id).state == ("QUEUED" if point == ACTS[0] else "PAUSED")
    actions.resume(engine, study_id)
    engine.dispose()
    assert child(settings, "sweep") == 0
    assert found_in(settings) == golden["sweep"].table


def cancelled_at(settings, point, visit):
    """Cancel the study while its driver stands at the k-th visit of a point; let it end, and look at what is left."""
    driver = Child(settings.model_copy(update={"failpoint": f"{point}:{visit}:stop"}), "sweep")
    driver.wait_until_stopped()
    engine = open_ledger(settings.ledger_url)
    study_id = read.studies(engine)[0].study_id
    person = threading.Thread(target=cancel, args=(engine, study_id))
    person.start()  # inside the driver's transaction it waits for that to end
    driver.go_on()
    person.join(60)
    assert driver.end() == 0
    assert read.study(engine, study_id).state in ("CANCELLED", "COMPLETED_WITH_FAILURES")
    assert {row.state for row in read.trials(engine, study_id)} <= set(TERMINAL_TRIALS)
    assert not [row for row in read.stages(engine, study_id) if row.state in ("LEASED", "RUNNING", "QUEUED", "PLANNED")]
    agreed(engine)
    actions.resume(engine, study_id)
    engine.dispose()
    assert child(settings, "sweep") == 0
    return found_in(settings)


def cancel(engine, study_id):
    try:
        actions.cancel(engine, study_id)
    except IllegalTransition:
        assert read.study(engine, study_id).state == "COMPLETED_WITH_FAILURES"


CANCELLABLE = tuple(point for point in DRIVEN if not point.startswith("enter."))


@pytest.mark.parametrize("point", ["tick.before_commit", "attempt.started", "submit.before_handover"])
def test_a_study_cancelled_on_the_way_ends_and_comes_back_whole(point, golden, new_home, record_property):
    assert cancelled_at(prepared(new_home(), "sweep"), point, 1) == golden["sweep"].table
    record_property("survived", 1)


@pytest.mark.chaos
@pytest.mark.parametrize("point", CANCELLABLE)
def test_a_study_cancelled_at_any_visit_ends_and_comes_back_whole(point, golden, new_home, fresh_ledger, record_property):
    visits = Counter(golden["sweep"].visits)[point]
    for visit in range(1, visits + 1):
        home = new_home()
        assert cancelled_at(prepared(home, "sweep", fresh_ledger(home)), point, visit) == golden["sweep"].table, f"visit {visit}"
    record_property("survived", visits)


def test_an_unarmed_point_does_nothing():
    arm_failpoint("")
    failpoint("tick.after_commit")


def test_every_scenario_has_points_of_its_own():
    assert OF.keys() == SCENARIOS.keys()
