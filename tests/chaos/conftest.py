"""A toy study that a child process drives and is killed in, and the table that it must end with."""

import multiprocessing
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.driver import drive
from orchestrator.executor import InlineExecutor
from orchestrator.failpoints import arm
from orchestrator.ledger import open_ledger
from orchestrator.settings import Settings
from orchestrator.submit import submit
from tests.toy import table, toy_execute, toy_plan, toy_settings

FORK = multiprocessing.get_context("fork")


def plan():
    return toy_plan(levels=(0, 1), seeds=1, benchmarks=("a",), trouble={1: "diverge"})


def submitted(settings: Settings) -> str:
    engine = open_ledger(settings.ledger_url)
    study_id = submit(engine, plan())
    engine.dispose()
    return study_id


def child(settings: Settings, study_id: str) -> int:
    """Drive in a child process; return its exit code, negative for the signal that ended it."""
    process = FORK.Process(target=drive, args=(settings,), kwargs={"until": study_id, "executor": inline})
    process.start()
    process.join(60)
    assert process.exitcode is not None
    return process.exitcode


def inline(_: Settings) -> InlineExecutor:
    return InlineExecutor(toy_execute)


def table_of(settings: Settings, study_id: str) -> list:
    engine = open_ledger(settings.ledger_url)
    found = table(engine, study_id)
    engine.dispose()
    return found


@pytest.fixture(scope="session")
def visits(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], list]:
    """The failpoints that an undisturbed run visits, in order, and the table that it ends with."""
    home = tmp_path_factory.mktemp("golden")
    settings = toy_settings(home, failpoint=f"record:{home / 'points.txt'}")
    study_id = submitted(settings)
    assert child(settings, study_id) == 0
    arm("")
    return (home / "points.txt").read_text().split(), table_of(settings, study_id)


@pytest.fixture(scope="session")
def killed_at() -> Callable[[Path, str, int], list]:
    """Kill the driver at the k-th visit of a point, drive again to the end, return the table."""

    def run(home: Path, point: str, visit: int) -> list:
        settings = toy_settings(home, failpoint=f"{point}:{visit}:kill")
        study_id = submitted(settings)
        assert child(settings, study_id) == -signal.SIGKILL
        assert child(settings.model_copy(update={"failpoint": ""}), study_id) == 0
        return table_of(settings, study_id)

    return run
