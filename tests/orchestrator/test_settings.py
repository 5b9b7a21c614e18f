import shlex
from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlalchemy import make_url

from orchestrator.errors import OrchestratorError
from orchestrator.settings import Settings, all_settings, known_names, mlflow_repair, redact, sqlite_file


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


@pytest.mark.parametrize("name", ["plain", "job_feature%2Fx", "what? #1", "two words", "größe", "a@b:c"])
def test_a_home_may_have_any_name(monkeypatch, tmp_path, name):
    monkeypatch.setenv("ABLATE_HOME", str(tmp_path / name))
    settings = Settings.load()
    assert sqlite_file(settings.ledger_url) == tmp_path / name / "ledger.db"
    assert sqlite_file(settings.mlflow_uri) == tmp_path / name / "mlflow.db"
    assert make_url(settings.ledger_url).database == str(tmp_path / name / "ledger.db")
    assert redact(settings.ledger_url) == settings.ledger_url


def test_of_a_server_there_is_no_file():
    assert [sqlite_file(url) for url in ("postgresql://u@h/db", "http://host:5000", "off")] == [None, None, None]


def test_a_repair_can_be_pasted():
    words = shlex.split(mlflow_repair(Path("/two words/it's/mlflow.db")))
    assert words == ["mv", "/two words/it's/mlflow.db", "/two words/it's/mlflow.db.broken", "&&", "ablate", "mlflow", "sync"]


@pytest.mark.parametrize("url", [
    "http://me:Se/cr3t99X@127.0.0.1:1", "http://me:p@ss/w0rdX@host/path", "postgresql://u:Se%2Fcr3t99X@h/db", "redis://:p@ss/w0rdX@h:1",
    "https://h/x?user=u&password=p@ss/w0rdX&y=1", "s3://key:Se/cr3t99X@host?token=p@ss/w0rdX"])
def test_a_password_in_a_url_is_never_shown(monkeypatch, url):
    monkeypatch.setenv("ABLATE_MLFLOW_URI", url)
    pieces = ("Se/cr3t99X", "cr3t99X", "Se%2Fcr3t99X", "p@ss/w0rdX", "ss/w0rdX", "w0rdX")
    for text in (url, f"{url} does not answer", f"cannot connect to {url}: 'host=127.0.0.1'"):
        assert not [piece for piece in pieces if piece in redact(text)]


def test_a_part_of_a_password_that_a_library_took_for_a_path_is_not_shown(monkeypatch):
    monkeypatch.setenv("ABLATE_MLFLOW_URI", "http://me:Se/cr3t99X@127.0.0.1:1")
    assert redact("host='me', port=80: url: /cr3t99X@127.0.0.1:1/api") == "host='me', port=80: url: /<ABLATE_MLFLOW_URI>@127.0.0.1:1/api"


def test_every_setting_is_listed_with_its_source_and_meaning_and_no_secret(monkeypatch):
    monkeypatch.setenv("ABLATE_LEDGER_URL", "postgresql://u:hunter2hunter2@host/db")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    found = {each.name: each for each in all_settings(Settings.load())}
    assert {name for name in found if name.startswith("ABLATE_")} == known_names() - {"ABLATE_SECRETS", "ABLATE_BIND", "ABLATE_SERVICE"}
    assert (found["ABLATE_LEDGER_URL"].source, found["ABLATE_SLOTS"].source) == ("environment", "default")
    assert all(each.meaning for each in found.values())
    assert "hunter2" not in str(found)
    assert "wJalr" not in str(found)


@pytest.mark.parametrize(("name", "read"), [("ABLATE_LEDGER_URL", "ledger_url"), ("ABLATE_MLFLOW_URI", "mlflow_uri")])
def test_a_secret_may_lie_in_a_file(monkeypatch, tmp_path, name, read):
    (tmp_path / "secret").write_text("postgresql://u:hunter2hunter2@host/db\n")
    monkeypatch.setenv(f"{name}_FILE", str(tmp_path / "secret"))
    assert getattr(Settings.load(), read) == "postgresql://u:hunter2hunter2@host/db"
    assert "hunter2" not in redact("it said hunter2hunter2")
    monkeypatch.setenv(name, "postgresql://other/db")
    with pytest.raises(OrchestratorError, match=f"{name} and {name}_FILE are both set"):
        Settings.load()
    monkeypatch.delenv(name)
    (tmp_path / "secret").unlink()
    with pytest.raises(OrchestratorError, match=f"{name}_FILE=.*cannot be read, or holds nothing"):
        Settings.load()
