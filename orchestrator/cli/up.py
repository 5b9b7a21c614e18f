"""`ablate up` and `ablate down`: PostgreSQL, MLflow, Ray, a driver and the dashboard as processes of this host."""

from __future__ import annotations

from collections.abc import Iterable

import click
from rich.text import Text

from orchestrator.cli.console import DONE, FAILED, err, out, plain_table, print_json
from orchestrator.cli.options import json_document, json_option
from orchestrator.deploy.host import Host, State
from orchestrator.settings import Settings

_DOCUMENT = json_document("""
    {"services": [{"name", "is_running", "problem": "" if it is well, "where", "was_started"}], "environment": FILE}""")


@click.command(epilog=_DOCUMENT)
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=None,
    metavar="N",
    help="Ray nodes that do the work, ABLATE_SLOTS slots each; by default as many as before, at first one.",
)
@click.option(
    "--status", is_flag=True, help="Start nothing; say how the services are. Exit code 1 unless all are well."
)
@json_option
@click.pass_context
def up(ctx: click.Context, workers: int | None, status: bool, as_json: bool) -> None:
    """Start what is not running of a whole cluster on this host, and wait until it is well.

    PostgreSQL, MLflow, a Ray head and nodes, a driver and the dashboard, with the settings of docker-compose.yml, in
    ABLATE_HOME/up. Everything listens on 127.0.0.1 alone. What is running is left alone: after a crash, call it again.
    """
    host = Host(Settings.load(), num_workers=workers)
    states = host.status() if status else host.up(lambda state: err().print(_line(state)))
    is_well = bool(states) and not any(state.problem for state in states)
    if as_json:
        print_json({"services": states, "environment": host.environment_file})
    elif status:
        _print(states)
    else:
        out().print(f". {host.environment_file}   # then: ablate submit quickstart", soft_wrap=True)
    ctx.exit(DONE if is_well else FAILED)


@click.command(
    epilog=json_document("""
    {"ended": [names of services]}""")
)
@json_option
def down(as_json: bool) -> None:
    """End what `ablate up` started, and nothing else. Running stages save; data, secrets and logs stay."""
    ended = Host(Settings.load()).down()
    if as_json:
        print_json({"ended": ended})
        return
    err().print(f"ended: {', '.join(ended)}" if ended else "nothing was running")


def _line(state: State) -> Text:
    return Text.assemble((f"{state.name:<14}", "bold"), state.where, "" if state.was_started else "  was running")


def _print(states: Iterable[State]) -> None:
    table = plain_table("service", "", "where")
    for state in states:
        table.add_row(
            state.name, Text(state.problem, style="red") if state.problem else Text("well", style="green"), state.where
        )
    if table.row_count:
        out().print(table)
    else:
        err().print("nothing was ever started here; `ablate up` does")
