"""The driver over both ledgers, with toy stages in this process."""

import json
import signal
import threading
from collections import Counter
from dataclasses import replace

import pytest
from sqlalchemy import select

from orchestrator.driver.loop import Driver, Exit, drive
from orchestrator.errors import LostLease
from orchestrator.execution.executor import InlineExecutor
from orchestrator.execution.record import write_result
from orchestrator.ledger import actions, lease, load_snapshot, outbox, read
from orchestrator.ledger import tables as t
from orchestrator.ledger.engine import open_ledger, transaction
from orchestrator.ledger.submit import submit
from tests.support.toy import executions, table, toy_execute, toy_plan, toy_settings


@pytest.fixture
def settings(tmp_path, ledger_url):
    return toy_settings(tmp_path, ledger=ledger_url)


def inline(_):
    return InlineExecutor(toy_execute)


def run(settings, study_id, **options):
    return drive(settings, until=study_id, executor=inline, **options)


def states(engine, study_id):
    return Counter(row.state for row in read.trials(engine, study_id))


def test_a_study_is_driven_to_its_end(engine, settings):
    study_id = submit(engine, toy_plan())
    assert run(settings, study_id) is Exit.FINISHED
    row = read.study(engine, "toy")
    assert (row.state, row.num_trials, row.trials_done) == ("COMPLETED", 6, 6)
    assert (row.stages_total, row.stages_done, row.requested_stages) == (19, 19, 24)
    assert len(read.scores(engine, study_id)) == 12


def test_a_shared_stage_is_executed_once(engine, settings):
    run(settings, submit(engine, toy_plan()))
    assert Counter(executions(settings)) == {"pretrain": 1, "sft": 6, "evaluate": 12}


def test_driving_again_executes_nothing_and_makes_no_executor(engine, settings):
    study_id = submit(engine, toy_plan())
    run(settings, study_id)
    before = executions(settings)
    assert drive(settings, until=study_id, executor=pytest.fail) is Exit.FINISHED
    assert executions(settings) == before


def test_a_second_study_finds_the_stages_of_the_first(engine, settings):
    run(settings, submit(engine, toy_plan(name="one", levels=(0, 1))))
    run(settings, submit(engine, toy_plan(name="two", levels=(1, 2))))
    assert Counter(executions(settings)) == {"pretrain": 1, "sft": 6, "evaluate": 12}


def test_two_studies_share_in_flight(engine, settings):
    ids = [submit(engine, toy_plan(name=name)) for name in ("one", "two")]
    for study_id in ids:
        run(settings, study_id)
    assert Counter(executions(settings)) == {"pretrain": 1, "sft": 6, "evaluate": 12}
    assert [row[2:] for row in table(engine, ids[0])] == [row[2:] for row in table(engine, ids[1])]


def test_both_engines_give_the_same_table(tmp_path, sqlite_url, postgres_url):
    tables = []
    for name, url in (("sqlite", sqlite_url), ("postgres", postgres_url)):
        settings, engine = toy_settings(tmp_path / name, ledger=url), open_ledger(url)
        study_id = submit(engine, toy_plan())
        run(settings, study_id)
        tables.append(table(engine, study_id))
        engine.dispose()
    assert tables[0] == tables[1]


def test_failures_stop_their_own_trials_only(engine, settings):
    study_id = submit(engine, toy_plan(trouble={1: "error", 2: "diverge"}))
    run(settings, study_id)
    assert states(engine, study_id) == {"SUCCEEDED": 2, "FAILED": 2, "DIVERGED": 2}
    assert read.study(engine, "toy").state == "COMPLETED_WITH_FAILURES"
    failed = [row for row in read.stages(engine, study_id) if row.state == "FAILED"]
    assert {row.failure["message"] for row in failed} == {"trouble was asked for"}
    assert "raise ValueError" in failed[0].failure["traceback"]


def test_a_diverged_stage_keeps_its_record(engine, settings):
    study_id = submit(engine, toy_plan(trouble={0: "diverge"}, levels=(0,), seeds=1))
    run(settings, study_id)
    assert [row.failure["record"] for row in read.stages(engine, study_id) if row.state == "DIVERGED"] == [{"step": 0}]


def test_the_same_error_everywhere_pauses_the_study(engine, settings):
    study_id = submit(engine, toy_plan(trouble=dict.fromkeys(range(9), "error"), levels=range(9), seeds=1))
    assert run(settings, study_id) is Exit.PAUSED
    assert read.study(engine, "toy").reason == "poisoned: 3 stages failed with the same error"


def test_a_failed_study_is_given_another_chance_by_a_person(engine, settings):
    study_id = submit(engine, toy_plan(trouble={1: "error"}, levels=(0, 1), seeds=1))
    run(settings, study_id)
    actions.resume(engine, study_id)
    run(settings, study_id)
    assert Counter(executions(settings))["sft"] == 3
    assert states(engine, study_id) == {"SUCCEEDED": 1, "FAILED": 1}


# ---- the driver's picture of the ledger ----


@pytest.mark.parametrize("trouble", [{}, {1: "error", 2: "diverge"}])
def test_the_picture_in_memory_is_what_the_ledger_says(engine, settings, trouble):
    submit(engine, toy_plan(trouble=trouble, benchmarks=("a",)))
    driver = Driver(engine, settings, inline)
    driver.acquire()
    for _ in range(12):
        driver.one_round()
        with engine.connect() as connection:
            told = load_snapshot.read_snapshot(connection)
        mine = driver._snapshot
        assert {key: mine.studies[key] for key in told.studies} == told.studies
        assert {key: mine.trials[key] for key in told.trials} == told.trials
        assert {key: mine.stages[key] for key in told.stages} == told.stages
        assert mine.attempts == told.attempts
    driver.close()


def test_states_are_what_the_events_say(engine, settings):
    study_id = submit(engine, toy_plan(trouble={1: "error"}))
    run(settings, study_id)
    replayed = {(event.entity, event.entity_id): event.to_state for event in reversed(read.events(engine, limit=10_000))}
    for row in read.stages(engine, study_id):
        assert replayed["stage", row.stage_id] == row.state
    for row in read.trials(engine, study_id):
        assert replayed["trial", row.trial_key] == row.state
    assert replayed["study", study_id] == read.study(engine, "toy").state


def test_tracking_hears_of_every_trial_and_attempt(engine, settings):
    study_id = submit(engine, toy_plan(levels=(0,), seeds=1))
    run(settings, study_id)
    kinds = Counter(each.kind for each in outbox.pending(engine))
    assert kinds == {"trial_created": 1, "attempt_started": 4, "attempt_finished": 4, "trial_finished": 1}
    last = [each for each in outbox.pending(engine) if each.kind == "trial_finished"][0]
    assert (last.seq, last.payload["state"], sorted(last.payload["scores"])) == (2, "SUCCEEDED", ["a", "b"])


# ---- taking over ----


def crash_after(settings, engine, turns):
    """Drive so far, then vanish without a word."""
    driver = Driver(engine, settings, inline)
    driver.acquire()
    for _ in range(turns):
        driver.one_round()
    driver._keeper.stop()
    with transaction(engine) as connection:
        connection.execute(t.driver_lease.update().values(lease_expires_at=0.0))
    return driver


def test_a_result_that_nobody_accepted_is_harvested_not_repeated(engine, settings):
    study_id = submit(engine, toy_plan(levels=(0,), seeds=1))
    driver = crash_after(settings, engine, 1)
    driver._in_flight.poll(0.0)  # the worker finishes; its driver is gone before it accepts
    run(settings, study_id)
    assert Counter(executions(settings))["pretrain"] == 1
    assert {row.attempts_made for row in read.stages(engine, study_id)} == {1}


def test_an_attempt_without_result_is_lost_uncharged_and_repeated(engine, settings):
    study_id = submit(engine, toy_plan(levels=(0,), seeds=1))
    crash_after(settings, engine, 1)
    run(settings, study_id)
    first = read.stages(engine, study_id)[0]
    assert (first.state, first.attempts_made) == ("SUCCEEDED", 2)
    with engine.connect() as connection:
        row = connection.execute(select(t.attempts).where(t.attempts.c.attempt_no == 1)).first()
    assert (row.state, row.is_charged) == ("LOST", False)


def test_a_result_with_another_token_is_not_accepted(engine, settings):
    study_id = submit(engine, toy_plan(levels=(0,), seeds=1))
    driver = crash_after(settings, engine, 1)
    order = next(iter(driver._in_flight._orders.values()))
    folder = driver._in_flight.artifacts.attempt_dir(order["stage_id"], 1)
    folder.mkdir(parents=True)
    write_result(folder, {"attempt_id": "somebody", "attempt_no": 1, "state": "SUCCEEDED", "result": {}, "failure": None, "seconds": 1.0})
    run(settings, study_id)
    assert read.stages(engine, study_id)[0].attempts_made == 2


def test_a_replaced_driver_can_do_nothing_more(engine, settings):
    submit(engine, toy_plan())
    old = crash_after(settings, engine, 2)
    new = Driver(engine, settings, inline)
    assert new.acquire()
    new.decide_and_apply()
    with pytest.raises(LostLease):
        old.decide_and_apply()
    new.close()


def test_a_driver_that_was_replaced_leaves_with_fenced(engine, settings):
    study_id = submit(engine, toy_plan())

    def steal(_view):
        lease.acquire(engine, "thief", ttl_s=60, holder={}, dead=read.driver(engine).driver_id)

    assert run(settings, study_id, on_tick=steal) is Exit.FENCED


def test_while_another_drives_this_one_watches_and_then_takes_over(engine, settings):
    study_id = submit(engine, toy_plan(levels=(0,), seeds=1))
    other = lease.acquire(engine, "other", ttl_s=60, holder={})
    seen = []

    def watch(view):
        seen.append(view.is_driver)
        lease.release(engine, other)

    assert run(settings, study_id, on_tick=watch) is Exit.FINISHED
    assert (seen[0], seen[-1]) == (False, True)


def test_a_driver_whose_executor_is_slow_to_start_is_not_replaced(engine, settings, monkeypatch):
    """Ray may take longer to start than the lease lasts."""
    settings = settings.model_copy(update={"lease_ttl_s": 0.3})
    study_id = submit(engine, toy_plan(levels=(0,), seeds=1))
    renewals, second = threading.Semaphore(0), Driver(engine, settings, inline)

    def renew(*arguments):
        is_ours = real(*arguments)
        renewals.release()
        return is_ours

    real = lease.renew
    monkeypatch.setattr(lease, "renew", renew)
    replaced = []

    def slow(made):
        for _ in range(5):
            assert renewals.acquire(timeout=30)
            replaced.append(second.acquire())
        return inline(made)

    assert drive(settings, until=study_id, executor=slow) is Exit.FINISHED
    assert replaced == [False] * 5
    assert {row.attempts_made for row in read.stages(engine, study_id)} == {1}


# ---- persons and signals ----


def test_a_paused_study_ends_the_wait_and_goes_on_when_resumed(engine, settings):
    study_id = submit(engine, toy_plan())
    actions.pause(engine, study_id)
    assert run(settings, study_id) is Exit.PAUSED
    assert executions(settings) == []
    actions.resume(engine, study_id)
    assert run(settings, study_id) is Exit.FINISHED


def test_a_study_paused_on_the_way_keeps_what_it_has(engine, settings):
    study_id = submit(engine, toy_plan())
    assert run(settings, study_id, on_tick=lambda view: actions.pause(engine, study_id)) is Exit.PAUSED
    actions.resume(engine, study_id)
    run(settings, study_id)
    assert states(engine, study_id) == {"SUCCEEDED": 6}


def test_cancelling_one_study_leaves_the_stages_that_another_needs(engine, settings):
    keep, drop = (submit(engine, toy_plan(name=name, levels=levels)) for name, levels in (("keep", (0, 1)), ("drop", (1, 2))))
    actions.cancel(engine, drop)
    run(settings, keep)
    assert states(engine, keep) == {"SUCCEEDED": 4}
    assert states(engine, drop) == {"CANCELLED": 4}
    assert Counter(row.state for row in read.stages(engine, drop)) == {"SUCCEEDED": 7, "CANCELLED": 6}


def test_sigterm_lets_attempts_save_and_the_next_run_resume(engine, settings):
    study_id = submit(engine, toy_plan(levels=(0,), seeds=1, steps=8))
    ticks = iter(range(100))

    def interrupt(_view):
        if next(ticks) == 0:
            signal.raise_signal(signal.SIGTERM)

    assert run(settings, study_id, on_tick=interrupt) is Exit.STOPPED
    assert read.driver(engine).is_live is False
    assert run(settings, study_id) is Exit.FINISHED


def test_a_driver_beside_the_main_thread_needs_no_signals(engine, settings):
    study_id = submit(engine, toy_plan(levels=(0,), seeds=1))
    ends = []
    thread = threading.Thread(target=lambda: ends.append(run(settings, study_id)))
    thread.start()
    thread.join(60)
    assert ends == [Exit.FINISHED]


def test_what_is_watched_says_how_far_it_is(engine, settings):
    views = []
    run(settings, submit(engine, toy_plan()), on_tick=views.append)
    assert max(view.num_live for view in views) == settings.slots
    assert views[-1] == replace(views[-1], num_live=0, is_driver=True)


def test_a_plan_can_be_read_back(engine):
    study_id = submit(engine, toy_plan())
    row = read.trials(engine, study_id)[0]
    assert (json.dumps(row.levels), row.seed, len(row.stage_ids)) == ('{"sft.mixture.alpha.science": 0}', 0, 4)
