"""Who a driver is, for others to tell whether it still lives: host, process id and when the process began."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any


def process_identity() -> dict[str, Any]:
    """Return what identifies this process on this host; a process id alone may be reused."""
    return {"host": platform.node(), "boot": _boot(), "pid": os.getpid(), "began": _began(os.getpid())}


def is_surely_dead(holder: dict[str, Any]) -> bool:
    """Say whether that process ran here and is gone; of other hosts nothing is known."""
    mine = process_identity()
    if not holder or any(holder.get(name) != mine[name] for name in ("host", "boot")) or not holder["boot"]:
        return False
    return _began(int(holder["pid"])) != str(holder["began"])


def _boot() -> str:
    """Name this boot and this process namespace: a container sees other process ids than its host."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() + os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _began(pid: int) -> str:
    """Return the start time of a process in clock ticks since boot, "" if it is gone (a zombie is gone)."""
    try:
        fields = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
