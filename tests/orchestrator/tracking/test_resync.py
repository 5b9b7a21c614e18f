import pytest
from click.testing import CliRunner
from mlflow.tracking import MlflowClient

from orchestrator.cli.main import main
from orchestrator.errors import LostLease, OrchestratorError
from orchestrator.ledger import lease, read
from orchestrator.ledger.liveness import process_identity
from orchestrator.settings import Settings
from orchestrator.tracking.resync import resync
from tests.orchestrator.tracking.test_flusher import attempt, finish_trials, runs


@pytest.fixture
def tracked(flusher, settings, engine):
    attempt(engine, settings, value=70.0)
    finish_trials(engine)
    assert flusher.flush_all(60).num_left == 0
    return settings


def contents(client):
    return {run.data.tags["subject"]: (run.info.status, run.data.metrics, run.data.params) for name in ("written", "stages")
            for run in runs(client, name)}


def heard(engine, settings):
    said = []
    resync(settings, engine, on_progress=lambda sent, total: said.append((sent, total)))
    return said


def test_empty_store_gets_everything_back(tracked, engine, client, tmp_path, monkeypatch):
    before = contents(client)
    monkeypatch.setenv("ABLATE_MLFLOW_URI", f"sqlite:///{tmp_path}/other.db")
    assert heard(engine, Settings.load())[-1] == (14, 14)
    other = MlflowClient(f"sqlite:///{tmp_path}/other.db")
    assert contents(other) == before
    assert len(before) == 7


def test_run_deleted_by_hand_comes_back(tracked, engine, client):
    before = contents(client)
    client.delete_run(runs(client, "written")[0].info.run_id)
    heard(engine, tracked)
    assert contents(client) == before


def test_whole_store_stays_as_it_is(tracked, engine, client):
    ids = {run.info.run_id for name in ("written", "stages") for run in runs(client, name)}
    heard(engine, tracked)
    assert {run.info.run_id for name in ("written", "stages") for run in runs(client, name)} == ids


def test_living_driver_is_not_disturbed(tracked, engine):
    lease.acquire(engine, "driver-1", ttl_s=600, holder=process_identity(), dead="")
    with pytest.raises(LostLease, match="a driver is running"):
        heard(engine, tracked)
    assert read.outbox_lag(engine) == 0


def test_store_that_does_not_answer_is_named_and_nothing_is_lost(tracked, engine, monkeypatch, unused_port):
    monkeypatch.setenv("ABLATE_MLFLOW_URI", f"http://127.0.0.1:{unused_port}")
    with pytest.raises(OrchestratorError, match=f"127.0.0.1:{unused_port}"):
        heard(engine, Settings.load())
    assert read.outbox_lag(engine) == 0


def test_command_says_how_much_was_sent(tracked, engine):
    engine.dispose()
    result = CliRunner().invoke(main, ["mlflow", "sync"])
    assert result.exit_code == 0, result.output
    assert "14 messages sent, 0 refused" in result.stdout
