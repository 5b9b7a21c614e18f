"""Start processes that outlive us, find them again, and end those and no others.

- A file keeps the process id together with the time at which that process began: where the kernel gave the number to
  another process meanwhile, that one is not taken for ours.
- A service that was killed may leave children behind. They are found by a variable that every child inherits, which
  names the folder and the service.
"""

from __future__ import annotations

import json
import pwd
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from orchestrator.settings import SERVICE, inherited

_LOOK_S = 0.1
_SAME_S = 0.05
"""The kernel counts start times in hundredths of a second."""
_KILL_S = 10.0


class Processes:
    """The processes of the services of one folder."""

    def __init__(self, folder: Path) -> None:
        """Remember the folder: of `NAME.json`, which says which process a service is, and of `NAME.log`."""
        self._folder = folder

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        user: str | None,
        first: signal.Signals,
        grace_s: float,
    ) -> None:
        """Start a service in a session of its own, its output in its log; the log before is kept as `NAME.log.1`.

        Args:
            name: of the service.
            command: its words.
            environment: beside what is inherited; an empty value takes a variable away.
            user: the name of the user to run as; None for this one.
            first: the signal that will ask it to end.
            grace_s: seconds after that signal before what is left is killed.
        """
        log = self.log(name)
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
        # Every process would compile again what it imports, and Ray gives its own 15 s to start.
        variables = {**inherited(), "PYTHONDONTWRITEBYTECODE": "", **environment, SERVICE: self._mark(name)}
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env={each: value for each, value in variables.items() if value},
                **as_user(user),
            )
        with suppress(psutil.NoSuchProcess):  # it ended at once; its log says why
            began = psutil.Process(process.pid).create_time()
            self._note(name).write_text(
                json.dumps({"pid": process.pid, "began": began, "signal": int(first), "grace_s": grace_s})
            )

    def is_running(self, name: str) -> bool:
        """Return whether the process that was started as this service is alive."""
        return self._leader(name) is not None

    def log(self, name: str) -> Path:
        """Return the file of what a service prints."""
        return self._folder / f"{name}.log"

    def log_end(self, name: str, num_lines: int = 5) -> str:
        """Return the end of what a service printed."""
        with suppress(OSError):
            return "\n".join(self.log(name).read_text(errors="replace").splitlines()[-num_lines:])
        return ""

    def end(self, name: str) -> int:
        """End a service with all its children, and return how many processes that were."""
        leader, family = self._leader(name), self._family(name)
        if leader is not None:
            note = self._read(name)
            with suppress(psutil.NoSuchProcess):
                leader.send_signal(note["signal"])  # to the leader alone, which ends its children in order
            _wait([leader], note["grace_s"])
        left = [each for each in {*family, *self._family(name)} if _is_alive(each)]
        for each in left:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        _wait(left, _KILL_S)
        self._note(name).unlink(missing_ok=True)
        return len(family)

    def _leader(self, name: str) -> psutil.Process | None:
        with suppress(OSError, ValueError, KeyError, psutil.Error):
            note = self._read(name)
            process = psutil.Process(note["pid"])
            if abs(process.create_time() - note["began"]) <= _SAME_S and _is_alive(process):
                return process
        return None

    def _family(self, name: str) -> list[psutil.Process]:
        """Return the service's process, all below it, and what is left of it where it is dead."""
        found: dict[int, psutil.Process] = {}
        leader = self._leader(name)
        if leader is not None:
            with suppress(psutil.NoSuchProcess):
                found = {each.pid: each for each in (leader, *leader.children(recursive=True))}
        mark = self._mark(name)
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if process.environ().get(SERVICE) == mark:
                    found[process.pid] = process
        return list(found.values())

    def _read(self, name: str) -> dict[str, Any]:
        note: dict[str, Any] = json.loads(self._note(name).read_text())
        return note

    def _mark(self, name: str) -> str:
        return f"{self._folder} {name}"

    def _note(self, name: str) -> Path:
        return self._folder / f"{name}.json"


def as_user(name: str | None) -> dict[str, Any]:
    """Return the arguments of `subprocess` to run as a user; None for the present one."""
    return {} if name is None else {"user": name, "group": pwd.getpwnam(name).pw_gid, "extra_groups": []}


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _wait(processes: Iterable[psutil.Process], for_s: float) -> None:
    deadline = time.monotonic() + for_s
    while any(map(_is_alive, processes)) and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
