"""Processes that outlive who started them: found again by number and birth, ended with their children, and no others."""

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from orchestrator.deploy.place import Place
from orchestrator.deploy.processes import Processes

WAITING = [sys.executable, "-S", "-c", "import signal; signal.pause()"]
WITH_CHILD = [sys.executable, "-S", "-c", ("import os, signal; os.fork() or os.setsid(); open('ready', 'a').write('x'); signal.pause()")]


@pytest.fixture
def processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Processes]:
    monkeypatch.chdir(tmp_path)
    made = Processes(tmp_path)
    yield made
    made.end("service")


def start(processes: Processes, command: list[str], grace_s: float = 10.0, **environment: str) -> None:
    processes.start("service", command, environment=environment, user=None, first=signal.SIGTERM, grace_s=grace_s)


def until(is_so) -> None:
    for _ in range(600):
        if is_so():
            return
        threading.Event().wait(0.05)
    raise AssertionError("it did not come to be")


def leader(folder: Path) -> psutil.Process:
    return psutil.Process(json.loads((folder / "service.json").read_text())["pid"])


def test_what_was_started_is_found_again_and_ended(processes: Processes, tmp_path: Path) -> None:
    start(processes, WAITING)
    again = Processes(tmp_path)
    assert again.is_running("service")
    assert again.end("service") == 1
    assert (again.is_running("service"), again.end("service")) == (False, 0)


def test_a_number_that_now_belongs_to_another_process_is_left_alone(processes: Processes, tmp_path: Path) -> None:
    stranger = subprocess.Popen(WAITING)
    (tmp_path / "service.json").write_text(json.dumps({"pid": stranger.pid, "began": 1.0, "signal": 15, "grace_s": 1}))
    assert not processes.is_running("service")
    assert processes.end("service") == 0
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_children_of_a_killed_service_are_ended_too(processes: Processes, tmp_path: Path) -> None:
    start(processes, WITH_CHILD)
    until(lambda: (tmp_path / "ready").exists() and (tmp_path / "ready").read_text() == "xx")
    child, = leader(tmp_path).children()
    leader(tmp_path).kill()
    until(lambda: not processes.is_running("service"))
    assert child.is_running()
    assert processes.end("service") >= 1
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_what_does_not_listen_is_killed_after_its_grace(processes: Processes, tmp_path: Path) -> None:
    deaf = "import signal; signal.signal(15, signal.SIG_IGN); open('ready', 'w').close(); [signal.pause() for _ in iter(int, 1)]"
    start(processes, [sys.executable, "-S", "-c", deaf], grace_s=0.5)
    until((tmp_path / "ready").exists)
    assert processes.end("service") == 1


def test_an_empty_variable_is_taken_away(processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "theirs")
    shown = "import os; print(sorted(each for each in os.environ if each in ('RAY_AUTH_TOKEN', 'MINE')))"
    start(processes, [sys.executable, "-S", "-c", shown], RAY_AUTH_TOKEN="", MINE="1")
    until(lambda: "\n" in processes.log("service").read_text())
    assert processes.log_end("service") == "['MINE']"


def test_a_port_is_kept_unless_somebody_else_listens_there(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.make()
    first = place.choose_ports(["a", "b"], {}, lambda _: False)
    assert place.choose_ports(["a", "b"], {}, lambda _: False) == first == place.ports()
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", first["a"]))
        stranger.listen()
        assert place.choose_ports(["a", "b"], {}, lambda name: name == "a") == first
        moved = place.choose_ports(["a", "b"], {}, lambda _: False)
    assert (moved["a"] != first["a"], moved["b"]) == (True, first["b"])


def test_secrets_are_for_one_user_alone_and_stay(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.make()
    assert place.secret("ray_token") == place.secret("ray_token")
    assert place.secret_file("ray_token").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "up" / "secrets").stat().st_mode & 0o777 == 0o700
