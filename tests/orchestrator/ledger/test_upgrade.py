"""Ledgers with results that older releases wrote, one of each schema: upgraded, none loses a result, and work goes on.

`tests/vectors/ledgers/SCHEMA.sql` is what the release of that schema left of three toy studies: one done, one with a failed
trial, one submitted and not begun. `SCHEMA.json` is what that release itself read from it: states and scores.
"""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from click.testing import CliRunner

from orchestrator.cli.main import main
from orchestrator.driver.loop import drive
from orchestrator.execution.executor import InlineExecutor
from orchestrator.ledger import backup, read
from orchestrator.ledger.engine import open_ledger
from orchestrator.ledger.schema import HEAD
from orchestrator.ledger.tables import metadata
from orchestrator.ledger.verify import verify
from tests.support.toy import table, toy_execute, toy_settings

FOLDER = Path(__file__).parents[2] / "vectors" / "ledgers"
SCHEMAS = sorted(path.stem for path in FOLDER.glob("*.sql"))


@pytest.fixture(params=SCHEMAS)
def schema(request):
    return request.param


@pytest.fixture
def old(schema, tmp_path, monkeypatch):
    """The URL of an old ledger in the home of the command."""
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript((FOLDER / f"{schema}.sql").read_text())
    monkeypatch.setenv("ABLATE_HOME", str(tmp_path))
    return f"sqlite:///{tmp_path}/ledger.db"


def told_then(schema):
    """Return what the old release read: study -> states and scores."""
    return {name: [tuple(row) for row in rows] for name, rows in json.loads((FOLDER / f"{schema}.json").read_text()).items()}


def told_now(engine):
    return {name: table(engine, read.study(engine, name).study_id) for name in ("done", "bad")}


def ablate(*words):
    return CliRunner().invoke(main, list(words))


def test_there_is_a_ledger_of_every_schema_before_this_one():
    assert [f"{number:04d}" for number in range(1, int(HEAD))] == SCHEMAS


@pytest.mark.parametrize("command", [["status"], ["results", "done"], ["pause", "done"], ["submit", "quickstart"], ["drive"]])
def test_no_command_changes_an_old_ledger_by_itself(old, tmp_path, command):
    before = (tmp_path / "ledger.db").read_bytes()
    refused = ablate(*command)
    assert refused.exit_code == 1
    assert "`ablate ledger upgrade`" in refused.stderr
    assert (tmp_path / "ledger.db").read_bytes() == before


def test_upgraded_ledger_tells_what_the_old_release_told(old, schema):
    done = ablate("ledger", "upgrade", "--json")
    assert done.exit_code == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["from"], answer["to"], Path(answer["backup"]).is_file()) == (schema, HEAD, True)
    engine = open_ledger(old)
    assert told_now(engine) == told_then(schema)
    assert verify(engine).differences == ()
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata) == []
    engine.dispose()
    again = json.loads(ablate("ledger", "upgrade", "--json").stdout)
    assert (again["from"], again["backup"]) == (HEAD, None)


def test_study_that_the_old_release_had_not_begun_is_run(old, tmp_path):
    ablate("ledger", "upgrade")
    engine = open_ledger(old)
    waiting = read.study(engine, "waiting").study_id
    drive(toy_settings(tmp_path), until=waiting, executor=lambda _: InlineExecutor(toy_execute))
    assert {row.state for row in read.trials(engine, waiting)} == {"SUCCEEDED"}
    assert len(read.scores(engine, waiting)) == 2
    assert verify(engine).differences == ()
    engine.dispose()


def test_backup_of_an_old_ledger_is_restored_on_either_engine(old, schema, tmp_path, fresh_ledger):
    saved = backup.back_up(old, tmp_path / "old.zip")
    assert saved.schema == schema
    (tmp_path / "new").mkdir()
    engine = open_ledger(fresh_ledger(tmp_path / "new"))
    backup.restore(engine, tmp_path / "old.zip")
    assert told_now(engine) == told_then(schema)
    assert verify(engine).differences == ()
    engine.dispose()
