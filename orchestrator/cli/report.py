"""`ablate report`: write a study's HTML report."""

from __future__ import annotations

from pathlib import Path

import click

from orchestrator.artifacts.opening import artifacts_of
from orchestrator.cli.console import print_json
from orchestrator.cli.context import readable_ledger
from orchestrator.cli.options import json_document, json_option, known_scale_option, study_argument
from orchestrator.ledger import read
from orchestrator.ledger.naming import ledger_id
from orchestrator.results.item_statistics import item_results
from orchestrator.results.planning import study_name
from orchestrator.results.report import write_report
from orchestrator.results.results import report_path, study_results


@click.command(epilog=json_document("""
    {"study", "scale", "version", "path"}"""))
@study_argument
@known_scale_option
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), default=None,
              help="File to write; by default in ABLATE_HOME/reports.")
@json_option
def report(study: str, scale: str | None, output: Path | None, as_json: bool) -> None:
    """Write a self-contained HTML report and print its path."""
    settings, engine = readable_ledger()
    row = read.study(engine, study_name(study), scale)
    results = study_results(engine, row)
    items = item_results(results, read.scores(engine, row.study_id), artifacts_of(settings, ledger_id(engine)))
    path = write_report(results, output or report_path(settings.home, row), items)
    if as_json:
        print_json({"study": row.name, "scale": row.scale, "version": row.version, "path": str(path)})
        return
    click.echo(path)
