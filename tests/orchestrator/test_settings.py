from pathlib import Path

import pytest
from pydantic import ValidationError

from orchestrator.settings import Settings, redact


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    """Without the settings of whoever runs the tests."""
    for name in ("HOME", "LEDGER_URL", "MLFLOW_URI", "ARTIFACTS", "SLOTS"):
        monkeypatch.delenv(f"ABLATE_{name}", raising=False)
    monkeypatch.chdir(tmp_path)


def test_everything_lies_below_home(tmp_path):
    settings = Settings.load()
    assert settings.home == tmp_path / ".ablate"
    assert (settings.ledger_url, settings.mlflow_uri) == (f"sqlite:///{settings.home}/ledger.db", f"sqlite:///{settings.home}/mlflow.db")
    assert settings.artifacts == settings.home / "artifacts"
    assert settings.slots >= 1


def test_the_environment_points_elsewhere(monkeypatch):
    monkeypatch.setenv("ABLATE_HOME", "/data/ablate")
    monkeypatch.setenv("ABLATE_LEDGER_URL", "postgresql://u:pw@host/db")
    monkeypatch.setenv("ABLATE_ARTIFACTS", "/mnt/artifacts")
    monkeypatch.setenv("ABLATE_SLOTS", "8")
    settings = Settings.load()
    assert (settings.home, settings.artifacts, settings.slots) == (Path("/data/ablate"), Path("/mnt/artifacts"), 8)
    assert settings.ledger_url == "postgresql://u:pw@host/db"
    assert "pw" not in repr(settings)


@pytest.mark.parametrize(("name", "value"), [("SLOTS", "0"), ("LEASE_TTL_S", "-1"), ("SLOTS", "many")])
def test_a_setting_that_cannot_work_is_refused(monkeypatch, name, value):
    monkeypatch.setenv(f"ABLATE_{name}", value)
    with pytest.raises(ValidationError):
        Settings.load()


def test_short_and_harmless_values_are_not_redacted(monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "abc")
    monkeypatch.setenv("MY_NAME", "ordinary")
    assert redact("abc ordinary sqlite:///x") == "abc ordinary sqlite:///x"
