"""`ablate paper`: compare the results of studies with what their paper published."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click
from rich.table import Table

from orchestrator.cli.console import out, print_json
from orchestrator.cli.context import readable_ledger
from orchestrator.cli.options import json_document, json_option, scale_option
from orchestrator.ledger import read
from orchestrator.ledger.rows import StudyRow
from orchestrator.results.beside_paper import BesidePaper, beside_paper, page
from orchestrator.results.results import study_results
from orchestrator.study import library


@click.command(epilog=json_document("""
    [{"name", "scale", "question", "rule", "verdict", "chosen", "paper", "agreement", "claims": {outcome: number}, "num_seeds", "num_arms",
     "date", "hours"}]"""))
@scale_option
@click.option("--markdown", "file", default=None, type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Also write a page: the paper's tables with ours beside them, and every statement with its outcome.")
@json_option
def paper(scale: str, file: Path | None, as_json: bool) -> None:
    """Compare every study with the results that its paper published: verdicts, choices and claims."""
    _, engine = readable_ledger()
    found = [study_results(engine, row) for row in _rows(read.studies(engine), scale)]
    rows = [beside_paper(each) for each in found]
    if file is not None:
        file.write_text(page(found, f"What the studies at scale {scale} found, beside the paper"), encoding="utf-8")
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    out().print(_table(rows) if rows else f"no study with published results in the ledger at scale {scale}; "
                                          "`ablate import --all` brings the recorded ones")


def _rows(rows: list[StudyRow], scale: str) -> list[StudyRow]:
    """Return the newest version of each study that has published results, in the library's order."""
    newest = {row.name: row for row in sorted(rows, key=lambda each: each.version)
              if row.scale == scale and row.spec["study"].get("published")}
    order = [*library.names("study")]
    return sorted(newest.values(), key=lambda row: (order.index(row.name) if row.name in order else len(order), row.name))


def _table(rows: list[BesidePaper]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2))
    for name in ("study", "verdict", "chosen here", "the paper", "agreement", "supported", "contradicted", "undecided", "seeds"):
        table.add_column(name, justify="right" if name in ("supported", "contradicted", "undecided", "seeds") else "left")
    for row in rows:
        numbers = (str(row.claims.get(each, 0)) for each in ("supported", "contradicted", "undecided"))
        table.add_row(row.name, row.verdict, row.chosen or "–", row.paper or "–", row.agreement, *numbers, str(row.num_seeds))
    return table
