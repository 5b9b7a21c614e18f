"""`run`, `submit`, `watch` and the acts of a person, over the real driver with stages that only pretend to work."""

import functools
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from model.manifest import publish
from orchestrator.artifacts import store
from orchestrator.cli import drive, run
from orchestrator.driver import loop
from orchestrator.errors import LostLease
from orchestrator.execution.attempt import StageJob, run_attempt
from orchestrator.execution.executor import InlineExecutor
from orchestrator.study.study import Study

Ablate = Callable[..., Result]


class Pretended:
    """Stage functions that publish a word, count what they did, and fail where they are told to."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.failing = ""
        self.interrupt_after = -1

    def train(self, work: StageJob) -> dict[str, Any]:
        self._note(work)
        publish(work.out, lambda folder: (folder / "weights").write_text("w") and None)
        return {"loss": 0.5}

    def evaluate(self, work: StageJob) -> dict[str, Any]:
        self._note(work)
        publish(work.out, lambda folder: (folder / "items").write_text("i") and None)
        return {"benchmark": work.spec["benchmark"], "score": 50.0 + len(self.done) % 7, "score_lenient": 55.0, "num_items": 10,
                "num_unparseable": 0, "is_complete": True, "seconds": 0.1, "tokens_per_image": 16.0}

    def _note(self, work: StageJob) -> None:
        work.report({"step": 1, "steps": 2, "loss": 1.0, "samples_per_s": 3.0})
        if work.kind == self.failing:
            raise ValueError("the tile is upside down")
        self.done.append(work.kind)
        if len(self.done) == self.interrupt_after:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch, checkpoint: Path) -> Pretended:
    stages = Pretended()
    functions = {"pretrain": stages.train, "continual": stages.train, "sft": stages.train, "evaluate": stages.evaluate}

    def execute(order: Any, report: Any, should_stop: Any) -> dict[str, Any]:
        return run_attempt(order, functions, report=report, should_stop=should_stop)

    monkeypatch.setattr(store, "packaged", lambda _: checkpoint)
    pretend_to_drive = functools.partial(loop.drive, executor=lambda _: InlineExecutor(execute))
    monkeypatch.setattr(run, "drive", pretend_to_drive)
    monkeypatch.setattr(drive, "drive_ledger", pretend_to_drive)
    monkeypatch.setenv("ABLATE_MLFLOW_URI", "off")
    return stages


@pytest.fixture
def study_file(write: Callable[..., Study], pretended: Pretended, tmp_path: Path) -> str:
    write()
    return str(tmp_path / "written.yaml")


def test_run_ends_with_table_verdict_and_where_to_look(ablate: Ablate, study_file: str) -> None:
    result = ablate("run", study_file)
    assert result.exit_code == 0, result.output
    for expected in ("science=0 (baseline)", "verdict:", "stages asked for", "ablate report written", "make dashboard"):
        assert expected in result.stdout
    assert "stages" in result.stderr


def test_second_run_does_nothing(ablate: Ablate, study_file: str, pretended: Pretended) -> None:
    ablate("run", study_file)
    before = len(pretended.done)
    result = ablate("run", study_file)
    assert (result.exit_code, len(pretended.done)) == (0, before)
    assert "nothing to do" in result.stderr
    assert "verdict:" in result.stdout


def test_run_prints_one_document(ablate: Ablate, study_file: str) -> None:
    found = json.loads(ablate("run", study_file, "--json").stdout)
    assert found["counts"]["trials_done"] == 6
    assert found["study"]["state"] == "COMPLETED"


def test_interrupted_run_resumes(ablate: Ablate, study_file: str, pretended: Pretended) -> None:
    pretended.interrupt_after = 5
    first = ablate("run", study_file)
    assert first.exit_code == 75
    assert "`ablate run written` goes on" in first.stderr
    pretended.interrupt_after = -1
    assert ablate("run", study_file).exit_code == 0
    assert pretended.done.count("sft") == 6


def test_failures_are_told_and_tried_again_by_the_next_run(ablate: Ablate, study_file: str, pretended: Pretended) -> None:
    pretended.failing = "evaluate"
    first = ablate("run", study_file)
    assert first.exit_code != 0
    assert "the tile is upside down" in ablate("status", "written").stdout
    pretended.failing = ""
    assert ablate("run", study_file).exit_code == 0


def test_changed_file_under_a_known_name_is_bad_input(ablate: Ablate, study_file: str) -> None:
    ablate("submit", study_file)
    Path(study_file).write_text(Path(study_file).read_text().replace("0.5", "0.7"))
    result = ablate("run", study_file)
    assert result.exit_code == 2
    assert "`--update` submits it as a new version" in result.stderr


def test_lost_lease_says_try_again(ablate: Ablate, study_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: Any, **__: Any) -> None:
        raise LostLease("driver a of epoch 1 was replaced by a newer one; it stops")

    monkeypatch.setattr(run, "drive", lost)
    assert ablate("run", study_file).exit_code == 75


def test_submit_says_that_nobody_drives(ablate: Ablate, study_file: str, ablate_json: Callable[..., Any]) -> None:
    assert "no driver is running: ablate run written" in ablate("submit", study_file).stdout
    assert ablate_json("submit", study_file)["is_driven"] is False


@pytest.mark.parametrize(("act", "state"), [("pause", "PAUSED"), ("cancel", "CANCELLED")])
def test_what_a_person_decided_outlives_restarts_of_whoever_submits_and_drives(
    ablate: Ablate, study_file: str, ablate_json: Callable[..., Any], pretended: Pretended, act: str, state: str
) -> None:
    ablate("submit", study_file)
    ablate(act, "written", *(("--yes",) if act == "cancel" else ()))
    for _ in range(2):
        again = ablate("submit", study_file)
        assert again.exit_code == 0
        assert f"written is {state.lower()}" in again.stderr.replace("\n", " ")
        assert "`ablate resume written`" in again.stderr.replace("\n", " ")
        assert ablate_json("submit", study_file)["state"] == state
        assert ablate("drive", "--until", "written").exit_code == (75 if act == "pause" else 0)
    assert pretended.done == []
    assert ablate_json("submit", study_file, "--resume")["state"] == "QUEUED"


def test_watch_of_a_finished_study_ends_at_once(ablate: Ablate, study_file: str) -> None:
    ablate("run", study_file)
    result = ablate("watch", "written")
    assert result.exit_code == 0
    assert "verdict:" in result.stdout


def test_watch_of_a_paused_study_says_how_to_go_on(ablate: Ablate, study_file: str) -> None:
    ablate("submit", study_file)
    ablate("pause", "written")
    result = ablate("watch", "written")
    assert result.exit_code == 75
    assert "`ablate run written` continues" in result.stderr


def test_pause_resume_cancel(ablate: Ablate, study_file: str, ablate_json: Callable[..., Any]) -> None:
    ablate("submit", study_file)
    assert ablate_json("pause", "written")["state"] == "PAUSED"
    assert ablate_json("resume", "written")["state"] == "QUEUED"
    assert ablate_json("cancel", "written", "--yes")["state"] == "CANCELLED"


def test_cancel_asks_first(ablate: Ablate, study_file: str, ablate_json: Callable[..., Any]) -> None:
    ablate("submit", study_file)
    assert ablate("cancel", "written").exit_code == 1
    assert ablate_json("status", "written")["studies"][0]["state"] == "QUEUED"


def test_pausing_what_is_over_is_refused(ablate: Ablate, study_file: str) -> None:
    ablate("submit", study_file)
    ablate("cancel", "written", "--yes")
    result = ablate("pause", "written")
    assert result.exit_code == 1
    assert "it cannot become paused" in result.stderr


def test_a_dry_run_checks_prints_and_enters_nothing(ablate: Ablate, study_file: str, pretended: Pretended, home: Path) -> None:
    result = ablate("run", study_file, "--dry-run")
    assert result.exit_code == 0
    assert "stages to run" in result.stdout
    assert "nothing was submitted or run" in result.stderr
    assert (pretended.done, home.exists()) == ([], False)


def test_a_dry_run_refuses_what_a_run_refuses(ablate: Ablate, study_file: str, pretended: Pretended) -> None:
    ablate("submit", study_file)
    Path(study_file).write_text(Path(study_file).read_text().replace("seeds: 2", "seeds: 3"))
    assert [ablate("run", study_file, "--dry-run", *more).exit_code for more in ((), ("--update",))] == [2, 0]


def test_quiet_prints_the_answer_alone(ablate: Ablate, study_file: str, pretended: Pretended) -> None:
    result = ablate("--quiet", "run", study_file)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "verdict" in result.stdout


def test_the_first_failed_stage_pauses_a_study_that_fails_fast_and_names_the_exception(
        ablate: Ablate, study_file: str, pretended: Pretended) -> None:
    Path(study_file).write_text(Path(study_file).read_text() + "fail_fast: true\n")
    pretended.failing = "sft"
    result = ablate("run", study_file)
    assert result.exit_code == 75
    assert "is paused (fail_fast: a stage failed); `ablate run written` continues" in result.stderr
    assert "ValueError: the tile is upside down" in ablate("status", "written").stdout
