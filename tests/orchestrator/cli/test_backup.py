"""A home, or a database server, is lost in the middle of a study; the study ends with the table that it would have had."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.artifacts.owner import owner_of
from orchestrator.artifacts.store import Artifacts
from orchestrator.cli.main import main
from orchestrator.driver.loop import drive
from orchestrator.errors import OrchestratorError
from orchestrator.execution.executor import InlineExecutor
from orchestrator.ledger import backup as saved
from orchestrator.ledger import read
from orchestrator.ledger.engine import open_ledger
from orchestrator.ledger.naming import ledger_id
from orchestrator.ledger.submit import submit
from orchestrator.ledger.verify import verify
from tests.support.ledgers import Server
from tests.support.toy import executions, table, toy_execute, toy_plan, toy_settings


class Lost(Exception):
    """The machine is gone."""


def inline(_settings):
    return InlineExecutor(toy_execute)


def run(*words):
    done = CliRunner().invoke(main, [*words, "--json"])
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def undisturbed(tmp_path):
    settings = toy_settings(tmp_path / "undisturbed")
    engine = open_ledger(settings.ledger_url)
    study_id = submit(engine, toy_plan())
    drive(settings, until=study_id, executor=inline)
    yield table(engine, study_id)
    engine.dispose()


def place(monkeypatch, home: Path, url: str):
    """Let command and driver work in a home, with a ledger at a URL."""
    monkeypatch.setenv("ABLATE_HOME", str(home))
    monkeypatch.setenv("ABLATE_LEDGER_URL", url)
    return toy_settings(home, ledger=url)


def run_until_lost(settings, study_id, file, *, after: int):
    """Drive the study, back the ledger up while the driver works, and lose the machine a few rounds later."""
    rounds = []

    def watch(_view):
        rounds.append(len(executions(settings)))
        if rounds[-1] >= after and not file.exists():
            run("backup", str(file))
        if rounds[-1] >= after + 3:
            raise Lost

    with pytest.raises(Lost):
        drive(settings, until=study_id, executor=inline, on_tick=watch)


@pytest.mark.parametrize("after", [2, 6, 11])
@pytest.mark.parametrize("keeps_artifacts", [True, False], ids=["artifacts elsewhere", "artifacts lost too"])
def test_study_ends_as_if_its_home_had_never_been_lost(fresh_ledger, tmp_path, monkeypatch, undisturbed, keeps_artifacts, after):
    (tmp_path / "old").mkdir(), (tmp_path / "new").mkdir()
    settings, file = place(monkeypatch, tmp_path / "old", fresh_ledger(tmp_path / "old")), tmp_path / "saved.zip"
    engine = open_ledger(settings.ledger_url)
    study_id, name = submit(engine, toy_plan()), ""
    run_until_lost(settings, study_id, file, after=after)
    name = ledger_id(engine)
    engine.dispose()
    if keeps_artifacts:
        shutil.move(tmp_path / "old" / "artifacts", tmp_path / "new" / "artifacts")
    shutil.rmtree(tmp_path / "old")

    settings = place(monkeypatch, tmp_path / "new", fresh_ledger(tmp_path / "new"))
    told = run("restore", str(file))
    assert (told["ledger_id"], bool(told["missing"])) == (name, not keeps_artifacts)
    engine = open_ledger(settings.ledger_url)
    assert verify(engine).differences == ()
    drive(settings, until=study_id, executor=inline)
    assert table(engine, study_id) == undisturbed
    assert verify(engine).differences == ()
    assert owner_of(Artifacts(settings.artifacts)).ledger_id == name
    engine.dispose()


@pytest.fixture
def finished(tmp_path, sqlite_url, monkeypatch):
    """A finished study in an SQLite ledger, and its backup."""
    settings = place(monkeypatch, tmp_path, sqlite_url)
    engine = open_ledger(sqlite_url)
    study_id = submit(engine, toy_plan())
    drive(settings, until=study_id, executor=inline)
    run("backup", str(tmp_path / "saved.zip"))
    yield engine, study_id, tmp_path / "saved.zip"
    engine.dispose()


def test_ledger_of_one_engine_goes_on_in_the_other(finished, postgres: Server, tmp_path, monkeypatch):
    engine, study_id, file = finished
    url = postgres.fresh()
    place(monkeypatch, tmp_path, url)
    run("restore", str(file))
    server = open_ledger(url)
    assert table(server, study_id) == table(engine, study_id)
    assert len(read.events(server, study_id, 1000)) == len(read.events(engine, study_id, 1000))
    submit(server, toy_plan(name="another"))  # events and messages are counted on from the last number
    assert verify(server).differences == ()
    server.dispose()


def test_finished_studies_lose_nothing_with_their_checkpoints(finished, tmp_path, monkeypatch):
    engine, study_id, file = finished
    place(monkeypatch, tmp_path / "new", f"sqlite:///{tmp_path}/new/ledger.db")
    told = run("restore", str(file))
    assert (len(told["missing"]), told["planned_again"]) == (19, [])
    restored = open_ledger(f"sqlite:///{tmp_path}/new/ledger.db")
    assert table(restored, study_id) == table(engine, study_id)
    restored.dispose()


def test_a_filled_ledger_is_never_overwritten(finished, tmp_path):
    engine, study_id, file = finished
    before = table(engine, study_id)
    refused = CliRunner().invoke(main, ["restore", str(file)])
    assert refused.exit_code == 1
    assert "holds 1 studies; a backup is restored into an empty one" in refused.stderr
    assert table(engine, study_id) == before


@pytest.mark.parametrize("damage", ["no zip", "half", "flipped", "empty zip"])
def test_damaged_backup_restores_nothing(finished, tmp_path, monkeypatch, damage):
    _, _, file = finished
    whole = bytearray(file.read_bytes())
    if damage == "flipped":
        whole[200] ^= 1
    file.write_bytes({"no zip": b"x", "half": bytes(whole[: len(whole) // 2]), "flipped": bytes(whole)}.get(damage, b""))
    if damage == "empty zip":
        zipfile.ZipFile(file, "w").close()
    monkeypatch.setenv("ABLATE_HOME", str(tmp_path / "new"))
    monkeypatch.setenv("ABLATE_LEDGER_URL", f"sqlite:///{tmp_path}/new/ledger.db")
    refused = CliRunner().invoke(main, ["restore", str(file)])
    assert (refused.exit_code, str(file) in refused.stderr.replace("\n", "")) == (1, True)
    assert not (tmp_path / "new").exists()


def test_backup_of_a_newer_release_is_refused(finished, tmp_path):
    _, _, file = finished
    head = json.loads(zipfile.ZipFile(file).read("backup.json"))
    with zipfile.ZipFile(tmp_path / "newer.zip", "w") as archive:
        archive.writestr("backup.json", json.dumps({**head, "schema": "9999"}))
    with pytest.raises(OrchestratorError, match=r"newer release \(format 1, schema 9999\)"):
        saved.read_backup(tmp_path / "newer.zip")


def test_backup_that_fails_leaves_the_one_before(finished, tmp_path, monkeypatch):
    _, _, file = finished
    before = file.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saved, "_sync", full)
    failed = CliRunner().invoke(main, ["backup", str(file)])
    assert (failed.exit_code, "No space left on device" in failed.stderr) == (1, True)
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.glob(".saved*")] == []


def test_without_a_ledger_there_is_nothing_to_back_up(tmp_path, monkeypatch):
    monkeypatch.setenv("ABLATE_HOME", str(tmp_path / "none"))
    failed = CliRunner().invoke(main, ["backup", str(tmp_path / "x.zip")])
    assert (failed.exit_code, "no ledger at" in failed.stderr) == (1, True)
    assert list(tmp_path.iterdir()) == []
