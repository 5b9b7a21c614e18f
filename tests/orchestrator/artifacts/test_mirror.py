"""Two machines without a common folder: what one made, the other goes on from."""

import shutil

import pytest

from model import manifest
from model.manifest import CorruptDirectory
from orchestrator.artifacts.mirror import Mirror
from orchestrator.artifacts.object_store import ObjectStore
from orchestrator.artifacts.store import RESULT, Artifacts
from orchestrator.execution.record import read_result
from orchestrator.states import AttemptState
from tests.support.toy import toy_execute, toy_identity

SPEC = {"kind": "sft", "toy": {"steps": 6, "level": 1}, "seed": 0, "parent_id": None}


def order(root, uri, *, attempt_no=1, spec=SPEC, parent=None):
    """An order as the driver gives it, on the machine whose artifacts lie below `root`."""
    artifacts, stage_id = Artifacts(root), toy_identity(spec)
    return {"attempt_id": f"a{attempt_no}", "attempt_no": attempt_no, "stage_id": stage_id, "kind": spec["kind"], "label": "x",
            "spec": spec, "parent": parent and str(artifacts.resolve(parent)),
            "attempt_dir": str(artifacts.attempt_dir(stage_id, attempt_no)),
            "out": str(artifacts.out_dir(stage_id, attempt_no)), "checkpoints": str(artifacts.checkpoints_dir(stage_id)),
            "root": str(root), "store": uri}


def stopped_after(steps):
    asked = []

    def should_stop():
        asked.append(1)
        return len(asked) > steps

    return should_stop


def test_another_machine_goes_on_from_the_last_checkpoint(tmp_path, bucket):
    undisturbed = toy_execute(order(tmp_path / "c", ""))
    first = toy_execute(order(tmp_path / "a", bucket), should_stop=stopped_after(3))
    second = toy_execute(order(tmp_path / "b", bucket, attempt_no=2))
    assert first["state"] == AttemptState.PREEMPTED
    assert second["result"]["resumed_from"] == 3
    assert second["result"]["loss"] == undisturbed["result"]["loss"]


def test_checkpoint_damaged_in_the_store_is_passed_over(tmp_path, bucket):
    toy_execute(order(tmp_path / "a", bucket), should_stop=stopped_after(5))
    store, folder = ObjectStore(bucket), Artifacts(tmp_path / "a").name(Artifacts(tmp_path / "a").checkpoints_dir(toy_identity(SPEC)))
    newest = store.published(folder)[-1]
    (tmp_path / "damage").write_text("[0, 99]")
    store.put_file(tmp_path / "damage", f"{folder}/{newest}/state.json")
    assert toy_execute(order(tmp_path / "b", bucket, attempt_no=2))["result"]["resumed_from"] == 4


def test_two_whole_checkpoints_stay_in_the_store(tmp_path, bucket):
    toy_execute(order(tmp_path / "a", bucket))
    artifacts = Artifacts(tmp_path / "a", ObjectStore(bucket))
    stored = artifacts.store.published(artifacts.name(artifacts.checkpoints_dir(toy_identity(SPEC))))
    assert [name.split("-")[0] for name in stored] == ["step_00000004", "step_00000006"]


def test_parent_made_elsewhere_is_brought_here(tmp_path, bucket):
    toy_execute(order(tmp_path / "a", bucket))
    made = Artifacts(tmp_path / "a").name(Artifacts(tmp_path / "a").out_dir(toy_identity(SPEC), 1))
    asked = {"kind": "evaluate", "benchmark": "x", "toy": {}, "parent_id": toy_identity(SPEC)}
    record = toy_execute(order(tmp_path / "b", bucket, spec=asked, parent=made))
    assert record["state"] == AttemptState.SUCCEEDED
    assert record["result"] == toy_execute(order(tmp_path / "a", bucket, spec=asked, parent=made))["result"]


def test_parent_damaged_here_is_replaced_by_the_stores(tmp_path, bucket):
    toy_execute(order(tmp_path / "a", bucket))
    out = Artifacts(tmp_path / "a").out_dir(toy_identity(SPEC), 1)
    (out / "number.json").write_text("0")
    Mirror(ObjectStore(bucket), tmp_path / "a").fetch(out)
    assert manifest.verify(out)


def test_record_reaches_who_reads_it_elsewhere(tmp_path, bucket):
    record = toy_execute(order(tmp_path / "a", bucket))
    folder = Artifacts(tmp_path / "driver", ObjectStore(bucket)).fetch_record(toy_identity(SPEC), 1)
    assert read_result(folder, "a1", 1).result == record["result"]
    assert (folder / "progress.jsonl").is_file()


def test_failure_reaches_it_too_and_nothing_that_was_made(tmp_path, bucket):
    trouble = {**SPEC, "toy": {**SPEC["toy"], "trouble": "error"}}
    toy_execute(order(tmp_path / "a", bucket, spec=trouble))
    artifacts = Artifacts(tmp_path / "driver", ObjectStore(bucket))
    folder = artifacts.fetch_record(toy_identity(trouble), 1)
    assert read_result(folder, "a1", 1).state is AttemptState.USER_ERROR
    assert not artifacts.store.has(artifacts.name(artifacts.out_dir(toy_identity(trouble), 1)))


def test_what_is_whole_nowhere_is_an_error(tmp_path, bucket):
    with pytest.raises(CorruptDirectory, match="no complete directory"):
        Artifacts(tmp_path, ObjectStore(bucket)).fetched("stages/ab/out")


def test_reader_fetches_what_it_lacks_and_drops_what_is_done(tmp_path, bucket):
    toy_execute(order(tmp_path / "a", bucket))
    artifacts, stage_id = Artifacts(tmp_path / "a", ObjectStore(bucket)), toy_identity(SPEC)
    name = artifacts.name(artifacts.out_dir(stage_id, 1))
    assert artifacts.newest_checkpoint(stage_id) == 6
    shutil.rmtree(tmp_path / "a")
    assert artifacts.newest_checkpoint(stage_id) == 6
    assert manifest.verify(artifacts.fetched(name))
    artifacts.drop_checkpoints(stage_id)
    assert artifacts.newest_checkpoint(stage_id) == 0
    assert artifacts.store.names("")[0].endswith(("log.txt", RESULT, ".json"))
