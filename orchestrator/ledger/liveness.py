"""Who a driver is, for others to tell whether it still lives: host, process id and when the process began."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

_STATE, _BEGAN = 0, 1
_STOPPED = frozenset("Tt")
"""How the kernel writes down a process that is stopped, or halted by a debugger."""


def process_identity() -> dict[str, Any]:
    """Return what identifies this process on this host; a process id alone may be reused."""
    return {"host": platform.node(), "boot": _boot(), "pid": os.getpid(), "began": _began(os.getpid())}


def is_surely_dead(holder: dict[str, Any]) -> bool:
    """Say whether that process ran here and is gone; of other hosts nothing is known."""
    return _ran_here(holder) and _began(int(holder["pid"])) != str(holder["began"])


def is_surely_alive(holder: dict[str, Any]) -> bool:
    """Say whether that process is another one of this host and at work, however late its lease is: a disk may be slow."""
    return _is_another_here(holder) and _stat(int(holder["pid"]))[_STATE] not in _STOPPED


def is_surely_stopped(holder: dict[str, Any]) -> bool:
    """Say whether that process is another one of this host that somebody stopped: SIGSTOP, a debugger."""
    return _is_another_here(holder) and _stat(int(holder["pid"]))[_STATE] in _STOPPED


def _is_another_here(holder: dict[str, Any]) -> bool:
    return _ran_here(holder) and int(holder["pid"]) != os.getpid() and not is_surely_dead(holder)


def _ran_here(holder: dict[str, Any]) -> bool:
    mine = process_identity()
    return bool(holder) and all(holder.get(name) == mine[name] for name in ("host", "boot")) and bool(holder["boot"])


def _boot() -> str:
    """Name this boot and this process namespace: a container sees other process ids than its host."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() + os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _began(pid: int) -> str:
    """Return the start time of a process in clock ticks since boot, "" if it is gone (a zombie is gone)."""
    return _stat(pid)[_BEGAN]


def _stat(pid: int) -> tuple[str, str]:
    """Return state and start time of a process; of one that is gone the state of the dead, and no time."""
    try:
        fields = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ("X", "")
    return (fields[0], "" if fields[0] in "ZX" else fields[19])
