"""The error classes of the orchestrator. Exceptions of other libraries are mapped to these where the library is called.

- A message says what is wrong, the value and what is allowed; a line `hint:` follows if there is one.
- `StudyError` is also a `ValueError`: it means bad input, and the command line exits with code 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class OrchestratorError(Exception):
    """The base class of all errors that this package raises on purpose."""


class StudyError(OrchestratorError, ValueError):
    """A study, recipe, scale or plan cannot be used; the message says where, what is wrong, and what is allowed.

    Args:
        path: the file, or the name that was looked up.
        line: one-based line in the file, 0 if none is known.
        message: what is wrong, the value, what is allowed; usually starts with the dotted path of the field.
        hint: what to do instead, or "".
        column: one-based column, 0 if none is known.
    """

    def __init__(self, path: str, line: int, message: str, hint: str = "", *, column: int = 0) -> None:
        """Store the parts separately, so that they can also be shown as JSON."""
        where = ":".join([path, *(str(number) for number in (line, column) if number)])
        super().__init__(f"{where}: {message}" + (f"\nhint: {hint}" if hint else ""))
        self.path, self.line, self.column, self.message, self.hint = path, line, column, message, hint


class IllegalTransition(OrchestratorError):
    """A transition between two states is not in the transition table."""


class StaleWrite(OrchestratorError):
    """A write carried an outdated fencing token; accepting it would overwrite the state of a newer attempt."""


class LostLease(OrchestratorError):
    """Another process holds the driver's lease now; this process must stop deciding at once."""


class LedgerAway(OrchestratorError):
    """The ledger's database does not answer for a transient reason: it restarts, is unreachable, or has a full disk."""


class Stopped(OrchestratorError):
    """The work was asked to stop, and stopped after saving a checkpoint."""


class Diverged(OrchestratorError):
    """A loss or a metric became non-finite. This is a result of the stage, not a fault of the software.

    Args:
        message: which number became non-finite, and where.
        record: plain values for the ledger: step, last losses.
    """

    def __init__(self, message: str, record: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.record = dict(record or {})


class LostWorker(OrchestratorError):
    """One of the workers of a stage died; the other workers cannot continue."""


class WorkerFailed(OrchestratorError):
    """One of the workers of a stage failed.

    Args:
        failure: the failure record that the worker wrote, in the form of `execution.record.failure_of`.
    """

    def __init__(self, failure: Mapping[str, Any]) -> None:
        super().__init__(failure)
        self.failure = dict(failure)

    def __str__(self) -> str:
        return str(self.failure["message"])


class NoResources(OrchestratorError):
    """Memory or disk ran out; the message names the setting that helps.

    Args:
        message: what ran out, and what helps.
        is_certain: whether a retry would run out again in the same way, as it does for a device's memory.
    """

    def __init__(self, message: str, *, is_certain: bool = False) -> None:
        super().__init__(message)
        self.is_certain = is_certain
