"""`ablate doctor`: what is wrong with the set-up, and how to mend it."""

from __future__ import annotations

from collections.abc import Iterator

import click
from rich.table import Table
from rich.text import Text

from orchestrator.cli.console import DONE, FAILED, out, print_json
from orchestrator.cli.doctor import machine, services
from orchestrator.cli.doctor.finding import Finding
from orchestrator.cli.options import json_document, json_option
from orchestrator.settings import Settings


@click.command(epilog=json_document("""
    {"is_ok", "checks": [{"name", "is_ok", "found", "fix"}]}"""))
@json_option
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Say what is wrong with the set-up and how to mend it; exit code 1 when there is a problem.

    Every service that a setting names is connected to, and written to where studies write. Nothing of it stays.
    """
    checks = list(examine(Settings.load()))
    is_ok = all(check.is_ok for check in checks)
    if as_json:
        print_json({"is_ok": is_ok, "checks": checks})
    else:
        _print(checks)
    ctx.exit(DONE if is_ok else FAILED)


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at everything a study needs, cheapest first."""
    yield from machine.examine(settings)
    yield from services.examine(settings)


def _print(checks: list[Finding]) -> None:
    table = Table.grid(padding=(0, 2))
    for check in checks:
        mark = Text("ok", style="green") if check.is_ok else Text("problem", style="bold red")
        table.add_row(mark, check.name, check.found)
        if check.fix and not check.is_ok:
            table.add_row("", "", Text(f"fix: {check.fix}", style="yellow"))
    out().print(table)
