"""`ablate query` and `ablate mlflow sync`: search past trials in MLflow, and rebuild MLflow from the ledger."""

from __future__ import annotations

from datetime import UTC, datetime

import click
from rich.table import Table

from orchestrator import formatting
from orchestrator.cli.console import err, out, print_json, state_text
from orchestrator.cli.context import writable_ledger
from orchestrator.cli.options import json_document, json_option
from orchestrator.settings import Settings
from orchestrator.tracking.query import EXAMPLE, Found, columns_of, search
from orchestrator.tracking.resync import resync

TRIAL_COLUMNS = ["metrics.mmbase", "metrics.overall"]
STAGE_COLUMNS = ["metrics.loss", "metrics.result.score"]
"""Columns that are shown if the filter contains no field."""


@click.command(epilog=f"Example: ablate query \"{EXAMPLE}\" --order-by 'metrics.mmbase DESC'\n\n" + json_document("""
    [{"mlflow_run_id", "experiment", "name", "status", "started_at", "seconds", "tags", "params", "metrics"}]"""))
@click.argument("filter_text", metavar="[FILTER]", default="")
@click.option("--study", default=None, metavar="NAME", help="Only trials of this study.")
@click.option("--stages", is_flag=True, help="Search attempts of stages instead of trials.")
@click.option(
    "--order-by", multiple=True, metavar="FIELD [ASC|DESC]", help="Order, in MLflow's syntax; by default newest first."
)
@click.option("--limit", type=click.IntRange(1, 50_000), default=100, show_default=True, help="The most rows to show.")
@json_option
def query(
    filter_text: str, study: str | None, stages: bool, order_by: tuple[str, ...], limit: int, as_json: bool
) -> None:
    """Find past trials in MLflow with its filter language: conditions on metrics, params and tags joined by AND."""
    found = search(Settings.load(), filter_text, study=study, stages=stages, order_by=order_by, limit=limit)
    if as_json:
        print_json(found)
        return
    if not found:
        err().print("nothing matches")
        return
    default = STAGE_COLUMNS if stages else TRIAL_COLUMNS
    out().print(_table(found, columns_of(filter_text, *order_by) or default))
    if len(found) == limit:
        err().print(f"the first {limit}; --limit shows more")


@click.group()
def mlflow() -> None:
    """Rebuild MLflow's store from the ledger."""


@mlflow.command(epilog=json_document("""
    {"sent": messages that MLflow accepted, "refused": messages that it will never accept}"""))
@json_option
def sync(as_json: bool) -> None:
    """Rebuild the MLflow store from the ledger; what the store already has is kept."""
    settings, engine = writable_ledger()
    counts = [0]

    def note(sent: int, total: int) -> None:
        counts[0] = sent
        err().print(f"{sent}/{total} messages")

    flushed = resync(settings, engine, on_progress=note)
    if as_json:
        print_json({"sent": counts[0] - flushed.num_refused, "refused": flushed.num_refused})
        return
    out().print(
        f"MLflow now has everything in the ledger: {counts[0] - flushed.num_refused} messages sent, "
        f"{flushed.num_refused} refused"
    )


def _table(found: list[Found], columns: list[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2))
    is_versioned = len({(each.experiment, each.name) for each in found}) < len(found) and any(
        "version" in each.tags for each in found
    )
    for name in ("study", *(("version",) if is_versioned else ()), "name", "state", "started"):
        table.add_column(name)
    table.add_column("took", justify="right")
    for column in columns:
        table.add_column(column.partition(".")[2], justify="right")
    for each in found:
        started = datetime.fromtimestamp(each.started_at, UTC).strftime("%Y-%m-%d %H:%M")
        version = (each.tags.get("version", ""),) if is_versioned else ()
        table.add_row(each.experiment, *version, each.name, state_text(each.tags.get("state", each.status)), started,
                      "" if each.seconds is None else formatting.duration(each.seconds), *(_cell(each.value(name)) for name in columns))
    return table


def _cell(value: str | float | None) -> str:
    return "" if value is None else value if isinstance(value, str) else f"{value:.4g}"
