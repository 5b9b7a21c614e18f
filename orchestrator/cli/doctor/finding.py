"""What the doctor says of one thing that it looked at."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.settings import redact


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    is_ok: bool
    found: str
    fix: str = ""
    """What to do; only with a problem, or with something optional that is missing."""


def problem(name: str, error: Exception, fix: str) -> Finding:
    """Return what is wrong, in the first line of an error, without secrets."""
    return Finding(name, False, redact((str(error).strip().splitlines() or [type(error).__name__])[0]), fix)
