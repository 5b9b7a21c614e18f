import errno
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import manifest
from orchestrator.errors import Diverged, NoResources, Stopped
from orchestrator.execution import attempt
from orchestrator.execution.attempt import run_attempt
from orchestrator.execution.record import failure_of, kind_of, log_tail, lost, outcome_of, read_result, write_result
from orchestrator.states import AttemptState
from tests.support.toy import toy_identity


@pytest.fixture
def order(tmp_path):
    spec = {"kind": "sft", "parent_id": None}
    return {"attempt_id": "a", "attempt_no": 1, "stage_id": toy_identity(spec), "kind": "sft", "label": "x", "spec": spec,
            "parent": None, "attempt_dir": str(tmp_path / "attempt"), "out": str(tmp_path / "attempt" / "out"),
            "checkpoints": str(tmp_path / "checkpoints")}


def publish(work):
    manifest.publish(work.out, lambda folder: (folder / "x").write_text("x") and None)
    return {"loss": 1.0}


def fail(error):
    def stage(_work):
        raise error

    return stage


def run(order, stage, **options):
    return run_attempt(order, {"sft": stage}, identify=toy_identity, **options)


def test_a_success_is_recorded_with_its_token_before_it_is_returned(order, tmp_path):
    record = run(order, publish)
    assert (record["state"], record["result"], record["attempt_id"], record["attempt_no"]) == ("SUCCEEDED", {"loss": 1.0}, "a", 1)
    assert json.loads((tmp_path / "attempt" / "result.json").read_text()) == record


@pytest.mark.parametrize(("error", "kind"), [
    (ValueError("x"), "USER_ERROR"), (KeyError("x"), "USER_ERROR"), (Stopped("x"), "PREEMPTED"), (Diverged("x"), "DIVERGED"),
    (MemoryError(), "RESOURCE"), (NoResources("x"), "RESOURCE"), (OSError(errno.ENOSPC, "disk full"), "RESOURCE"),
    (OSError(errno.EACCES, "no"), "USER_ERROR")])
def test_an_exception_becomes_a_kind_of_failure(order, error, kind):
    record = run(order, fail(error))
    assert (record["state"], record["failure"]["kind"], record["result"]) == (kind, kind, None)
    assert kind_of(error) == kind


def test_another_spec_under_the_same_name_is_refused(order):
    record = run({**order, "spec": {"kind": "sft", "parent_id": "other"}}, publish)
    assert record["state"] == "USER_ERROR"
    assert "driver and worker run different releases" in record["failure"]["message"]


def test_a_damaged_parent_is_refused_by_the_name_of_its_file(order, tmp_path):
    parent = tmp_path / "parent"
    manifest.publish(parent, lambda folder: (folder / "weights").write_text("good") and None)
    (parent / "weights").write_text("evil")
    record = run({**order, "parent": str(parent)}, publish)
    assert record["state"] == "USER_ERROR"
    assert str(parent / "weights") in record["failure"]["message"]


def test_work_that_publishes_nothing_is_not_a_success(order):
    assert run(order, lambda work: {})["state"] == "USER_ERROR"


def test_reports_are_kept_and_passed_on(order, tmp_path):
    heard = []

    def stage(work):
        work.report({"step": 1})
        work.report({"corrupt": "step_1: flipped"})
        return publish(work)

    record = run(order, stage, report=heard.append)
    lines = [json.loads(line) for line in (tmp_path / "attempt" / "progress.jsonl").read_text().splitlines()]
    assert heard == [{"started": True}, {"step": 1}]
    assert [line.get("step") for line in lines] == [None, 1, None]
    assert record["notes"] == ["step_1: flipped"]
    assert outcome_of(record).notes == ("step_1: flipped",)


def test_what_an_attempt_prints_is_in_its_log(order, tmp_path):
    def stage(work):
        print("hello from the stage")  # noqa: T201
        return publish(work)

    run(order, stage)
    assert "hello from the stage" in log_tail(tmp_path / "attempt")
    assert "hello from the stage" in lost("a", "gone", tmp_path / "attempt").failure["traceback"]


def test_secrets_are_cut_out_of_tracebacks(order, monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "s3cr3t-value")
    failure = run(order, fail(ValueError("cannot reach https://ada:hunter2@host with s3cr3t-value")))["failure"]
    assert failure["message"] == "cannot reach https://ada:<redacted>@host with <SOME_API_KEY>"
    assert "hunter2" not in failure["traceback"]
    assert "s3cr3t" not in failure["traceback"]


def test_equal_errors_have_equal_hashes_whatever_they_say():
    def hash_of(message):
        try:
            raise ValueError(message)
        except ValueError as error:
            return failure_of(error)["hash"]

    assert hash_of("one") == hash_of("two")
    assert failure_of(ValueError("elsewhere"))["hash"] != hash_of("one")


def test_a_result_is_harvested_with_its_token_only(order, tmp_path):
    folder = tmp_path / "attempt"
    run(order, publish)
    assert read_result(folder, "a", 1).state is AttemptState.SUCCEEDED
    assert [read_result(folder, "b", 1), read_result(folder, "a", 2), read_result(tmp_path / "none", "a", 1)] == [None, None, None]


@given(junk=st.binary(max_size=60) | st.just(b"[]") | st.just(b'{"attempt_id": "a", "attempt_no": 1, "state": "RUNNING"}'))
def test_junk_is_not_a_result(tmp_path_factory, junk):
    folder = tmp_path_factory.mktemp("junk")
    (folder / "result.json").write_bytes(junk)
    assert read_result(folder, "a", 1) is None


def test_a_result_is_there_whole_or_not_at_all(tmp_path, monkeypatch):
    def killed_here(*_):
        raise OSError("killed here")

    monkeypatch.setattr(attempt.os, "replace", killed_here)
    with pytest.raises(OSError, match="killed here"):
        write_result(tmp_path, {"attempt_id": "a"})
    assert not (tmp_path / "result.json").exists()
