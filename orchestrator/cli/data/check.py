"""`ablate data check`: open samples of every data set, and report what is broken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click
from rich.text import Text

from model.config.fields import build
from model.config.stages import TRAINING
from model.data.checking import Checked, Use, check_catalogue, check_workbench
from model.data.lengths import Lengths
from model.data.mixture import stage_shares
from model.evaluation.local_copies.checking import check_copies
from orchestrator.artifacts.store import start_folder
from orchestrator.cli.console import DONE, FAILED, out, plain, plain_table, print_json
from orchestrator.cli.options import json_document, json_option, scale_option
from orchestrator.errors import StudyError
from orchestrator.plan.plan import Plan
from orchestrator.results.planning import load_plan
from orchestrator.settings import Settings
from orchestrator.study.catalogue import catalogue_of

SHOWN = 10
"""The most broken samples of one data set that are printed; --json lists all."""
OF_NOISE = "packaged:tiny"
"""Whose tokenizer a training from random weights takes."""


@click.command("check", epilog=json_document("""
    {"is_ok", "catalogue": its file or null,
     "datasets": [{"category", "name", "size", "num_opened", "num_images", "num_broken", "most_broken": share,
                   "is_ok", "error", "num_boxes",
                   "boxes": the declared unit,
                   "broken": [{"where": file and index, "reason"}], "seconds"}]}"""))
@click.option(
    "--samples", default=16, show_default=True, type=click.IntRange(1), help="Samples to open of each data set."
)
@click.option("--all", "check_all", is_flag=True, help="Open every sample of the catalogue's data sets.")
@click.option("--study", default=None, metavar="STUDY", help="Also find samples that are too long for this study's stages.")
@scale_option
@json_option
@click.pass_context
def data_check(ctx: click.Context, samples: int, check_all: bool, study: str | None, scale: str, as_json: bool) -> None:
    """Open samples of the workbench, of every configured data set and of every local copy of a benchmark.

    With --study, count their tokens as its training stages do at this scale: `max_tokens` and `pack_images`.

    The exit code is 1 if one of them cannot be used for training or evaluation.
    """
    settings = Settings.load()
    uses = stage_uses(load_plan(study, scale, settings)[1], settings) if study else {}
    checked = list(_checked(settings, samples, check_all, uses))
    is_ok = all(each.is_ok for each in checked)
    if as_json:
        print_json({"is_ok": is_ok, "catalogue": settings.catalogue_file, "datasets": [_row(each) for each in checked]})
    else:
        _print(checked, settings)
    ctx.exit(DONE if is_ok else FAILED)


def _checked(settings: Settings, samples: int, check_all: bool, uses: Mapping[str, Sequence[Use]]) -> Iterator[Checked]:
    catalogue = catalogue_of(settings)
    yield from check_workbench(samples)
    if catalogue is not None:
        yield from check_catalogue(catalogue, 0 if check_all else samples, uses)
        yield from check_copies(catalogue, 0 if check_all else samples)


def stage_uses(plan: Plan, settings: Settings) -> dict[str, list[Use]]:
    """Return category -> what the training stages of a plan refuse of its samples, once for each distinct way to count.

    Raises:
        StudyError: a start checkpoint is missing.
    """
    found: dict[str, dict[tuple[Any, ...], Use]] = {}
    for trial in plan.trials:
        start = trial.config.get("start") or OF_NOISE
        folder = start_folder(start, settings.home / "checkpoints")
        if folder is None:
            raise StudyError(plan.study.name, 0, f"start checkpoint missing: {start}", "its tokenizer counts the tokens of a sample")
        for kind, cls in TRAINING.items():
            if trial.config.get(kind):
                config = build(cls, trial.config[kind], kind)
                counted = (kind, folder, config.images, config.image_settings, config.max_tokens, config.pack, config.pack_images)
                for category in stage_shares(config):
                    of_category = found.setdefault(category, {})
                    if counted not in of_category:
                        of_category[counted] = Lengths(folder, config, name=kind).refuse
    return {category: list(uses.values()) for category, uses in found.items()}


def _row(each: Checked) -> dict[str, Any]:
    row: dict[str, Any] = plain(each)
    return row | {"num_broken": len(each.broken), "is_ok": each.is_ok}


def _print(checked: list[Checked], settings: Settings) -> None:
    console = out()
    table = plain_table("", "category", "data set", numbers=("samples", "opened", "images", "broken", "boxes"))
    for each in checked:
        mark = Text("ok", style="green") if each.is_ok else Text("broken", style="bold red")
        table.add_row(mark, each.category, each.name, f"{each.size:,}" if each.size else "endless" if not each.error else "?",
                      str(each.num_opened), str(each.num_images), str(len(each.broken)), _boxes(each))
    console.print(table)
    for each in checked:
        _print_broken(each)
    if settings.catalogue_file is None:
        console.print(Text("no catalogue is configured: real data sets need one (ABLATE_CATALOGUE)", style="yellow"))


def _boxes(each: Checked) -> str:
    """Return how many boxes there are, and from which unit they were converted."""
    if not each.num_boxes:
        return ""
    how = {"none": " left unchanged", "": ""}.get(each.boxes, f" converted from {each.boxes}")
    return f"{each.num_boxes}{how}"


def _print_broken(each: Checked) -> None:
    console = out()
    if each.error:
        console.print(Text(f"{each.category}/{each.name}: {each.error}", style="red"), soft_wrap=True)
    for broken in each.broken[:SHOWN]:
        console.print(
            Text(f"{each.category}/{each.name}: {broken.where}: {broken.reason}", style="red"), soft_wrap=True
        )
    if len(each.broken) > SHOWN:
        console.print(Text(f"and {len(each.broken) - SHOWN} more; --json lists all", style="red"))
