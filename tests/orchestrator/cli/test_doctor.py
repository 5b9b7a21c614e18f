import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from model.manifest import publish
from orchestrator.cli.doctor import machine
from orchestrator.ledger.engine import open_ledger
from tests.support.ledgers import Server
from tests.support.mlflow_server import MlflowServer, unused_port

Ablate = Callable[..., Result]


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "tiny"
    publish(directory, lambda folder: (folder / "weights").write_text("w") and None)
    monkeypatch.setattr(machine, "packaged", lambda _: directory)
    return directory


def checks(result: Result) -> dict[str, Any]:
    return {check["name"]: check for check in json.loads(result.stdout)["checks"]}


def test_sound_set_up_is_done(ablate: Ablate, tiny: Path, home: Path) -> None:
    result = ablate("doctor", "--json")
    assert {name: check["is_ok"] for name, check in checks(result).items()} == dict.fromkeys(
        ("python", "packages", "settings", "import path", "home", "disk", "shared memory", "checkpoint", "chromium", "ledger",
         "artifact store", "mlflow", "ray"), True)
    assert result.exit_code == 0
    assert not home.exists(), "looking makes nothing"


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
    monkeypatch.setenv("ABLATE_MLFLOW_URI", "http://me:hunter2hunter2@127.0.0.1:9")
    result = ablate("doctor", "--json")
    assert not checks(result)["mlflow"]["is_ok"]
    assert "hunter2" not in result.output


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


def test_tracking_server_is_written_to_and_read(ablate: Ablate, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mlflow").mkdir()
    server = MlflowServer(tmp_path / "mlflow")
    server.start()
    monkeypatch.setenv("ABLATE_MLFLOW_URI", server.uri)
    twice = [checks(ablate("doctor", "--json"))["mlflow"] for _ in range(2)]
    server.stop()
    assert [check["found"] for check in twice] == [f"{server.uri}: a metric was written and read"] * 2


def test_misspelt_settings_are_named_with_the_nearest(ablate: Ablate, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ABLATE_SLOT", "8")
    monkeypatch.setenv("ABLATE_ATTEMPT_TTL_S", "60")
    check = checks(ablate("doctor", "--json"))["settings"]
    assert not check["is_ok"]
    assert "ABLATE_SLOT: no such setting; did you mean 'ABLATE_SLOTS'?" in check["found"]
    assert "ABLATE_ATTEMPT_TTL_S: no such setting" in check["found"]


@pytest.mark.parametrize("shadow", ["model.py", "rich/__init__.py"])
def test_what_comes_before_a_package_is_named(
    ablate: Ablate, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shadow: str
) -> None:
    path = tmp_path / "mine" / shadow
    path.parent.mkdir(parents=True)
    path.write_text("")
    monkeypatch.syspath_prepend(tmp_path / "mine")
    check = checks(ablate("doctor", "--json"))["import path"]
    assert (check["is_ok"], check["found"]) == (False, f"{path} comes before the package {shadow.partition('.')[0].partition('/')[0]}")


def test_database_server_tells_role_and_clock(
    ablate: Ablate, tiny: Path, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.fresh()
    monkeypatch.setenv("ABLATE_LEDGER_URL", url)
    found = checks(ablate("doctor", "--json"))
    assert "role postgres (a superuser: " in found["ledger"]["found"]
    assert "may write" in found["ledger"]["found"]
    assert found["clock"]["is_ok"]


def test_old_ledger_is_a_problem_with_its_command(ablate: Ablate, tiny: Path, home: Path, old_ledger: str) -> None:
    check = checks(ablate("doctor", "--json"))["ledger"]
    assert (check["is_ok"], "`ablate ledger upgrade`" in check["fix"]) == (False, True)


@pytest.fixture
def old_ledger(home: Path) -> str:
    """A ledger whose schema is an older one, as far as its version says."""
    url = f"sqlite:///{home}/ledger.db"
    engine = open_ledger(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    engine.dispose()
    return url


def test_cluster_and_judge_that_do_not_answer_are_problems(
    ablate: Ablate, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ABLATE_RAY_ADDRESS", f"127.0.0.1:{unused_port()}")
    monkeypatch.setenv("ABLATE_JUDGE_URL", f"http://127.0.0.1:{unused_port()}/v1")
    (tmp_path / "key").write_text("hunter2hunter2")
    monkeypatch.setenv("ABLATE_JUDGE_KEY_FILE", str(tmp_path / "key"))
    result = ablate("doctor", "--json")
    found = checks(result)
    assert [found[name]["is_ok"] for name in ("ray", "judge")] == [False, False]
    assert "RAY_AUTH_MODE" in found["ray"]["fix"]
    assert "hunter2" not in result.output
