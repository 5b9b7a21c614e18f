"""The ledger's database restarts, is cut off, loses a reply, is locked, is full, has a clock that jumps."""

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import event

from orchestrator.driver import driver as holder
from orchestrator.driver import loop as driver_module
from orchestrator.driver.loop import Driver, Exit, drive
from orchestrator.errors import LedgerAway, StaleWrite
from orchestrator.execution.executor import InlineExecutor
from orchestrator.ledger import lease, load_snapshot, read
from orchestrator.ledger import tables as t
from orchestrator.ledger.engine import fenced, open_ledger, retrying, transaction
from orchestrator.ledger.submit import submit
from orchestrator.ledger.verify import verify
from orchestrator.ledger.write import apply
from orchestrator.scheduler.actions import Assign, MoveStage
from orchestrator.states import StageState
from tests.support.toy import executions, table, toy_execute, toy_plan, toy_settings
from tests.support.wire import Wire


def plan():
    return toy_plan(levels=(0, 1), seeds=1, benchmarks=("a",), trouble={1: "diverge"})


def inline(_):
    return InlineExecutor(toy_execute)


@pytest.fixture
def engine(ledger_url):
    engine = open_ledger(ledger_url)
    yield engine
    engine.dispose()


@pytest.fixture
def undisturbed(tmp_path):
    settings = toy_settings(tmp_path / "undisturbed")
    engine = open_ledger(settings.ledger_url)
    study_id = submit(engine, plan())
    drive(settings, until=study_id, executor=inline)
    return table(engine, study_id), sorted(executions(settings))


@pytest.fixture
def wired(postgres):
    """A PostgreSQL ledger at the end of a wire."""
    wire = Wire(postgres.socket())
    url = postgres.fresh()
    yield wire, url.split("?")[0].replace("postgres:@/", f"postgres:@127.0.0.1:{wire.port}/")
    wire.close()


def test_a_commit_whose_reply_is_lost_has_its_effect_once(tmp_path, wired, undisturbed, record_property):
    """The reply of each of the driver's commits in turn is lost."""
    wire, url = wired
    settings = toy_settings(tmp_path, ledger=url)
    engine = open_ledger(url)
    study_id = submit(engine, plan())
    driver = Driver(engine, settings, inline)
    driver.acquire()
    while driver.exit_of(study_id) is None:
        wire.mode = "cut after commit"
        driver.decide_and_apply()
        driver._pending += driver._in_flight.poll(0.0)
    wire.mode = "pass"
    assert wire.num_cuts >= 5
    assert (table(engine, study_id), sorted(executions(settings))) == undisturbed
    assert max(row.attempts_made for row in read.stages(engine, study_id)) == 1
    assert verify(engine).differences == ()
    driver.close()
    record_property("survived", wire.num_cuts)


def test_a_commit_that_did_not_arrive_is_made_again(tmp_path, wired, undisturbed, monkeypatch):
    """The connection breaks before COMMIT is sent: nothing was written, and the read-back says so."""
    wire, url = wired
    settings, engine = toy_settings(tmp_path, ledger=url), open_ledger(url)
    study_id = submit(engine, plan())
    cuts = iter(range(100))
    real = holder.record_progress

    def cut(*args, **kwargs):
        real(*args, **kwargs)
        if next(cuts) % 2 == 0:
            wire.cut_all()

    monkeypatch.setattr(holder, "record_progress", cut)
    assert drive(settings, until=study_id, executor=inline) is Exit.FINISHED
    assert (table(engine, study_id), sorted(executions(settings))) == undisturbed


def test_a_database_that_is_killed_and_started_again_is_waited_for(tmp_path, doomed_postgres, undisturbed, monkeypatch):
    monkeypatch.setattr(holder, "RETRY_S", 0.05)
    url = doomed_postgres.fresh()
    settings, engine = toy_settings(tmp_path, ledger=url), open_ledger(url)
    study_id = submit(engine, plan())
    troubles = []

    def kill(view):
        troubles.append(view.trouble)
        if len(troubles) == 2:
            doomed_postgres.kill()
        if view.trouble and len([each for each in troubles if each]) == 1:
            doomed_postgres.start()

    assert drive(settings, until=study_id, executor=inline, on_tick=kill) is Exit.FINISHED
    assert any("the ledger does not answer" in each for each in troubles)
    assert (table(engine, study_id), sorted(executions(settings))) == undisturbed
    assert verify(engine).differences == ()


def test_a_driver_whose_database_stays_away_lets_workers_save_and_leaves(tmp_path, wired, monkeypatch):
    monkeypatch.setattr(holder, "RETRY_S", 0.05)
    monkeypatch.setattr(holder, "WAIT_S", 0.05)
    monkeypatch.setattr(lease, "_RELEASE_FOR_S", 0.05)
    wire, url = wired
    settings, engine = toy_settings(tmp_path, ledger=url, ledger_patience_s=0.2), open_ledger(url)
    study_id = submit(engine, toy_plan(levels=(0,), seeds=1, benchmarks=("a",), steps=8))

    def cut(view):
        if view.num_live:
            wire.mode = "refuse"
            wire.cut_all()

    with pytest.raises(LedgerAway, match=r"the ledger does not answer(.|\n)*hint: what was finished is safe"):
        drive(settings, until=study_id, executor=inline, on_tick=cut)
    wire.mode = "pass"
    with transaction(engine) as connection:
        connection.execute(t.driver_lease.update().values(lease_expires_at=1.0))  # it ran out by itself
    assert drive(settings, until=study_id, executor=inline) is Exit.FINISHED
    assert read.study(engine, study_id).state == "COMPLETED"
    assert verify(engine).differences == ()


def test_a_connection_that_the_server_ends_is_made_again(tmp_path, postgres_url, undisturbed):
    settings, engine = toy_settings(tmp_path, ledger=postgres_url), open_ledger(postgres_url)
    study_id = submit(engine, plan())

    def terminate(_view):
        with engine.connect() as connection:
            connection.exec_driver_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                                       "WHERE datname = current_database() AND pid <> pg_backend_pid()")

    assert drive(settings, until=study_id, executor=inline, on_tick=terminate) is Exit.FINISHED
    assert (table(engine, study_id), sorted(executions(settings))) == undisturbed


def test_eight_threads_claim_each_stage_once(ledger_url, engine, record_property):
    study_id = submit(engine, toy_plan(levels=range(20), seeds=2, benchmarks=("a",)))
    fence = lease.acquire(engine, "driver", ttl_s=600, holder={})
    ids = [row.stage_id for row in read.stages(engine, study_id)]
    won: list[str] = []

    def claim_all(thread):
        mine = open_ledger(ledger_url)
        for number, stage_id in enumerate(ids):
            try:
                retrying(lambda: claim(mine, fence, f"{thread} {number}", stage_id, study_id))  # noqa: B023
                won.append(stage_id)
            except StaleWrite:
                continue
        mine.dispose()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(claim_all, range(8)))
    assert sorted(won) == sorted(ids)
    record_property("survived", len(ids) * 8)


def claim(engine, fence, attempt_id, stage_id, study_id):
    with fenced(engine, fence) as tx:
        apply(tx, fence, [MoveStage(stage_id, StageState.PLANNED, StageState.QUEUED), Assign(attempt_id, stage_id, 1, study_id, 1.0)],
              artifact_of=lambda stage_id, _: stage_id)


def test_a_writer_waits_for_one_that_holds_the_lock(tmp_path, undisturbed):
    """Another process holds SQLite's write lock beyond any statement's patience; nobody sees more than a delay."""
    settings = toy_settings(tmp_path)
    engine = open_ledger(settings.ledger_url)
    study_id = submit(engine, plan())
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None, check_same_thread=False)
    locked = []

    def lock(_view):
        if not locked:
            locked.append(other.execute("BEGIN IMMEDIATE"))
            threading.Timer(0.5, other.rollback).start()

    assert drive(settings, until=study_id, executor=inline, on_tick=lock) is Exit.FINISHED
    assert table(engine, study_id) == undisturbed[0]


def test_a_full_disk_of_the_ledger_is_waited_for_and_corrupts_nothing(tmp_path, undisturbed, monkeypatch):
    monkeypatch.setattr(holder, "RETRY_S", 0.05)
    settings = toy_settings(tmp_path)
    study_id = submit(open_ledger(settings.ledger_url), plan())
    full, troubles = [], []
    real = driver_module.open_ledger

    def small(url):
        engine = real(url)

        @event.listens_for(engine, "begin")
        def _limit(connection):
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar() if full else 2**30
            connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

        return engine

    def watch(view):
        troubles.append(view.trouble)
        if len(troubles) == 2:
            full.append(True)
        if view.trouble:
            full.clear()

    monkeypatch.setattr(driver_module, "open_ledger", small)
    assert drive(settings, until=study_id, executor=inline, on_tick=watch) is Exit.FINISHED
    assert any("database or disk is full" in each for each in troubles)
    engine = open_ledger(settings.ledger_url)
    assert table(engine, study_id) == undisturbed[0]
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


# ---- clocks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jump_s", [-3600.0, 3600.0])
def test_a_clock_of_the_process_that_jumps_changes_nothing(tmp_path, ledger_url, engine, undisturbed, monkeypatch, jump_s):
    settings = toy_settings(tmp_path, ledger=ledger_url)
    study_id = submit(engine, plan())
    real, jumped = time.time, []
    monkeypatch.setattr(time, "time", lambda: real() + (jump_s if jumped else 0.0))
    assert drive(settings, until=study_id, executor=inline, on_tick=jumped.append) is Exit.FINISHED
    assert (table(engine, study_id), sorted(executions(settings))) == undisturbed


@pytest.mark.parametrize("jump_s", [-3600.0, 3600.0])
def test_a_clock_of_the_database_that_jumps_reaps_and_delays_nothing(tmp_path, undisturbed, monkeypatch, jump_s):
    """SQLite's clock is replaced: an hour forward or back in the middle of a study with a retry in it."""
    settings = toy_settings(tmp_path, retry_base_s=0.01)
    study_id = submit(open_ledger(settings.ledger_url), plan())
    jumped, real = [], driver_module.open_ledger

    def clocked(url):
        engine = real(url)
        event.listen(engine, "connect", lambda connection, _: connection.create_function("julianday", 1, julian))
        engine.dispose()
        return engine

    def julian(_now):
        return (time.time() + (jump_s if jumped else 0.0)) / 86400.0 + 2440587.5

    monkeypatch.setattr(driver_module, "open_ledger", clocked)
    assert drive(settings, until=study_id, executor=inline, on_tick=jumped.append) is Exit.FINISHED
    engine = open_ledger(settings.ledger_url)
    assert (table(engine, study_id), sorted(executions(settings))) == undisturbed


def test_a_lease_from_a_clock_that_was_set_back_can_be_taken(engine):
    lease.acquire(engine, "old", ttl_s=15, holder={})
    with transaction(engine) as connection:
        connection.execute(t.driver_lease.update().values(lease_expires_at=t.now_s() + 3600))
    assert read.driver(engine).is_live is False
    assert lease.acquire(engine, "new", ttl_s=15, holder={}).epoch == 2


def test_a_reader_holds_up_no_driver(tmp_path, ledger_url, engine, undisturbed):
    settings = toy_settings(tmp_path, ledger=ledger_url)
    study_id = submit(engine, plan())
    reader = open_ledger(ledger_url)
    with reader.connect() as connection:
        before = load_snapshot.read_snapshot(connection)
        assert drive(settings, until=study_id, executor=inline) is Exit.FINISHED
        assert len(before.stages) == 5
    assert table(engine, study_id) == undisturbed[0]
