"""Studies that a child process submits and drives and is killed in, and the table that each must end with."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator.driver.loop import Exit, drive
from orchestrator.execution.executor import Execute, InlineExecutor
from orchestrator.failpoints import arm
from orchestrator.ledger import read
from orchestrator.ledger.engine import Engine, open_ledger
from orchestrator.ledger.submit import submit
from orchestrator.ledger.verify import verify
from orchestrator.plan.plan import Plan, Planner
from orchestrator.settings import Settings
from orchestrator.study.study import load_study
from tests.support.ledgers import doomed_postgres, fresh_ledger, ledger_url, postgres, postgres_url, sqlite_url  # noqa: F401 (fixtures)
from tests.support.toy import executions, table, toy_execute, toy_plan, toy_settings

FORK = multiprocessing.get_context("fork")
FENCED = 75
SEARCH = """
name: searched
question: How much?
recipe: sft-ablation
set: {start: noise}
search: {sampler: random, trials: 2, parallel: 1, parameters: {sft.mixture.alpha.science: {float: [0.0, 1.0]}}}
evaluate: {benchmarks: [science-names]}
select: {maximize: science-names}
"""


def nothing(order, _report, _should_stop):
    """Carry out nothing, with a score that the stage's name decides."""
    benchmark, score = order["spec"].get("benchmark"), int(order["stage_id"][:4], 16) / 700
    return {"attempt_id": order["attempt_id"], "attempt_no": order["attempt_no"], "state": "SUCCEEDED", "failure": None, "seconds": 0.0,
            "result": {"benchmark": benchmark, "score": score, "num_items": 4} if benchmark else {}}


def searched(home: Path) -> Plan:
    (home / "searched.yaml").write_text(SEARCH.lstrip())
    return Planner(load_study(home / "searched.yaml"), "tiny").plan()


@dataclass(frozen=True)
class Scenario:
    """A study, what executes its stages, and whether MLflow hears of it."""

    plan: Callable[[Path], Plan]
    execute: Execute
    has_tracking: bool = False


SCENARIOS = {
    "sweep": Scenario(lambda _: toy_plan(levels=(0, 1), seeds=1, benchmarks=("a",), trouble={1: "diverge"}), toy_execute),
    "search": Scenario(searched, nothing),
    "tracked": Scenario(lambda _: toy_plan(levels=(0,), seeds=1, benchmarks=("science-names",)), toy_execute, has_tracking=True),
}


def prepared(home: Path, scenario: str, url: str = "", **changes) -> Settings:
    """Make the settings of a scenario in an empty home."""
    mlflow = f"sqlite:///{home}/mlflow.db" if SCENARIOS[scenario].has_tracking else "off"
    return toy_settings(home, ledger=url, mlflow=mlflow, **changes)


def submit_and_drive(settings: Settings, scenario: str) -> None:
    """What the child does: all that `ablate run` does, with toy stages."""
    arm(settings.failpoint)
    chosen = SCENARIOS[scenario]
    study_id = submit(open_ledger(settings.ledger_url), chosen.plan(settings.home))
    ended = drive(settings, until=study_id, executor=lambda _: InlineExecutor(chosen.execute))
    os._exit(FENCED if ended is Exit.FENCED else 0)  # at once: what the parent's process would do at its end is not ours


class Child:
    """A process that submits and drives a scenario."""

    def __init__(self, settings: Settings, scenario: str) -> None:
        self._process = FORK.Process(target=submit_and_drive, args=(settings, scenario))
        self._process.start()

    def end(self) -> int:
        """Return its exit code, negative for the signal that ended it."""
        self._process.join(60)
        assert self._process.exitcode is not None
        return self._process.exitcode

    def wait_until_stopped(self) -> None:
        _, status = os.waitpid(self._process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)

    def go_on(self) -> None:
        os.kill(self._process.pid, signal.SIGCONT)


def child(settings: Settings, scenario: str) -> int:
    return Child(settings, scenario).end()


def found_in(settings: Settings) -> list:
    """Return the table of the one study; the ledger must agree with its own events, and nothing of it may still live."""
    engine = open_ledger(settings.ledger_url)
    rows = read.studies(engine)
    assert len(rows) == 1
    agreed(engine)
    found = table(engine, rows[0].study_id)
    engine.dispose()
    return found


def agreed(ledger: Engine) -> None:
    """Assert that the ledger keeps its promises (I1, I3, I5 to I8, I10 of the protocol)."""
    assert verify(ledger).differences == ()


@dataclass(frozen=True)
class Golden:
    """An undisturbed run: the failpoints that it visited, in order, its table, and how often stages ran."""

    visits: tuple[str, ...]
    table: list
    executions: list[str]


@pytest.fixture(scope="session")
def mlflow_store(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An empty MLflow store: its migration takes seconds, so homes get a copy."""
    from mlflow.tracking import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path.read_bytes()


@pytest.fixture(scope="session")
def new_home(tmp_path_factory: pytest.TempPathFactory, mlflow_store: bytes) -> Callable[[], Path]:
    def make() -> Path:
        home = tmp_path_factory.mktemp("home")
        (home / "mlflow.db").write_bytes(mlflow_store)
        return home

    return make


@pytest.fixture(scope="session")
def golden(new_home: Callable[[], Path]) -> dict[str, Golden]:
    """Each scenario undisturbed."""
    found = {}
    for scenario in SCENARIOS:
        home = new_home()
        settings = prepared(home, scenario, failpoint=f"record:{home / 'points.txt'}")
        assert child(settings, scenario) == 0
        found[scenario] = Golden(tuple((home / "points.txt").read_text().split()), found_in(settings), executions(settings))
    return found
