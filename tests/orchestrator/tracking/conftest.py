"""What all tests of tracking share: an empty MLflow store, a planned study, a flusher between them."""

import socket

import pytest
from mlflow.tracking import MlflowClient

from orchestrator.ledger.engine import transaction
from orchestrator.ledger.journal import Journal
from orchestrator.settings import Settings
from orchestrator.tracking.flusher import Flusher
from tests.support import scored

AT = 1_700_000_000.0


@pytest.fixture(scope="session")
def migrated(tmp_path_factory):
    """An empty MLflow store: its migration takes seconds, so tests copy it."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path.read_bytes()


@pytest.fixture
def settings(tmp_path, migrated, monkeypatch):
    (tmp_path / "mlflow.db").write_bytes(migrated)
    monkeypatch.setenv("ABLATE_HOME", str(tmp_path))
    return Settings.load()


@pytest.fixture
def client(settings):
    return MlflowClient(settings.mlflow_uri)


@pytest.fixture
def engine(tmp_path, planned):
    engine = scored.ledger(tmp_path)
    scored.enter(engine, planned())
    yield engine
    engine.dispose()


@pytest.fixture
def flusher(settings, engine):
    return Flusher(settings, engine)


@pytest.fixture
def unused_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def say(engine, subject, kind, payload, at=AT):
    with transaction(engine) as connection:
        record = Journal(connection, now=at, actor="test")
        record.message(subject, kind, payload)
        record.flush()
