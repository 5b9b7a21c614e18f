"""`ablate data show`: write an HTML page with examples of a category."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from model.config.taxonomy import KNOWLEDGE
from model.data.gallery import gallery
from model.evaluation.benchmarks.registry import BENCHMARKS
from model.evaluation.workbench_items import workbench_item
from model.samples import Item, Sample
from model.workbench import make_sample, sample_makers
from orchestrator.cli.console import print_json
from orchestrator.cli.options import json_document, json_option
from orchestrator.settings import Settings

CATEGORIES = (*sample_makers(), "knowledge")


@click.command("show", epilog=json_document("""
    {"category", "path", "examples": how many are on the page}"""))
@click.argument("category", type=click.Choice(CATEGORIES), metavar="CATEGORY")
@click.option("--num", default=12, show_default=True, type=click.IntRange(1, 200), help="Examples of each generator.")
@click.option("--seed", default=0, show_default=True, help="Seed of the generated corpus.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), default=None,
              help="File to write; by default in ABLATE_HOME/galleries.")
@json_option
def data_show(category: str, num: int, seed: int, output: Path | None, as_json: bool) -> None:
    """Write an HTML page of a category's training samples and test items, with boxes drawn, and print its path.

    CATEGORY is a category of the workbench: general, text_rich, refer_ground, science, ..., or knowledge for its three
    categories together.
    """
    names = KNOWLEDGE if category == "knowledge" else (category,)
    sections = [
        (f"{name}, training", [make_sample(name, "train", index, seed=seed) for index in range(num)]) for name in names
    ]
    benchmarks = [each for each in BENCHMARKS.values() if each.source == "workbench" and each.category == category]
    tests = [
        (
            f"{each.name}, test (in the manner of {each.manner_of}; metric {each.metric})",
            [workbench_item(each, index, seed=seed) for index in range(min(num, each.num_items))],
        )
        for each in benchmarks
    ]
    path = output or Settings.load().home / "galleries" / f"{category}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    shown: list[tuple[str, Sequence[Sample | Item]]] = [*sections, *tests]
    path.write_text(gallery(f"Workbench: {category}", shown), encoding="utf-8")
    if as_json:
        print_json({"category": category, "path": str(path), "examples": sum(len(examples) for _, examples in shown)})
        return
    click.echo(path)
