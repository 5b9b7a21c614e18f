import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from model.manifest import publish
from orchestrator.cli import doctor

Ablate = Callable[..., Result]


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "tiny"
    publish(directory, lambda folder: (folder / "weights").write_text("w") and None)
    monkeypatch.setattr(doctor, "packaged", lambda _: directory)
    return directory


def checks(result: Result) -> dict[str, Any]:
    return {check["name"]: check for check in json.loads(result.stdout)["checks"]}


def test_sound_set_up_is_done(ablate: Ablate, tiny: Path) -> None:
    result = ablate("doctor", "--json")
    assert {name: check["is_ok"] for name, check in checks(result).items()} == dict.fromkeys(
        ("python", "packages", "home", "disk", "ledger", "mlflow", "checkpoint", "ray", "chromium"), True)
    assert result.exit_code == 0


def test_flipped_byte_is_found_and_named(ablate: Ablate, tiny: Path) -> None:
    (tiny / "weights").write_text("x")
    result = ablate("doctor")
    assert result.exit_code == 1
    assert "weights: sha256 is" in result.stdout
    assert "fix: restore model/checkpoints/tiny" in result.stdout


def test_home_that_is_a_file_is_a_problem(ablate: Ablate, tiny: Path, home: Path) -> None:
    home.write_text("")
    result = ablate("doctor", "--json")
    assert not checks(result)["home"]["is_ok"]
    assert "ABLATE_HOME" in checks(result)["home"]["fix"]


def test_silent_tracking_server_is_a_problem(ablate: Ablate, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ABLATE_MLFLOW_URI", "http://127.0.0.1:9")
    assert not checks(ablate("doctor", "--json"))["mlflow"]["is_ok"]


def test_foreign_engine_is_a_problem(ablate: Ablate, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ABLATE_LEDGER_URL", "mysql://me:secret@localhost/x")
    result = ablate("doctor", "--json")
    assert not checks(result)["ledger"]["is_ok"]
    assert "secret" not in result.output


def test_an_mlflow_store_that_is_no_database_is_a_problem_with_its_repair(ablate: Ablate, tiny: Path, home: Path) -> None:
    home.mkdir()
    (home / "mlflow.db").write_bytes(b"noise" * 1000)
    check = checks(ablate("doctor", "--json"))["mlflow"]
    assert (check["is_ok"], check["found"]) == (False, f"{home}/mlflow.db: file is not a database")
    assert check["fix"] == f"mv {home}/mlflow.db {home}/mlflow.db.broken && ablate mlflow sync"
