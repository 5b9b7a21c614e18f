"""A standing Ray cluster of one node with a token, as `ray start` makes it: a fixture, imported where it is needed."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Head:
    """The head's process and where it answers."""

    process: subprocess.Popen[bytes]
    address: str
    jobs: str
    token: str


@pytest.fixture
def head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Head]:
    """A head with two CPUs; the operator's environment leads to it.

    As in life, the head knows nothing of the submitter's PATH, and was started in a folder with a file named as our package.
    """
    port, jobs_port, token = free_port(), free_port(), secrets.token_hex(32)
    short = tempfile.mkdtemp(prefix="ray")  # sockets have names of at most 107 characters
    for name, value in {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token, "RAY_USAGE_STATS_ENABLED": "0",
                        "ABLATE_HOME": str(tmp_path / "home"), "ABLATE_MLFLOW_URI": "off", "ABLATE_SLOTS": "2",
                        "ABLATE_RAY_JOBS": f"http://127.0.0.1:{jobs_port}"}.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "model.py").write_text("raise SystemExit('a file of the current folder was imported')\n")
    command = [sys.executable, "-P", "-m", "ray.scripts.scripts", "start", "--head", "--block", f"--port={port}", "--num-cpus=2",
               f"--dashboard-port={jobs_port}", "--dashboard-host=127.0.0.1", "--include-dashboard=true", f"--temp-dir={short}",
               "--object-store-memory=100000000", "--disable-usage-stats", f"--dashboard-agent-listen-port={free_port()}"]
    started = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
                               env={**os.environ, "PATH": "/usr/bin:/bin"})
    yield Head(started, f"127.0.0.1:{port}", f"http://127.0.0.1:{jobs_port}", token)
    os.killpg(started.pid, signal.SIGTERM)
    started.wait(timeout=120)
    shutil.rmtree(short)
