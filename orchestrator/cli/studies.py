"""`ablate studies`: list all studies by name, and the state of each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from orchestrator.cli.console import out, print_json, state_text
from orchestrator.cli.context import readable_ledger
from orchestrator.cli.options import json_document, json_option
from orchestrator.errors import StudyError
from orchestrator.ledger import read
from orchestrator.ledger.rows import StudyRow
from orchestrator.study import library
from orchestrator.study.strict_yaml import load


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A study with a file in the library, a row in the ledger, or both."""

    name: str
    question: str
    path: str | None
    """Path of its file in the library; None if it is only in the ledger."""
    runs: tuple[dict[str, object], ...] = ()
    """Scale, version and state of its newest version at each scale."""


@click.command(epilog=json_document("""
    [{"name", "question", "path" (null: only in the ledger), "runs": [{"scale", "version", "state"}]}]"""))
@click.argument("contains", default="")
@json_option
def studies(contains: str, as_json: bool) -> None:
    """List the studies of the library and of the ledger, and the state of each.

    CONTAINS lists only the studies whose name contains it, such as `alpha`.
    """
    _, engine = readable_ledger()
    found = [each for each in _known(read.studies(engine)) if contains in each.name]
    if as_json:
        print_json(found)
        return
    out().print(_table(found) if found else f"no study's name contains {contains!r}")


def _known(rows: list[StudyRow]) -> list[Known]:
    """Return the library's studies in its order, then those that are only in the ledger."""
    found = {
        name: Known(name=name, question=_question(path), path=str(path))
        for name, path in library.names("study").items()
    }
    newest = {(row.name, row.scale): row for row in sorted(rows, key=lambda each: each.version)}
    for row in newest.values():
        known = found.get(row.name) or Known(name=row.name, question=row.spec["study"]["question"], path=None)
        run: dict[str, object] = {"scale": row.scale, "version": row.version, "state": row.state}
        found[row.name] = replace(known, runs=(*known.runs, run))
    return list(found.values())


def _question(path: Path) -> str:
    try:
        return str(load(path).values.get("question", ""))
    except StudyError as error:
        return f"cannot be read: {error.message}"


def _table(found: list[Known]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2))
    table.add_column("study", no_wrap=True)
    table.add_column("question", overflow="fold")
    table.add_column("in the ledger")
    for each in found:
        runs = Text(", ").join(Text.assemble(f"{run['scale']}: ", state_text(str(run["state"]))) for run in each.runs)
        table.add_row(each.name, each.question, runs)
    return table
