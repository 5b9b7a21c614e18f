"""The flusher's process: it is there while something waits, dies without loss, and does not outlive its driver."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from pydantic import SecretStr

from orchestrator.ledger import read
from orchestrator.settings import OFF, Settings
from orchestrator.tracking.flusher_process import FlusherProcess, to_json_line
from tests.orchestrator.tracking.test_flusher import runs

DRIVER = """
import sys
from orchestrator.ledger.engine import open_ledger
from orchestrator.settings import Settings
from orchestrator.tracking.flusher_process import FlusherProcess

settings = Settings.load()
tracking = FlusherProcess(settings, open_ledger(settings.ledger_url))
tracking.keep_alive()
print(tracking._process.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def tracking(settings, engine):
    tracking = FlusherProcess(settings, engine)
    yield tracking
    tracking.stop()


def wait_for(condition, timeout_s=60):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        os.sched_yield()


def is_gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_what_waits_arrives_from_another_process(tracking, engine, client):
    tracking.keep_alive()
    assert tracking._process.pid != os.getpid()
    assert tracking.flush_all(60).num_left == 0
    assert len(runs(client, "written")) == 6


def test_nothing_is_started_while_nothing_waits(tracking, settings, engine):
    assert tracking.flush_all(60).num_left == 0
    tracking.stop()
    tracking.keep_alive()
    assert tracking._process is None


def test_one_that_is_killed_is_followed_by_another_after_a_pause(tracking, engine, client, caplog):
    tracking.keep_alive()
    first = tracking._process
    first.kill()
    first.wait()
    tracking.keep_alive()
    assert tracking._process is None
    assert f"ended with code {-signal.SIGKILL}" in caplog.text
    wait_for(lambda: tracking.keep_alive() or tracking._process is not None)
    assert tracking.flush_all(60).num_left == 0


def test_one_that_cannot_start_is_an_error_that_says_so_and_nothing_is_lost(settings, engine, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    tracking = FlusherProcess(settings, engine)
    waiting = read.outbox_lag(engine)
    flushed = tracking.flush_all(30)
    assert (flushed.num_left, "ended with code 1" in flushed.error) == (waiting, True)
    tracking.stop()


def test_it_ends_with_a_driver_that_is_killed(settings, engine):
    environment = {**os.environ, "ABLATE_HOME": str(settings.home), "ABLATE_MLFLOW_URI": settings.mlflow_uri}
    driver = subprocess.Popen([sys.executable, "-c", DRIVER], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    pid = int(driver.stdout.readline())
    driver.kill()
    driver.communicate()
    wait_for(lambda: is_gone(pid))


def test_a_password_reaches_it_and_stands_in_no_list_of_processes(settings, engine):
    tracking = FlusherProcess(settings.model_copy(update={"ledger": SecretStr(settings.ledger_url + "?timeout=31")}), engine)
    tracking.keep_alive()
    with open(f"/proc/{tracking._process.pid}/cmdline", "rb") as file:
        assert b"timeout=31" not in file.read()
    assert tracking.flush_all(60).num_left == 0
    tracking.stop()


def test_nothing_is_written_where_tracking_is_off(settings, engine):
    tracking = FlusherProcess(settings.model_copy(update={"mlflow": OFF}), engine)
    tracking.keep_alive()
    assert tracking._process is None
    assert tracking.flush_all(1).error == ""


def test_settings_arrive_whole(settings):
    changes = {"slot_labels": {"pool": "b"}, "ledger": SecretStr("postgresql://me:word@host/db"), "artifacts_at": "s3://a/b"}
    given = settings.model_copy(update=changes)
    assert Settings(**json.loads(to_json_line(given))).model_dump() == given.model_dump()
