"""`ablate items`: question, reference, prediction and score of single items, for one arm or for two side by side."""

from __future__ import annotations

from itertools import islice

import click
from rich.text import Text

from orchestrator.artifacts.opening import artifacts_of
from orchestrator.cli.console import out, print_json
from orchestrator.cli.context import readable_ledger
from orchestrator.cli.options import json_document, json_option, known_scale_option, study_argument
from orchestrator.ledger import read
from orchestrator.ledger.naming import ledger_id
from orchestrator.results.items import ItemRow, Wanted
from orchestrator.results.items import items as items_of
from orchestrator.results.planning import study_name


@click.command(epilog=json_document("""
    {"name", "scale", "items": [{"benchmark", "item_id", "arm", "seed", "question", "references", "options", "prediction",
     "parsed" (null: it could not be read), "score" (0 to 1), "pictures", "other", "other_score"}]}"""))
@study_argument
@known_scale_option
@click.option("--benchmark", default=None, metavar="NAME", help="Only this benchmark.")
@click.option("--arm", default=None, metavar="NAME", help="The arm; by default the first.")
@click.option("--against", default=None, metavar="NAME", help="Also show this arm's answers, with the same seed.")
@click.option("--seed", default=None, type=int, help="The seed; by default the first.")
@click.option("--worse", is_flag=True, help="Only items that the arm answers worse than the arm of --against.")
@click.option("--unread", is_flag=True, help="Only items whose answer could not be read.")
@click.option(
    "--limit", default=20, show_default=True, type=click.IntRange(0), help="The most items to show; 0 shows all."
)
@json_option
def items(study: str, scale: str | None, benchmark: str | None, arm: str | None, against: str | None, seed: int | None, worse: bool,
          unread: bool, limit: int, as_json: bool) -> None:
    """Show single answers: the question, the right answer, the model's answer, and the path of the image."""
    if worse and against is None:
        raise click.UsageError("--worse needs --against ARM")
    settings, engine = readable_ledger()
    row = read.study(engine, study_name(study), scale)
    trials = [each for each in read.trials(engine, row.study_id) if each.rung == 0]
    wanted = Wanted(benchmark=benchmark, arm=arm, against=against, seed=seed)
    every = items_of(row.name, trials, read.stages(engine, row.study_id), artifacts_of(settings, ledger_id(engine)), wanted)
    chosen = (each for each in every if (each.is_worse or not worse) and (each.parsed is None or not unread))
    shown = list(islice(chosen, limit or None))
    if as_json:
        print_json({"name": row.name, "scale": row.scale, "items": shown})
        return
    for each in shown:
        _print(each)
    if not shown:
        out().print("no item matches")


def _print(row: ItemRow) -> None:
    mark = "unread" if row.parsed is None else f"{row.score:g}"
    style = "green" if row.score else "red"
    out().print(Text.assemble((row.item_id, "bold"), f"  {row.arm} seed {row.seed}  ", (mark, style)), soft_wrap=True)
    lines = [
        ("question", row.question),
        ("options", "; ".join(row.options)),
        ("reference", " or ".join(row.references)),
        ("prediction", row.prediction),
        ("against", "" if row.other is None else f"{row.other}  ({row.other_score:g})"),
        ("picture", "; ".join(row.pictures)),
    ]
    for name, text in lines:
        if text:
            out().print(Text(f"  {name + ':':<12}{text}"), soft_wrap=True)
    out().print()
