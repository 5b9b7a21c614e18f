"""The one error tree. Foreign errors are mapped to it at their door.

- A message says what is wrong, the value and what is allowed; `hint:` follows if there is one.
- `StudyError` is also a `ValueError`: bad input, exit code 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class OrchestratorError(Exception):
    """Root of all errors that this package raises on purpose."""


class StudyError(OrchestratorError, ValueError):
    """A study, recipe, scale or plan that cannot be used: where, what, and what is allowed.

    Args:
        path: the file, or the name of what was asked for.
        line: one-based line in the file, 0 if none is known.
        message: what is wrong, the value, what is allowed; usually starts with the dotted path of the field.
        hint: what to do instead, or "".
        column: one-based column, 0 if none is known.
    """

    def __init__(self, path: str, line: int, message: str, hint: str = "", *, column: int = 0) -> None:
        """Keep the parts apart, so that they can also be shown as JSON."""
        where = ":".join([path, *(str(number) for number in (line, column) if number)])
        super().__init__(f"{where}: {message}" + (f"\nhint: {hint}" if hint else ""))
        self.path, self.line, self.column, self.message, self.hint = path, line, column, message, hint


class IllegalTransition(OrchestratorError):
    """A state was asked to become one that the transition table does not allow from it."""


class StaleWrite(OrchestratorError):
    """A write carried a fencing token that is no longer the newest; accepting it would overwrite a newer attempt."""


class LostLease(OrchestratorError):
    """The driver's lease went to another process; this one must stop deciding at once."""


class LedgerAway(OrchestratorError):
    """The ledger's database does not answer, for a reason that may pass: it restarts, is cut off, or its disk is full."""


class Stopped(OrchestratorError):
    """Work ended because it was asked to, after saving what it had."""


class Diverged(OrchestratorError):
    """A loss or a metric became non-finite: a result of the stage, not a fault of the software.

    Args:
        message: what, where.
        record: plain values for the ledger: step, last losses.
    """

    def __init__(self, message: str, record: Mapping[str, Any] | None = None) -> None:
        """Keep the record for the ledger."""
        super().__init__(message)
        self.record = dict(record or {})


class LostWorker(OrchestratorError):
    """One of several workers of a stage is gone; the others cannot go on."""


class WorkerFailed(OrchestratorError):
    """One of several workers of a stage failed.

    Args:
        failure: the record that it wrote, as `execution.record.failure_of` makes it.
    """

    def __init__(self, failure: Mapping[str, Any]) -> None:
        """Keep the record as it is."""
        super().__init__(failure)
        self.failure = dict(failure)

    def __str__(self) -> str:
        """Return the record's message."""
        return str(self.failure["message"])


class NoResources(OrchestratorError):
    """Memory or disk ran out; the message names the knob.

    Args:
        message: what ran out, and what helps.
        is_certain: it would run out again just so, as a device's memory does: trying again is no use.
    """

    def __init__(self, message: str, *, is_certain: bool = False) -> None:
        """Keep whether it would happen again."""
        super().__init__(message)
        self.is_certain = is_certain
