"""The identity of a driver's process (host, process id, start time), from which others tell whether it is alive."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

_STATE, _BEGAN = 0, 1
_STOPPED = frozenset("Tt")
"""The kernel's letters for a process that was stopped, or halted by a debugger."""


def process_identity() -> dict[str, Any]:
    """Return what identifies this process on this host. The process id alone may be reused."""
    return {"host": platform.node(), "boot": _boot(), "pid": os.getpid(), "began": _began(os.getpid())}


def is_surely_dead(holder: dict[str, Any]) -> bool:
    """Return whether that process ran on this host and no longer exists. About other hosts nothing is known."""
    return _ran_here(holder) and _began(int(holder["pid"])) != str(holder["began"])


def is_surely_alive(holder: dict[str, Any]) -> bool:
    """Return whether that process is another one on this host and is running.

    Its lease may be late all the same: a disk may be slow.
    """
    return _is_another_here(holder) and _stat(int(holder["pid"]))[_STATE] not in _STOPPED


def is_surely_stopped(holder: dict[str, Any]) -> bool:
    """Return whether that process is another one on this host and is stopped, by SIGSTOP or a debugger."""
    return _is_another_here(holder) and _stat(int(holder["pid"]))[_STATE] in _STOPPED


def _is_another_here(holder: dict[str, Any]) -> bool:
    return _ran_here(holder) and int(holder["pid"]) != os.getpid() and not is_surely_dead(holder)


def _ran_here(holder: dict[str, Any]) -> bool:
    mine = process_identity()
    return bool(holder) and all(holder.get(name) == mine[name] for name in ("host", "boot")) and bool(holder["boot"])


def _boot() -> str:
    """Return the id of this boot and process namespace: a container numbers its processes differently than its host."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() + os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _began(pid: int) -> str:
    """Return the start time of a process in clock ticks since boot, "" if it no longer exists (a zombie does not)."""
    return _stat(pid)[_BEGAN]


def _stat(pid: int) -> tuple[str, str]:
    """Return state and start time of a process; ("X", "") if it no longer exists."""
    try:
        fields = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ("X", "")
    return (fields[0], "" if fields[0] in "ZX" else fields[19])
