"""MLflow is down, slow, failing, or loses replies: a study ends as ever, and in the end MLflow has everything once, in order."""

import time
from collections import Counter

import pytest
from mlflow.tracking import MlflowClient

from orchestrator.driver import loop as driver_module
from orchestrator.driver.loop import Exit, drive
from orchestrator.execution.executor import InlineExecutor
from orchestrator.ledger import read
from orchestrator.ledger.engine import open_ledger
from orchestrator.ledger.submit import submit
from orchestrator.tracking.flusher import Flusher
from tests.support.mlflow_server import MlflowServer
from tests.support.toy import table, toy_execute, toy_plan, toy_settings
from tests.support.wire import Wire

pytestmark = pytest.mark.chaos


def plan():
    return toy_plan(levels=(0, 1), seeds=1, benchmarks=("science-names",))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = MlflowServer(tmp_path_factory.mktemp("mlflow"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def wire(server):
    wire = Wire(("127.0.0.1", server.port))
    yield wire
    wire.close()


def undisturbed(tmp_path):
    settings = toy_settings(tmp_path / "undisturbed")
    engine = open_ledger(settings.ledger_url)
    study_id = submit(engine, plan())
    drive(settings, until=study_id, executor=lambda _: InlineExecutor(toy_execute))
    return table(engine, study_id)


@pytest.mark.parametrize("mode", ["refuse", "status 503", "hang", "drop reply"])
def test_a_failing_server_delays_nothing_and_gets_everything_once_in_the_end(tmp_path, server, wire, mode, monkeypatch, record_property):
    monkeypatch.setattr(driver_module, "FLUSH_S", 0.0)
    settings = toy_settings(tmp_path, mlflow=f"http://127.0.0.1:{wire.port}")
    engine = open_ledger(settings.ledger_url)
    study_id = submit(engine, plan())
    wire.mode = mode
    assert drive(settings, until=study_id, executor=lambda _: InlineExecutor(toy_execute)) is Exit.FINISHED
    assert table(engine, study_id) == undisturbed(tmp_path)
    wire.mode = "drop reply" if mode == "drop reply" else "pass"
    flusher = Flusher(settings, engine)
    deadline = time.monotonic() + 120
    while read.outbox_lag(engine) and time.monotonic() < deadline:
        flusher.flush_all(60)
    assert read.outbox_lag(engine) == 0
    client = MlflowClient(server.uri)
    mine = {f"trial:{study_id}:{row.trial_key}" for row in read.trials(engine, study_id)}
    with engine.connect() as connection:
        mine |= set(connection.exec_driver_sql("SELECT DISTINCT subject FROM tracking_outbox").scalars())
    runs = [run for each in client.search_experiments() for run in client.search_runs([each.experiment_id], max_results=1000)]
    found = Counter(run.data.tags["subject"] for run in runs if "duplicate_of" not in run.data.tags)
    assert {subject: found[subject] for subject in mine} == dict.fromkeys(mine, 1)
    assert {run.info.status for run in runs if run.data.tags["subject"] in mine} == {"FINISHED"}
    engine.dispose()
    record_property("survived", len(mine))
