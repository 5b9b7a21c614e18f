"""S11: canaries in every place where a secret may be, a study that fails and one that ends, and then a search for them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.cli.main import main
from orchestrator.driver.loop import drive
from orchestrator.execution.attempt import run_attempt
from orchestrator.execution.executor import InlineExecutor
from orchestrator.ledger.engine import open_ledger
from orchestrator.ledger.submit import submit
from tests.support.mlflow_server import unused_port
from tests.support.toy import TOY_STAGES, toy_identity, toy_plan, toy_settings

CANARIES = ("C4naryPassw0rd", "hf_C4naryC4naryC4nary", "AKIAC4NARYC4NARYC4NA", "C4naryOfAFile99")


@pytest.fixture
def planted(tmp_path, monkeypatch):
    (tmp_path / "key").write_text(CANARIES[3])
    for name, value in {"ABLATE_HOME": str(tmp_path / "home"), "HF_TOKEN": CANARIES[1], "AWS_ACCESS_KEY_ID": CANARIES[2],
                        "ABLATE_MLFLOW_URI": f"http://me:{CANARIES[0]}@127.0.0.1:{unused_port()}",
                        "ABLATE_JUDGE_KEY_FILE": str(tmp_path / "key"),
                        "DB_PASSWORD": CANARIES[0]}.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def fails(work):
    """Do as libraries do: put the address, the key and a whole header into the message."""
    import logging

    logging.getLogger("library").warning("connecting with %s", os.environ["HF_TOKEN"])
    address, key = os.environ["ABLATE_MLFLOW_URI"], os.environ["AWS_ACCESS_KEY_ID"]
    raise ConnectionError(f"{address} refused 'Authorization: Bearer {CANARIES[3]}', key {key}")


def holds_a_canary(data: bytes):
    return [canary for canary in CANARIES if canary.encode() in data]


def test_s11_no_file_that_a_study_leaves_and_no_command_shows_a_secret(planted):
    settings = toy_settings(planted / "home")
    engine = open_ledger(settings.ledger_url)
    study_id = submit(engine, toy_plan())
    stages = {**TOY_STAGES, "sft": fails}
    drive(settings, until=study_id, executor=lambda _: InlineExecutor(
        lambda order, report, stop: run_attempt(order, stages, report=report, should_stop=stop, identify=toy_identity)))
    engine.dispose()
    files = [path for path in (planted / "home").rglob("*") if path.is_file()]
    assert len(files) > 5
    assert {str(path): holds_a_canary(path.read_bytes()) for path in files if holds_a_canary(path.read_bytes())} == {}
    assert any(b"refused" in path.read_bytes() for path in files), "the failure itself is kept"
    for words in (["status"], ["status", "toy"], ["logs", "toy"], ["doctor"], ["settings"], ["query"], ["mlflow", "sync"]):
        done = CliRunner().invoke(main, words)
        assert holds_a_canary(done.output.encode()) == [], words


def test_s11_no_list_of_processes_shows_a_secret(planted, monkeypatch):
    """The command and what it starts: their arguments are there for every user of the machine."""
    monkeypatch.setenv("ABLATE_LEDGER_URL", f"postgresql://me:{CANARIES[0]}@127.0.0.1:{unused_port()}/x")
    program = ("import json, psutil, sys\nfrom orchestrator.settings import Settings\n"
               "from orchestrator.tracking import flusher_process as f\n"
               "tracking = f.FlusherProcess(Settings.load(), None)\ntracking._start()\n"
               "print(json.dumps([p.cmdline() for p in [psutil.Process(), *psutil.Process().children(recursive=True)]]))\ntracking.stop()")
    done = subprocess.run([sys.executable, "-P", "-W", "ignore", "-c", program], capture_output=True, text=True, check=True)
    shown = json.loads(done.stdout.splitlines()[-1])
    assert len(shown) == 2
    assert holds_a_canary(json.dumps(shown).encode()) == []
    assert holds_a_canary(done.stderr.encode()) == []


def test_s11_compose_holds_no_secret():
    text = (Path(__file__).parents[2] / "docker-compose.yml").read_text()
    assert "cat /run/secrets" not in text, "a secret in the environment of a shell is shown by its list of processes"
