"""`ablate ladder`: compare one study at several scales, and say how well small scales predict larger ones."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from orchestrator import formatting
from orchestrator.analysis.ladder import Estimate, Rung
from orchestrator.cli.console import out, plain, print_json
from orchestrator.cli.context import readable_ledger
from orchestrator.cli.options import json_document, json_option, study_argument
from orchestrator.cli.results_table import title
from orchestrator.results.ladder import Hindsight, Ladder
from orchestrator.results.ladder import ladder as compared
from orchestrator.results.planning import study_name


@click.command(
    epilog=json_document("""
    {"study", "metric", "baseline" (arm key), "names": {arm key: name}, "target_flops",
     "rungs": [{"scale", "flops", "scores": {arm key: {"mean", "half_width"}}}],
     "agreements": [{"small", "large", "num_arms", "tau", "accuracy": {"value", "low", "high"}, "is_trusted", "sentence"}],
     "projection": {"scores", "leads": {arm key: {"value", "low", "high"}}}, "gains": {arm key: the same} (null: no end),
     "hindsight": {"scale", "num_arms", "num_scores_inside", "num_leads_inside", "num_pairs", "num_pairs_right"} or null}""")
)
@study_argument
@click.option("--scales", required=True, metavar="A,B,C", help="Scales that have results of the study, in any order.")
@click.option(
    "--metric", default=None, metavar="NAME", help="Which metric; by default the one that the study's rule maximizes."
)
@click.option(
    "--flops",
    default=None,
    type=click.FloatRange(0, min_open=True),
    metavar="NUMBER",
    help="Training FLOPs of a trial at the scale to project to; by default compute grows as between the last two scales.",
)
@json_option
def ladder(study: str, scales: str, metric: str | None, flops: float | None, as_json: bool) -> None:
    """Compare a study at several scales: how well does a small one predict a larger one, and what is projected?

    Ranks and decisions are compared with intervals, each arm is projected to the next scale, and its lead is expressed in compute: how
    many times as much training the baseline would need for the same score. All intervals are 95 %.
    """
    _, engine = readable_ledger()
    found = compared(
        engine,
        study_name(study),
        [each.strip() for each in scales.split(",") if each.strip()],
        metric=metric,
        target_flops=flops,
    )
    if as_json:
        print_json(_document(found))
        return
    _print(found)


def _print(found: Ladder) -> None:
    console = out()
    compute = " → ".join(f"{rung.scale} ({formatting.flops(rung.flops)} a trial)" for rung in found.rungs)
    console.print(Text.assemble((found.study, "bold"), f": {title(found.metric)} over {compute}"))
    console.print()
    console.print(_table(found))
    console.print()
    for each in found.agreements:
        console.print(Text(each.sentence, style="" if each.is_trusted else "yellow"), soft_wrap=True)
    if found.hindsight:
        console.print(_hindsight(found.hindsight), soft_wrap=True)
    console.print(
        f"Projected to {formatting.flops(found.target_flops)} a trial. Gain: how many times the baseline's compute would have to "
        "grow for the arm's score at the largest scale.",
        soft_wrap=True,
    )


def _table(found: Ladder) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2))
    table.add_column("arm", overflow="fold")
    for rung in found.rungs:
        table.add_column(rung.scale, justify="right")
    for heading in ("projected", "lead there", "compute gain"):
        table.add_column(heading, justify="right")
    for key, name in found.names.items():
        means = [rung.fitted.means[key] for rung in found.rungs]
        is_baseline = key == found.baseline
        table.add_row(
            f"{name} (baseline)" if is_baseline else name,
            *(formatting.score(each.value, each.half_width) for each in means),
            _interval(found.projection.scores[key]),
            "" if is_baseline else _interval(found.projection.leads[key], sign=True),
            "" if is_baseline else _gain(found.gains[key]),
        )
    return table


def _interval(each: Estimate, *, sign: bool = False) -> str:
    form = "+.1f" if sign else ".1f"
    return f"{each.value:{form}} [{each.low:{form}}, {each.high:{form}}]"


def _gain(each: Estimate) -> str:
    return f"{_factor(each.value)} [{_factor(each.low)}, {_factor(each.high)}]"


def _factor(value: float) -> str:
    return "no end" if not math.isfinite(value) or value > 1e4 else f"{value:.2g}×"


def _hindsight(each: Hindsight) -> str:
    return (
        f"In hindsight: the smaller scales put {each.num_scores_inside} of {each.num_arms} scores and "
        f"{each.num_leads_inside} of {each.num_arms - 1} leads at {each.scale} into their intervals, and the next smaller one "
        f"had {each.num_pairs_right} of {each.num_pairs} pairs in the order measured there."
    )


def _scores(rung: Rung, keys: Iterable[str]) -> dict[str, Any]:
    means = {key: rung.fitted.means[key] for key in keys}
    return {key: {"mean": each.value, "half_width": each.half_width} for key, each in means.items()}


def _document(found: Ladder) -> dict[str, Any]:
    rungs = [{"scale": rung.scale, "flops": rung.flops, "scores": _scores(rung, found.names)} for rung in found.rungs]
    agreements = [
        {**plain(each), "is_trusted": each.is_trusted, "sentence": each.sentence} for each in found.agreements
    ]
    return {
        "study": found.study,
        "metric": found.metric,
        "baseline": found.baseline,
        "names": found.names,
        "target_flops": found.target_flops,
        "rungs": rungs,
        "agreements": agreements,
        "projection": plain(found.projection),
        "gains": plain(found.gains),
        "hindsight": plain(found.hindsight),
    }
