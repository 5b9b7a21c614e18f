"""The flusher in a process of its own, beside the driver: MLflow takes nothing of the driver's processor time.

- It begins when the outbox first holds something, and again after a pause if it died; nothing is lost by a death,
  since a message leaves the outbox only after it arrived.
- What that process does is `serve.py`. This module loads no MLflow.
"""

from __future__ import annotations

import json
import logging
import select
import subprocess
import sys
import time
from contextlib import suppress

from orchestrator.ledger import read
from orchestrator.ledger.engine import Engine
from orchestrator.ledger.outbox import Flushed
from orchestrator.settings import OFF, Settings

TURN_S = 1.0
"""Longest that it is asked to wait at once: only between two questions does it notice that the driver is gone."""
STOP_S = 10.0
"""Seconds that it has for the message that it is sending when it is asked to end; what is cut off is said again."""
LONGEST_PAUSE_S = 60.0
"""Longest pause before one that keeps dying is started again; the first takes a second, each further one twice as
long."""
SERVE = "orchestrator.tracking.__main__"
log = logging.getLogger(__name__)


class FlusherProcess:
    """The flusher's process, as the driver sees it; never raises for what that process does."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        """Start nothing yet."""
        self._settings, self._engine = settings, engine
        self._process: subprocess.Popen[bytes] | None = None
        self._num_deaths, self._not_before = 0, 0.0

    def keep_alive(self) -> None:
        """Start the process if something waits to be sent and none is there; cheap while one is."""
        if self._settings.mlflow_uri == OFF or self._is_alive() or time.monotonic() < self._not_before:
            return
        if read.outbox_lag(self._engine):
            self._start()

    def flush_all(self, timeout_s: float) -> Flushed:
        """Wait until the outbox is empty, a try fails, or the time is over."""
        deadline = time.monotonic() + timeout_s
        while self._settings.mlflow_uri != OFF and read.outbox_lag(self._engine):
            left = deadline - time.monotonic()
            if left <= 0:
                break
            if not self._is_alive():
                self._start()
            flushed = self._ask(min(TURN_S, left), deadline)
            if flushed.error or not flushed.num_left:
                return flushed
        return Flushed(read.outbox_lag(self._engine), 0, "")

    def stop(self) -> None:
        """End the process after the message that it is sending; what is left waits in the outbox."""
        process, self._process = self._process, None
        if process is None:
            return
        _close(process)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _start(self) -> None:
        # A session of its own: Ctrl-C at the terminal is for the driver, which then has this one end in order.
        # -P: a file beside the study is never imported in place of a package of that name.
        self._process = subprocess.Popen([sys.executable, "-P", "-m", SERVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         start_new_session=True)
        self._write(to_json_line(self._settings))  # by pipe: no list of processes shows the ledger's password

    def _is_alive(self) -> bool:
        """Whether it runs; a death is noted once."""
        process = self._process
        if process is None or process.poll() is None:
            return process is not None
        self._process = None
        _close(process)
        pause_s = min(LONGEST_PAUSE_S, 2.0 ** self._num_deaths)
        self._num_deaths += 1
        self._not_before = time.monotonic() + pause_s
        log.warning(
            "the process that writes to MLflow ended with code %s; what it had to send waits, another begins in %.0f s",
            process.returncode,
            pause_s,
        )
        return False

    def _ask(self, timeout_s: float, deadline: float) -> Flushed:
        """Have it wait for an empty outbox; it may take its time to answer while it starts."""
        process = self._process
        self._write(str(timeout_s))
        if process is None or process.stdout is None:
            return Flushed(read.outbox_lag(self._engine), 0, "")
        is_there = select.select([process.stdout], [], [], max(0.0, deadline + TURN_S - time.monotonic()))[0]
        line = process.stdout.readline() if is_there else b""
        if line:
            return Flushed(**json.loads(line))
        why = "it does not answer" if not is_there else f"it ended with code {process.wait()}"
        return Flushed(read.outbox_lag(self._engine), 0, f"the process that writes to MLflow: {why}")

    def _write(self, line: str) -> None:
        if self._process is None or self._process.stdin is None:
            return
        with suppress(BrokenPipeError):  # it is dead: `_is_alive` will say so
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()


def to_json_line(settings: Settings) -> str:
    """Write settings as one line, the ledger's password with them; `Settings(**json.loads(line))` reads it."""
    values = settings.model_dump(mode="json") | {"ledger": settings.ledger.get_secret_value()}
    return json.dumps(
        {str(Settings.model_fields[name].validation_alias or name): value for name, value in values.items()}
    )


def _close(process: subprocess.Popen[bytes]) -> None:
    """Close both pipes; what cannot be written any more is for nobody."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()
