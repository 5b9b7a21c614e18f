"""Named points at which a test can kill the process; `failpoint("tick.after_commit")` does nothing unless it is armed.

- After `arm("name:k:kill")` the k-th visit of the point sends SIGKILL to this process. `stop` sends SIGSTOP, which
  halts the process until it gets SIGCONT, as a suspended machine would; `raise` raises an error.
- `arm("record:PATH")` appends the name of every visited point to a file, so that a test sees all of them.
- `KNOWN` lists all points; a test fails if a point is missing from the code or from the list.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from orchestrator.errors import OrchestratorError

KNOWN = (
    "enter.before_commit", "enter.after_commit", "person.before_commit", "person.after_commit", "lease.after_acquire",
    "takeover.before_commit", "takeover.after_commit", "tick.before_commit", "tick.after_commit",
    "submit.before_handover", "submit.after_handover", "attempt.started", "attempt.before_result",
    "attempt.after_result", "result.before_accept", "propose.before_commit", "propose.after_commit", "study.finished",
    "close.before_release", "flush.after_create", "flush.before_mark",
)
"""The names of all failpoints in the code."""

_armed: dict[str, str] = {}
_visits: dict[str, int] = {}


def arm(spec: str) -> None:
    """Arm one point or the recording; an empty spec disarms. Arming the same spec again keeps the visit counts."""
    if spec == _armed.get("", ""):
        return
    _armed.clear()
    _visits.clear()
    if spec:
        _armed[""] = spec
    if spec.startswith("record:"):
        _armed["*"] = spec.removeprefix("record:")
    elif spec:
        name, visit, action = spec.split(":")
        _armed[name] = f"{visit}:{action}"


def failpoint(name: str) -> None:
    """Do nothing, unless a test has armed this point for this visit."""
    if not _armed:
        return
    if "*" in _armed:
        with Path(_armed["*"]).open("a") as file:
            file.write(name + "\n")
        return
    _visits[name] = _visits.get(name, 0) + 1
    visit, _, action = _armed.get(name, "").partition(":")
    if visit != str(_visits[name]):
        return
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if action == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
        return
    raise OrchestratorError(f"failpoint {name}, visit {visit}")
