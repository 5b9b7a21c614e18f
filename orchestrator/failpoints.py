"""Named points where a test may kill the process: `failpoint("claim.after_commit")` does nothing in normal life.

- Armed by `arm("name:k:kill")`, the k-th visit of the point SIGKILLs this process; `stop` halts it (SIGSTOP) until somebody
  lets it go on, as a machine that sleeps does; `raise` raises.
- `arm("record:PATH")` appends the name of every point visited, so that a test knows the whole list.
- `KNOWN` is that list: a point that vanishes, or one that is not in it, fails a test.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from orchestrator.errors import OrchestratorError

KNOWN = (
    "enter.before_commit", "enter.after_commit", "person.before_commit", "person.after_commit", "lease.after_acquire",
    "takeover.before_commit", "takeover.after_commit", "tick.before_commit", "tick.after_commit", "submit.before_handover",
    "submit.after_handover", "attempt.started", "attempt.before_result", "attempt.after_result", "result.before_accept",
    "propose.before_commit", "propose.after_commit", "study.finished", "close.before_release", "flush.after_create",
    "flush.before_mark",
)
"""Every point in the code."""

_armed: dict[str, str] = {}
_visits: dict[str, int] = {}


def arm(spec: str) -> None:
    """Arm one point, or recording; an empty spec disarms. The same spec again keeps the counts of visits."""
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
    """Do nothing, unless a test armed this point for this visit."""
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
