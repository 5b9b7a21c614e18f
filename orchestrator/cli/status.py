"""`ablate status` and `results`: the state of studies, and their results."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Group
from rich.table import Table
from rich.text import Text

from orchestrator import formatting
from orchestrator.artifacts.opening import artifacts_of
from orchestrator.cli.console import out, plain, print_json, state_text
from orchestrator.cli.context import num_unsent, readable_ledger
from orchestrator.cli.factors_table import print_factors
from orchestrator.cli.items_table import print_items
from orchestrator.cli.options import json_document, json_option, known_scale_option, study_argument
from orchestrator.cli.progress_bar import screen
from orchestrator.cli.results_table import data_table, print_results
from orchestrator.errors import StudyError
from orchestrator.ledger import read
from orchestrator.ledger.engine import Engine
from orchestrator.ledger.naming import ledger_id
from orchestrator.ledger.rows import StudyRow
from orchestrator.ledger.summaries import FailedStage, failed_stages
from orchestrator.results.item_statistics import item_results
from orchestrator.results.planning import study_name
from orchestrator.results.progress import Progress, progress
from orchestrator.results.results import Results, study_results
from orchestrator.results.tables import WRITERS, to_parquet
from orchestrator.settings import Settings

_RUNNING = ("stage_id", "kind", "label", "attempt_no", "step", "steps", "loss", "samples_per_s")
"""What `--json` prints of a running stage."""


@click.command(epilog=json_document("""
    {"as_of", "driver": {"driver_id", "is_live", "expires_in_s", "holder"} or null,
     "outbox": messages not yet in MLflow,
     "studies": [{"name", "scale", "version", "state", "reason", "study_id", "created_at", "ended_at", "trials",
                  "trials_done", "stages", "stages_done", "stages_running", "stages_failed", "left_s", "is_measured",
                  "priority", "max_slots",
                  "running": [{"stage_id", "kind", "label", "attempt_no", "step", "steps", "loss", "samples_per_s"}],
                  "failures": [{"stage_id", "label", "state", "attempts", "kind", "exception", "message"}]}]}"""))
@click.argument("study", metavar="[STUDY]", required=False)
@known_scale_option
@json_option
def status(study: str | None, scale: str | None, as_json: bool) -> None:
    """Show all studies in the ledger, or one."""
    settings, engine = readable_ledger()
    rows = [read.study(engine, study_name(study), scale)] if study else read.studies(engine)
    shown = [progress(engine, row, slots=settings.slots) for row in rows]
    if as_json:
        print_json({"as_of": time.time(), "driver": read.driver(engine), "outbox": num_unsent(settings, engine),
                    "studies": [_document(each, failed_stages(engine, each.study.study_id)) for each in shown]})
        return
    console = out()
    console.print(_driver_line(settings, engine))
    console.print(_studies_table(shown) if rows else "no study was submitted yet; try: ablate run quickstart")
    if study:
        console.print(Group(Text(), screen(shown[0]), *_failures(failed_stages(engine, shown[0].study.study_id))))


@click.command(epilog=json_document("""
    {"schema_version", "study", "metrics", "arms", "trials", "verdict", "claims", "published", "data", "counts", "cost",
     "varies_with_seed", "seed_note", "noise", "at_branches"}; the fields are described in
    orchestrator/results/results.py.
    With --items also "items": {"metric", "num_pictures", "decides", "verdict", "left_out": {benchmark: why},
     "arms": [{"arm_key", "these", "population", "advice"}],
     "components": {benchmark: {"seed", "item", "arm_item", "rest"}}}"""))
@study_argument
@known_scale_option
@click.option("--benchmarks", is_flag=True, help="Show every benchmark, not only categories and averages.")
@click.option("--csv", default=None, metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
              help="Also write a CSV file with a row for each arm and metric.")
@click.option(
    "--parquet",
    default=None,
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write the same rows as Parquet.",
)
@click.option("--markdown", default=None, metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
              help="Also write a Markdown table of arms and metrics.")
@click.option(
    "--latex", default=None, metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
    help="Also write the same table as LaTeX."
)
@click.option(
    "--data", "with_data", is_flag=True, help="Show what each arm was trained on, by source."
)
@click.option("--factors", "with_factors", is_flag=True,
              help="Show the effect of each factor of a product, or the smooth curve over one numeric factor.")
@click.option("--items", "with_items", is_flag=True,
              help="Read stored answers: show intervals for the population of items, and whether seeds or items lack.")
@json_option
def results(study: str, scale: str | None, benchmarks: bool, with_data: bool, with_factors: bool, with_items: bool,
            as_json: bool, parquet: Path | None, **texts: Path | None) -> None:
    """Print scores with intervals, differences to the baseline and the verdict."""
    settings, engine = readable_ledger()
    row = read.study(engine, study_name(study), scale)
    found = study_results(engine, row)
    about = item_results(found, read.scores(engine, row.study_id), artifacts_of(settings, ledger_id(engine))) if with_items else None
    _write(found, parquet, texts)
    if as_json:
        print_json(found.to_json() | ({"items": plain(about)} if about else {}))
        return
    console = out()
    console.print(
        Text.assemble((row.name, "bold"), f" at scale {row.scale}, version {row.version}: ", state_text(row.state))
    )
    console.print(Text(found.question, style="italic"))
    if row.reason:
        console.print(Text(f"note: {row.reason}", style="yellow"))
    console.print()
    print_results(console, found, with_benchmarks=benchmarks)
    if with_data:
        console.print(Group(Text(), data_table(found)))
    if with_factors:
        console.print()
        print_factors(console, found)
    if about:
        print_items(console, found, about)


def _write(found: Results, parquet: Path | None, texts: Mapping[str, Path | None]) -> None:
    """Write the results as tables, each to the file given for its format."""
    try:
        for form, path in texts.items():
            if path is not None:
                path.write_text(WRITERS[form](found), encoding="utf-8")
        if parquet is not None:
            to_parquet(found, parquet)
    except OSError as error:
        raise StudyError(str(error.filename), 0, f"cannot be written ({error.strerror})") from error


def _document(shown: Progress, failed: list[FailedStage]) -> dict[str, Any]:
    row = shown.study
    return {
        "name": row.name, "scale": row.scale, "version": row.version, "state": row.state, "reason": row.reason,
        "study_id": row.study_id, "created_at": row.created_at, "ended_at": row.ended_at, "trials": row.num_trials,
        "trials_done": row.trials_done, "stages": shown.total, "stages_done": shown.done,
        "stages_running": len(shown.running), "stages_failed": shown.failed,
        "left_s": None if shown.is_terminal else shown.left.seconds, "is_measured": shown.left.is_measured,
        "priority": row.priority, "max_slots": row.max_slots,
        "running": [{name: plain(getattr(stage, name)) for name in _RUNNING} for stage in shown.running],
        "failures": [{"stage_id": stage.stage_id, "label": stage.label, "state": stage.state,
                      "attempts": stage.attempts_made, **_reason(stage)} for stage in failed],
    }


def _reason(stage: FailedStage) -> dict[str, Any]:
    failure = stage.failure
    return {"kind": failure.get("kind"), "exception": failure.get("type"), "message": failure.get("message")}


def _told(stage: FailedStage) -> str:
    """Return the failure's message, after the exception's name unless the message starts with it."""
    name, message = str(stage.failure.get("type") or "").rpartition(".")[2], str(stage.failure.get("message"))
    return message if not name or message.startswith(name) else f"{name}: {message}"


def _driver_line(settings: Settings, engine: Engine) -> Text:
    driver, lag = read.driver(engine), num_unsent(settings, engine)
    tracking = f"; {lag} messages wait for MLflow" if lag else ""
    if driver is None or not driver.is_live:
        return Text(f"no driver is running: submitted studies wait for `ablate run`{tracking}", style="yellow")
    where = ", ".join(f"{name} {value}" for name, value in driver.holder.items() if name in ("host", "pid"))
    return Text(f"a driver is running ({where or driver.driver_id}){tracking}", style="green")


def _studies_table(shown: list[Progress]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1))
    table.add_column("study", overflow="fold")
    for name in ("scale", "version", "state"):
        table.add_column(name, overflow="fold", min_width=len("completed") if name == "state" else None)
    for name in ("trials", "stages", "failed", "left"):
        table.add_column(name, justify="right")
    for each in shown:
        row = each.study
        left = "" if each.is_terminal else formatting.duration(each.left.seconds)
        table.add_row(row.name, row.scale, str(row.version), _state(row), f"{row.trials_done}/{row.num_trials}",
                      f"{each.done}/{each.total}", str(each.failed or ""), left)
    return table


def _state(row: StudyRow) -> Text:
    return Text.assemble(state_text(row.state), f" ({row.reason})" if row.reason else "")


def _failures(failed: list[FailedStage]) -> list[Text]:
    return [Text.assemble((f"{stage.label}: ", "bold"), state_text(stage.state),
                          f" after {stage.attempts_made} attempts: {_told(stage)}") for stage in failed]


