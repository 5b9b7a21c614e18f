import json
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import inspect, select, text
from sqlalchemy.exc import OperationalError

from orchestrator.driver.loop import drive
from orchestrator.errors import NotAllowed, OrchestratorError
from orchestrator.ledger import actions, lease, read, schema
from orchestrator.ledger import engine as ledger_engine
from orchestrator.ledger.engine import (
    is_ledger,
    open_any_schema,
    open_existing,
    open_for_reading,
    open_ledger,
    transaction,
    upgrade,
)
from orchestrator.ledger.submit import submit
from orchestrator.ledger.tables import metadata, now_s
from orchestrator.settings import Settings
from tests.support.toy import toy_plan, toy_settings


def test_migrations_lead_to_the_tables_of_the_code(engine):
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata) == []


def taken_back(engine, to):
    config = Config()
    config.set_main_option("script_location", str(Path(ledger_engine.__file__).parent / "migrations"))
    with transaction(engine) as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, to)


def test_migrations_can_be_taken_back(engine):
    taken_back(engine, "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]


def test_opening_again_keeps_what_is_there(ledger_url):
    first = open_ledger(ledger_url)
    with transaction(first) as connection:
        connection.execute(text("UPDATE driver_lease SET bell = 7"))
    second = open_ledger(ledger_url)
    with second.connect() as connection:
        assert connection.execute(text("SELECT bell FROM driver_lease")).scalar_one() == 7
    first.dispose(), second.dispose()


def test_a_ledger_of_a_newer_release_is_refused(engine, ledger_url):
    with transaction(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(OrchestratorError, match=r"schema 9999 is newer than this release knows(.|\n)*hint: upgrade"):
        open_ledger(ledger_url)


OLDER = r"schema 0005 is of an older release; this one needs 0006(.|\n)*hint: `ablate ledger upgrade`"


@pytest.mark.parametrize("opening", [open_ledger, open_existing, open_for_reading])
def test_an_older_ledger_is_refused_and_left_as_it_is(engine, ledger_url, opening):
    taken_back(engine, "-1")
    with pytest.raises(OrchestratorError, match=OLDER):
        opening(ledger_url)
    assert revision(engine) == "0005"


def test_a_driver_refuses_an_older_ledger(tmp_path, sqlite_url):
    opened = open_ledger(sqlite_url)
    taken_back(opened, "-1")
    opened.dispose()
    with pytest.raises(OrchestratorError, match=OLDER):
        drive(toy_settings(tmp_path, ledger=sqlite_url))


def revision(engine):
    with engine.connect() as connection:
        return schema.revision(connection)


def test_an_older_ledger_is_upgraded_once_its_driver_is_gone(engine, ledger_url):
    fence = lease.acquire(engine, "older", ttl_s=60.0, holder={"host": "here", "pid": 7})
    taken_back(engine, "-1")
    with pytest.raises(OrchestratorError, match=r'below a driver that works on it(.|\n)*"pid": 7(.|\n)*runs out in \d+ s'):
        upgrade(ledger_url)
    assert revision(engine) == "0005"
    lease.release(engine, fence)
    assert upgrade(ledger_url) == ("0005", schema.HEAD)
    assert upgrade(ledger_url) == (schema.HEAD, schema.HEAD)
    open_ledger(ledger_url).dispose()


@pytest.mark.parametrize("opening", [open_existing, open_any_schema, upgrade])
def test_where_there_is_no_ledger_only_one_way_of_opening_makes_one(tmp_path, opening):
    with pytest.raises(OrchestratorError, match=r"no ledger at sqlite:(.|\n)*hint: `ablate run` makes one"):
        opening(f"sqlite:///{tmp_path}/none/ledger.db")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_database_on_a_server_stays_empty_when_it_is_read(postgres):
    url = postgres.empty()
    reading = open_for_reading(url)
    assert (read.studies(reading), is_ledger(reading)) == ([], False)
    with pytest.raises(OrchestratorError, match="no ledger at postgresql"):
        open_existing(url)
    writing = open_ledger(url)
    assert is_ledger(writing)
    writing.dispose()


def test_another_engine_is_refused():
    with pytest.raises(OrchestratorError, match="engine 'mysql'; allowed: sqlite, postgresql"):
        open_ledger("mysql://host/database")


def test_the_database_has_a_clock(engine):
    with engine.connect() as connection:
        assert connection.execute(select(now_s())).scalar_one() > 1.7e9


def test_a_failed_transaction_leaves_nothing(engine):
    def ring_and_fail():
        with transaction(engine) as connection:
            connection.execute(text("UPDATE driver_lease SET bell = 7"))
            raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        ring_and_fail()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT bell FROM driver_lease")).scalar_one() == 0


def test_sqlite_is_durable_and_patient(sqlite_url):
    engine = open_ledger(sqlite_url)
    with engine.connect() as connection:
        found = [connection.execute(text(f"PRAGMA {name}")).scalar_one() for name in ("journal_mode", "synchronous", "foreign_keys")]
    engine.dispose()
    assert json.dumps(found) == '["wal", 2, 1]'


# ---- reading ----


def left_in(folder):
    return {path.relative_to(folder): (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")}


@pytest.mark.parametrize("name", ["plain", "job_feature%2Fx", "what? #1", "two words", "größe"])
def test_reading_changes_nothing_in_a_home_and_beside_it(tmp_path, monkeypatch, name):
    monkeypatch.setenv("ABLATE_HOME", str(tmp_path / name))
    url = Settings.load().ledger_url
    writing = open_ledger(url)
    study_id = submit(writing, toy_plan())
    writing.dispose()
    before = left_in(tmp_path)
    reading = open_for_reading(url)
    assert read.study(reading, "toy").study_id == study_id
    with pytest.raises(OperationalError, match="readonly"):
        actions.pause(reading, study_id)
    reading.dispose()
    assert left_in(tmp_path) == before
    assert {path.name for path in tmp_path.rglob("*")} == {name, "ledger.db"}


def test_reading_sees_what_a_writer_beside_it_has_not_folded_in_yet(tmp_path):
    url = f"sqlite:///{tmp_path}/ledger.db"
    writing, reading = open_ledger(url), open_for_reading(url)
    with writing.connect() as held:
        held.execute(text("SELECT 1"))
        submit(writing, toy_plan())
        assert (tmp_path / "ledger.db-wal").stat().st_size > 0
        assert read.study(reading, "toy").num_trials == 6
    writing.dispose()
    assert read.study(reading, "toy").num_trials == 6
    reading.dispose()


def test_where_there_is_no_ledger_reading_finds_an_empty_one_and_makes_none(tmp_path):
    reading = open_for_reading(f"sqlite:///{tmp_path}/none/ledger.db")
    assert (read.studies(reading), read.driver(reading), read.outbox_lag(reading)) == ([], None, 0)
    assert list(tmp_path.iterdir()) == []
    reading.dispose()


def test_a_server_takes_nothing_from_one_who_reads(postgres_url):
    writing, reading = open_ledger(postgres_url), open_for_reading(postgres_url)
    study_id = submit(writing, toy_plan())
    assert read.study(reading, "toy").study_id == study_id
    with pytest.raises(NotAllowed, match="read-only transaction"):
        actions.pause(reading, study_id)
    writing.dispose()
    reading.dispose()
