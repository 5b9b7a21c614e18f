import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import Engine

from orchestrator.artifacts.store import LOG, PROGRESS, Artifacts
from orchestrator.cli import logs as command
from orchestrator.ledger import read
from orchestrator.ledger import tables as t
from orchestrator.ledger.engine import open_ledger, transaction
from tests.support.synthetic import Sketch, sketch

Ablate = Callable[..., Result]


@pytest.fixture
def engine(home: Path) -> Engine:
    return open_ledger(f"sqlite:///{home}/ledger.db")


def folder_of(home: Path, engine: Engine, study_id: str, state: str) -> Path:
    """Make the folder of the first attempt in that state."""
    first = next(each for each in read.attempts(engine, study_id) if each.state == state)
    folder = Artifacts(home / "artifacts").attempt_dir(first.stage_id, first.attempt_no)
    folder.mkdir(parents=True)
    return folder


def test_failed_attempts_show_their_log_and_why(ablate: Ablate, engine: Engine, home: Path) -> None:
    study_id = sketch(engine, Sketch(states={(1, 0): "DIVERGED"}))
    (folder_of(home, engine, study_id, "DIVERGED") / LOG).write_text("".join(f"line {number}\n" for number in range(50)))
    result = ablate("logs", "quickstart", "--lines", "2")
    assert "sft science=0.1 seed 0, attempt 1: diverged" in result.stdout
    assert "line 48\nline 49\n" in result.stdout
    assert "line 47" not in result.stdout
    assert "loss is not finite at step 41" in result.stdout


def test_study_without_failures_says_how_to_see_others(ablate: Ablate, engine: Engine) -> None:
    sketch(engine, Sketch())
    result = ablate("logs", "quickstart")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "--stage shows others" in result.stderr


def test_stage_is_found_by_label_or_id(ablate_json: Callable[..., Any], engine: Engine) -> None:
    sketch(engine, Sketch())
    found = ablate_json("logs", "quickstart", "--stage", "sft science=0.5 seed 1")
    assert [each["label"] for each in found] == ["sft science=0.5 seed 1"]
    assert ablate_json("logs", "quickstart", "--stage", found[0]["stage_id"][:12]) == found


def test_last_report_stands_for_a_quiet_log(ablate: Ablate, engine: Engine, home: Path) -> None:
    study_id = sketch(engine, Sketch())
    folder = folder_of(home, engine, study_id, "SUCCEEDED")
    (folder / PROGRESS).write_text(json.dumps({"at": 1.0, "step": 80, "loss": 0.5}) + "\n" + '{"step": 81, "lo')
    assert "last report: step 80, loss 0.5" in ablate("logs", "quickstart", "--stage", "").stdout


def test_unknown_stage_is_bad_input_that_names_others(ablate: Ablate, engine: Engine) -> None:
    sketch(engine, Sketch())
    result = ablate("logs", "quickstart", "--stage", "pretrain")
    assert result.exit_code == 2
    assert "started: " in result.stderr


def test_following_ends_with_the_study_and_misses_no_line(
        ablate: Ablate, engine: Engine, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study_id = sketch(engine, Sketch(state="RUNNING", done=0.5))
    log = folder_of(home, engine, study_id, "RUNNING") / LOG
    log.write_text("before\n")
    looked = threading.Event()

    def goes_on(_seconds: float) -> None:
        with log.open("a") as file:
            file.write("while followed\n")
        with transaction(engine) as connection:
            connection.execute(t.studies.update().values(state="COMPLETED"))
        looked.set()

    monkeypatch.setattr(command.time, "sleep", goes_on)
    result = ablate("logs", "quickstart", "--lines", "0", "--follow")
    assert looked.is_set()
    assert [line.partition(" | ")[2] for line in result.stdout.splitlines() if " | " in line] == ["while followed"]
