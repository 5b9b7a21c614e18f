"""Disks that are full, and checkpoints that were damaged on them."""

import json
import multiprocessing
import resource
import signal
from collections import Counter

import pytest

from orchestrator.driver.loop import Exit, drive
from orchestrator.execution.attempt import run_attempt
from orchestrator.execution.executor import InlineExecutor
from orchestrator.ledger import read
from orchestrator.ledger.engine import open_ledger
from orchestrator.ledger.submit import submit
from tests.support.toy import TOY_STAGES, executions, table, toy_execute, toy_identity, toy_plan, toy_settings

FORK = multiprocessing.get_context("fork")


def plan():
    return toy_plan(levels=(0,), seeds=1, benchmarks=("a",), steps=8)


def trained(folder, number):
    """Carry out the pre-training stage as its so many-th attempt; return the record."""
    stage = next(each for each in plan().stages.values() if each.kind == "pretrain")
    home = folder / "stages" / "xx" / stage.stage_id
    attempt = home / "attempts" / str(number)
    return run_attempt({"attempt_id": str(number), "attempt_no": number, "stage_id": stage.stage_id, "kind": "pretrain", "spec": stage.spec,
                        "parent": None, "attempt_dir": str(attempt), "out": str(attempt / "out"),
                        "checkpoints": str(home / "checkpoints")}, TOY_STAGES, identify=toy_identity)


def fill(work):
    """Train until a checkpoint is kept, then find the disk full: files may not grow beyond a few bytes."""
    if list(work.checkpoints.glob("step_*")):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4, resource.RLIM_INFINITY))
        (work.checkpoints / "state").write_bytes(b"0" * 4096)
    return TOY_STAGES["pretrain"](work)


def full(folder):
    stage = next(each for each in plan().stages.values() if each.kind == "pretrain")
    home = folder / "stages" / "xx" / stage.stage_id
    attempt = home / "attempts" / "2"
    attempt.mkdir(parents=True)
    order = {"attempt_id": "2", "attempt_no": 2, "stage_id": stage.stage_id, "kind": "pretrain", "spec": stage.spec, "parent": None,
             "attempt_dir": str(attempt), "out": str(attempt / "out"), "checkpoints": str(home / "checkpoints")}

    def failing(work):
        try:
            return fill(work)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    run_attempt(order, {"pretrain": failing}, identify=toy_identity)


def test_a_full_disk_is_a_lack_of_resources_that_leaves_the_old_checkpoint(tmp_path):
    first = trained(tmp_path, 1)
    process = FORK.Process(target=full, args=(tmp_path,))
    process.start()
    process.join(60)
    record = json.loads(next(tmp_path.glob("stages/*/*/attempts/2/result.json")).read_text())
    assert record["state"] == "RESOURCE"
    assert "hint: free some space, or point ABLATE_ARTIFACTS elsewhere" in record["failure"]["message"]
    assert trained(tmp_path, 3)["result"]["loss"] == first["result"]["loss"]


def test_a_full_disk_is_seen_before_a_stage_is_started_and_work_goes_on_when_there_is_room(tmp_path):
    settings = toy_settings(tmp_path, min_free_gib=1e9)
    engine = open_ledger(settings.ledger_url)
    study_id = submit(engine, plan())
    troubles = []

    def watch(view):
        troubles.append(view.trouble)
        object.__setattr__(settings, "min_free_gib", 0.0)

    assert drive(settings, until=study_id, executor=lambda _: InlineExecutor(toy_execute), on_tick=watch) is Exit.FINISHED
    assert "GiB are free at" in troubles[0]
    assert "no stage starts below" in troubles[0]
    assert read.study(engine, study_id).state == "COMPLETED"
    assert Counter(executions(settings)) == {"pretrain": 1, "sft": 1, "evaluate": 1}


@pytest.mark.parametrize("damage", ["flip", "truncate", "delete", "manifest"])
def test_a_damaged_artifact_of_a_parent_is_never_used(tmp_path, damage):
    """What a finished stage published is damaged before its child reads it: the child refuses, by the name of the file."""
    settings = toy_settings(tmp_path)
    engine = open_ledger(settings.ledger_url)
    study_id = submit(engine, plan())
    damaged = []

    def spoil(_view):
        for path in settings.artifacts.glob("stages/*/*/attempts/0001/out/number.json"):
            if not damaged:
                damaged.append(path)
                spoilt(path, damage)

    drive(settings, until=study_id, executor=lambda _: InlineExecutor(toy_execute), on_tick=spoil)
    failed = [row for row in read.stages(engine, study_id) if row.state == "FAILED"]
    assert [row.kind for row in failed] == ["sft"]
    assert str(damaged[0].parent) in failed[0].failure["message"]
    assert not [row for row in table(engine, study_id) if len(row) > 2]


def spoilt(path, damage):
    if damage == "flip":
        path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    elif damage == "truncate":
        path.write_bytes(b"")
    else:
        (path if damage == "delete" else path.parent / "manifest.json").unlink()
