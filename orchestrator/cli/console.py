"""Terminal output that all subcommands share: standard output and error, JSON, and error messages."""

from __future__ import annotations

import codecs
import dataclasses
import json
import math
import sys
from collections.abc import Iterable
from typing import IO, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.errors import LedgerAway, LostLease, OrchestratorError, Stopped, StudyError, StudyErrors
from orchestrator.settings import redact

DONE, FAILED, BAD_INPUT, TRY_AGAIN = 0, 1, 2, 75
"""Exit codes of every subcommand; 75 is EX_TEMPFAIL of sysexits.h."""
PLAIN_WIDTH = 160
"""Width of tables in columns if the output is not a terminal, for example a log file."""

_STATE_STYLES = {"SUCCEEDED": "green", "COMPLETED": "green", "RUNNING": "cyan", "LEASED": "cyan", "FAILED": "red",
                 "COMPLETED_WITH_FAILURES": "red", "DIVERGED": "magenta", "CANCELLED": "yellow", "PAUSED": "yellow"}


def out() -> Console:
    """Return the console of standard output: tables and verdicts."""
    return _console(stderr=False)


def err() -> Console:
    """Return the console of standard error for progress and notes; `ablate --quiet` silences it."""
    context = click.get_current_context(silent=True)
    return _console(stderr=True, is_quiet=context is not None and context.find_root().params.get("quiet", False))


def _console(*, stderr: bool, is_quiet: bool = False) -> Console:
    # Without markup: names and questions are written by people and may contain square brackets.
    console = Console(stderr=stderr, highlight=False, markup=False, quiet=is_quiet)
    return (
        console
        if console.is_terminal
        else Console(stderr=stderr, highlight=False, markup=False, quiet=is_quiet, width=PLAIN_WIDTH)
    )


def plain_table(*text: str, numbers: Iterable[str] = ()) -> Table:
    """Return an empty table without lines: columns of text, then columns of numbers, which stand at the right."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2))
    for name in text:
        table.add_column(name)
    for name in numbers:
        table.add_column(name, justify="right")
    return table


def print_json(document: object) -> None:
    """Print one JSON document on standard output. A number that is not finite becomes null.

    If the output is not UTF-8, letters beyond ASCII are escaped: a question mark would change the document.
    """
    is_ascii = codecs.lookup(sys.stdout.encoding or "ascii").name != "utf-8"
    click.echo(json.dumps(plain(document), indent=2, ensure_ascii=is_ascii, allow_nan=False))


def plain(value: object) -> Any:
    """Return dataclasses, tuples and times as plain JSON values; non-finite numbers are null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int | bool):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def state_text(state: str) -> Text:
    """Return a state as a coloured word."""
    return Text(state.replace("_", " ").lower(), style=_STATE_STYLES.get(state, ""))


class Reported(click.ClickException):
    """An error of ours, with its exit code, that click shows as a message."""

    exit_code = FAILED

    def __init__(self, error: OrchestratorError) -> None:
        super().__init__(str(error))
        self.error = error

    def show(self, file: IO[Any] | None = None) -> None:
        """Print path and line, problem and hint on standard error."""
        if not isinstance(self.error, StudyError):
            err().print(Text.assemble(("error: ", "bold red"), redact(str(self.error))), soft_wrap=True)
            return
        for each in self.error.errors if isinstance(self.error, StudyErrors) else (self.error,):
            _show(each)


def _show(error: StudyError) -> None:
    console = err()
    where = ":".join([error.path, *(str(number) for number in (error.line, error.column) if number)])
    console.print(Text.assemble((f"{where}: ", "bold"), (redact(error.message), "red")), soft_wrap=True)
    if error.hint:
        console.print(Text.assemble(("hint: ", "bold yellow"), redact(error.hint)), soft_wrap=True)


class ReportedInput(Reported):
    """An error in the user's input."""

    exit_code = BAD_INPUT


class ReportedDelay(Reported):
    """Another process is in the way, or work was stopped: the user should try again."""

    exit_code = TRY_AGAIN


def reported(error: OrchestratorError) -> Reported:
    """Return the exception that click shows for an error, with the exit code of its kind."""
    if isinstance(error, StudyError):
        return ReportedInput(error)
    return ReportedDelay(error) if isinstance(error, LedgerAway | LostLease | Stopped) else Reported(error)
