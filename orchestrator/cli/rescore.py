"""`ablate rescore`: score stored answers again with other choices or the present metrics; nothing is written."""

from __future__ import annotations

import dataclasses

import click
from rich.text import Text

from orchestrator.artifacts.opening import artifacts_of
from orchestrator.cli.console import err, out, plain_table, print_json
from orchestrator.cli.context import readable_ledger
from orchestrator.cli.options import json_document, json_option, known_scale_option, study_argument
from orchestrator.errors import StudyError
from orchestrator.ledger import read
from orchestrator.ledger.naming import ledger_id
from orchestrator.results.planning import study_name
from orchestrator.results.rescore import RescoredStudy, choices_of
from orchestrator.results.rescore import rescore as score_again


@click.command(epilog=json_document("""
    {"name", "scale", "choices": {name: value}, "is_same", "benchmarks": [{"stage_id", "label", "benchmark", "accepted", "score",
     "details", "has_new_version"}], "trials": {trial: {metric: value}}, "withheld": {trial: {metric: why}}}"""))
@study_argument
@known_scale_option
@click.option("--set", "sets", multiple=True, metavar="NAME=VALUE",
              help="A field of evaluate.scoring, such as pope_score=f1. May be repeated.")
@json_option
def rescore(study: str, scale: str | None, sets: tuple[str, ...], as_json: bool) -> None:
    """Score stored answers again. Without --set, a difference to the ledger gives exit code 1."""
    settings, engine = readable_ledger()
    row = read.study(engine, study_name(study), scale)
    choices = _choices(sets)
    found = score_again(
        read.trials(engine, row.study_id),
        read.stages(engine, row.study_id),
        read.scores(engine, row.study_id),
        artifacts_of(settings, ledger_id(engine)),
        choices,
    )
    is_same = all(each.is_same or each.has_new_version for each in found.benchmarks)
    if as_json:
        print_json(
            {"name": row.name, "scale": row.scale, "choices": choices, "is_same": is_same, **dataclasses.asdict(found)}
        )
    else:
        _print(found)
    if not is_same and not choices:
        err().print(
            Text(
                "the stored answers no longer give the accepted scores: a metric changed, but its version did not",
                style="red"
            )
        )
        raise SystemExit(1)


def _choices(sets: tuple[str, ...]) -> dict[str, object]:
    pairs = [text.partition("=") for text in sets]
    try:
        return choices_of({name: value for name, _, value in pairs})
    except ValueError as error:
        raise StudyError("--set", 0, str(error)) from error


def _print(found: RescoredStudy) -> None:
    table = plain_table("evaluation", numbers=("accepted", "now"))
    for each in found.benchmarks:
        now = "none" if each.score is None else f"{each.score:.1f}"
        note = " (new version)" if each.has_new_version else ""
        table.add_row(each.label + note, f"{each.accepted:.1f}", Text(now, style="" if each.is_same else "yellow"))
    out().print(table)
    for trial, metrics in found.trials.items():
        shown = {name: value for name, value in metrics.items() if name in ("mmbase", "overall")}
        values = ", ".join(f"{name} {value:.2f}" for name, value in shown.items())
        out().print(f"{trial}: {values or 'averages withheld'}")
    changed = sum(not each.is_same for each in found.benchmarks)
    out().print(
        f"{len(found.benchmarks)} evaluations scored again, {changed} with another score; the ledger is unchanged"
    )
