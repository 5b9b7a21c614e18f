"""Run the flusher in a separate process, so that MLflow takes no processor time from the driver.

- The process starts when the outbox holds something, and again after a pause if it died. Its death loses nothing,
  because a message leaves the outbox only after it was sent.
- `__main__.py` is the program of that process. This module does not load MLflow.
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
"""The longest wait that the driver requests at once, in seconds. The process notices only between two requests that the
driver is gone.
"""
STOP_S = 10.0
"""Seconds that the process has for the message that it is sending when it is asked to end. A message that is cut off is
sent again later.
"""
LONGEST_PAUSE_S = 60.0
"""The longest pause before the process is started again. The first pause is a second, and each further one twice as
long.
"""
SERVE = "orchestrator.tracking.__main__"
log = logging.getLogger(__name__)


class FlusherProcess:
    """The flusher's process, as the driver uses it. It never raises for a failure of that process."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._settings, self._engine = settings, engine
        self._process: subprocess.Popen[bytes] | None = None
        self._num_deaths, self._not_before = 0, 0.0

    def keep_alive(self) -> None:
        """Start the process if messages wait and it does not run. Cheap while it runs."""
        if self._settings.mlflow_uri == OFF or self._is_alive() or time.monotonic() < self._not_before:
            return
        if read.outbox_lag(self._engine):
            self._start()

    def flush_all(self, timeout_s: float) -> Flushed:
        """Wait until the outbox is empty, sending fails, or the time is over."""
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
        """End the process after the message that it is sending. What is not sent stays in the outbox."""
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
        # A new session, so that Ctrl-C at the terminal reaches only the driver, which then ends this process in order.
        # -P: a file in the current folder is never imported in place of a package of that name.
        self._process = subprocess.Popen([sys.executable, "-P", "-m", SERVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         start_new_session=True)
        self._write(to_json_line(self._settings))  # by pipe, so that no list of processes shows the ledger's password

    def _is_alive(self) -> bool:
        """Return whether the process runs. A death is logged once."""
        process = self._process
        if process is None or process.poll() is None:
            return process is not None
        self._process = None
        _close(process)
        pause_s = min(LONGEST_PAUSE_S, 2.0 ** self._num_deaths)
        self._num_deaths += 1
        self._not_before = time.monotonic() + pause_s
        log.warning(
            "the process that writes to MLflow ended with code %s; its messages are kept, it restarts in %.0f s",
            process.returncode,
            pause_s,
        )
        return False

    def _ask(self, timeout_s: float, deadline: float) -> Flushed:
        """Ask the process to wait for an empty outbox. While it starts, its answer may take longer."""
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
        with suppress(BrokenPipeError):  # the process is dead: `_is_alive` reports it
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()


def to_json_line(settings: Settings) -> str:
    """Return the settings, including the ledger's password, as one line of JSON.

    `Settings(**json.loads(line))` reads it.
    """
    values = settings.model_dump(mode="json") | {"ledger": settings.ledger.get_secret_value()}
    return json.dumps(
        {str(Settings.model_fields[name].validation_alias or name): value for name, value in values.items()}
    )


def _close(process: subprocess.Popen[bytes]) -> None:
    """Close both pipes. Output that nobody reads any more is dropped."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()
