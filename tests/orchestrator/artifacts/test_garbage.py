import json
import shutil

import pytest
from click.testing import CliRunner

from orchestrator.artifacts.garbage import (
    Garbage,
    StageFiles,
    StoredFile,
    files_here,
    files_stored,
    garbage,
    remove_here,
)
from orchestrator.artifacts.object_store import ObjectStore
from orchestrator.artifacts.store import Artifacts
from orchestrator.cli.main import main
from orchestrator.driver.loop import drive
from orchestrator.execution.executor import InlineExecutor
from orchestrator.ledger import read
from orchestrator.ledger.engine import open_ledger
from orchestrator.ledger.submit import submit
from orchestrator.ledger.summaries import stage_files
from tests.support.toy import toy_execute, toy_plan, toy_settings

STAGE = "ab" * 32
FOLDER = f"stages/ab/{STAGE}"
ACCEPTED = f"{FOLDER}/attempts/0002/out"


def found(names, state="SUCCEEDED", attempts=None, artifact=ACCEPTED, age_s=1e6, known=None):
    stage = StageFiles(state=state, artifact=artifact, attempts=attempts or {1: "LOST", 2: "SUCCEEDED"}, studies=("toy",))
    known = {STAGE: stage} if known is None else known
    return [(each.folder, each.num_bytes) for each in garbage([StoredFile(name, 10, age_s) for name in names], known, grace_s=3600)]


@pytest.mark.parametrize("name", [
    f"{ACCEPTED}/model.safetensors", f"{FOLDER}/attempts/0001/log.txt", f"{FOLDER}/attempts/0002/result.json", "reports/x.html"])
def test_what_the_ledger_points_to_and_what_people_read_stays(name):
    assert found([name]) == []


def test_what_was_not_accepted_goes_as_one_folder():
    names = [f"{FOLDER}/attempts/0001/out/{file}" for file in ("a", "manifest.json")]
    assert found(names) == [(f"{FOLDER}/attempts/0001/out", 20)]


@pytest.mark.parametrize(("state", "goes"), [("SUCCEEDED", True), ("QUEUED", False), ("RUNNING", False), ("FAILED", False)])
def test_checkpoints_go_when_the_stage_is_finished(state, goes):
    assert bool(found([f"{FOLDER}/checkpoints/step_1/state.json"], state=state)) is goes


def test_live_attempt_is_left_alone():
    assert found([f"{FOLDER}/attempts/0003/out/a"], state="RUNNING", artifact=None, attempts={3: "RUNNING"}) == []


def test_stage_that_the_ledger_does_not_know_goes_whole():
    assert found([f"{FOLDER}/attempts/0001/log.txt", f"{FOLDER}/checkpoints/step_1/a"], known={}) == [(FOLDER, 20)]


def test_file_that_vanishes_while_it_is_looked_at_is_left_out(tmp_path, monkeypatch):
    for name in ("a", "b"):
        (tmp_path / FOLDER / "checkpoints" / name).mkdir(parents=True)
        (tmp_path / FOLDER / "checkpoints" / name / "state.json").write_text("{}")
    files = files_here(tmp_path)
    first = next(files)
    shutil.rmtree(tmp_path / FOLDER)
    assert (first.num_bytes, list(files)) == (2, [])


def test_folder_that_is_gone_already_is_no_error_and_one_that_may_not_be_removed_is(tmp_path):
    artifacts = Artifacts(tmp_path)
    remove_here(artifacts, [Garbage(FOLDER, STAGE, "why", 1)])
    (tmp_path / FOLDER).parent.mkdir(parents=True)
    (tmp_path / FOLDER).write_text("a file where a folder should be")
    with pytest.raises(NotADirectoryError):
        remove_here(artifacts, [Garbage(FOLDER, STAGE, "why", 1)])


def test_young_files_stay():
    assert found([f"{FOLDER}/attempts/0001/out/a"], age_s=60) == []


@pytest.fixture
def finished(tmp_path, bucket, monkeypatch):
    """A toy study that ran to its end against the object store, seen by the command."""
    settings = toy_settings(tmp_path / "home", artifacts_at=bucket)
    engine = open_ledger(settings.ledger_url)
    study_id = submit(engine, toy_plan(levels=(0, 1), seeds=1))
    drive(settings, until=study_id, executor=lambda _: InlineExecutor(toy_execute))
    monkeypatch.setenv("ABLATE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ABLATE_ARTIFACTS", bucket)
    yield settings, engine, study_id
    engine.dispose()


def test_study_over_an_object_store_leaves_only_what_is_needed(finished):
    settings, engine, study_id = finished
    assert read.study(engine, study_id).state == "COMPLETED"
    artifacts = Artifacts(settings.artifacts, ObjectStore(settings.artifact_store))
    for files in (files_here(artifacts.root), files_stored(artifacts)):
        assert garbage(files, stage_files(engine), grace_s=-1e9) == []
    stored = {name.rpartition("/")[0] for name in artifacts.store.names("") if name.endswith("manifest.json")}
    assert stored == {stage.artifact for stage in read.stages(engine, study_id)}


def test_command_shows_first_and_removes_when_told(finished, tmp_path):
    settings, _, _ = finished
    store = ObjectStore(settings.artifact_store)
    (tmp_path / "x").write_text("left over")
    store.put_file(tmp_path / "x", f"{FOLDER}/checkpoints/step_1/state.json")
    words = ["gc", "--grace-hours", "0", "--json"]
    shown = json.loads(CliRunner().invoke(main, words).stdout)
    assert [(each["where"], each["folder"], each["studies"]) for each in shown["folders"]] == [(settings.artifact_store, FOLDER, [])]
    assert store.names(FOLDER) != []
    assert json.loads(CliRunner().invoke(main, [*words, "--yes"]).stdout)["is_removed"]
    assert store.names(FOLDER) == []
    assert "nothing to remove" in CliRunner().invoke(main, words[:-1]).stdout


def test_doctor_asks_the_store(finished, monkeypatch):
    checks = {each["name"]: each for each in json.loads(CliRunner().invoke(main, ["doctor", "--json"]).stdout)["checks"]}
    assert checks["artifact store"]["is_ok"]
    assert checks["artifact store"]["found"].endswith(" can be written and listed")
    settings, _, _ = finished
    assert [name for name in ObjectStore(settings.artifact_store).names("") if "doctor" in name] == []
