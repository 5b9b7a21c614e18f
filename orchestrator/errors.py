"""The error classes of the orchestrator. Exceptions of other libraries are mapped to these where the library is called.

- A message says what is wrong, the value and what is allowed; a line `hint:` follows if there is one.
- `StudyError` is also a `ValueError`: it means bad input, and the command line exits with code 2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


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


def parted(error: object) -> tuple[str, str]:
    """Return the problem and the hint of a message that may end in a line `hint:`; the hint is "" without one."""
    problem, _, hint = str(error).partition("\nhint: ")
    return problem, hint


class StudyErrors(StudyError):
    """Several mistakes, each with its place: a person mends them in one go.

    Args:
        errors: at least one; the first gives its place to the whole.
    """

    def __init__(self, errors: Sequence[StudyError]) -> None:
        """Keep all of them."""
        first = errors[0]
        super().__init__(first.path, first.line, first.message, first.hint, column=first.column)
        self.args = ("\n".join(map(str, errors)),)
        self.errors = tuple(errors)


def together(errors: Iterable[StudyError]) -> StudyError:
    """Return one error for several, each place and message once, in order."""
    every = [single for error in errors for single in (error.errors if isinstance(error, StudyErrors) else (error,))]
    different = list({str(error): error for error in every}.values())
    return different[0] if len(different) == 1 else StudyErrors(different)


def for_each(do: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Do something with each of several things, and find the mistakes of all of them.

    Raises:
        StudyError: all mistakes together.
    """
    done, errors = [], []
    for item in items:
        try:
            done.append(do(item))
        except StudyError as error:
            errors.append(error)
    if errors:
        raise together(errors)
    return done


class IllegalTransition(OrchestratorError):
    """A transition between two states is not in the transition table."""


class StaleWrite(OrchestratorError):
    """A write carried an outdated fencing token; accepting it would overwrite the state of a newer attempt."""


class LostLease(OrchestratorError):
    """Another process holds the driver's lease now; this process must stop deciding at once."""


class LedgerAway(OrchestratorError):
    """The ledger's database does not answer for a transient reason: it restarts, is unreachable, or has a full disk."""


class NotAllowed(OrchestratorError):
    """Whoever asks may not do this: the role of the database, or the person in the dashboard, lacks the right."""


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
