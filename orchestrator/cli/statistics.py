"""`ablate statistics`: check intervals and verdicts on simulated studies, and show where a study's noise comes from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import click
from rich.progress import track
from rich.table import Table

from orchestrator.analysis.simulation import check as checks
from orchestrator.analysis.simulation import items, scores
from orchestrator.analysis.simulation.items import Misled
from orchestrator.analysis.simulation.ladders import Climb
from orchestrator.analysis.simulation.looks import Race
from orchestrator.analysis.simulation.scores import Outcome
from orchestrator.artifacts.opening import artifacts_of
from orchestrator.cli.console import FAILED, err, out, plain_table
from orchestrator.cli.context import readable_ledger
from orchestrator.cli.options import known_scale_option
from orchestrator.ledger import read
from orchestrator.ledger.naming import ledger_id
from orchestrator.results.atlas import Row, as_csv, atlas
from orchestrator.results.planning import study_name
from orchestrator.results.results import study_results


@click.group()
def statistics() -> None:
    """Check intervals and verdicts by simulation, and show which benchmarks tell a study's arms apart."""


@statistics.command()
@click.option("--out", "folder", type=click.Path(file_okay=False, path_type=Path),
              help="Write coverage.csv, looks.csv, items.csv and ladders.csv into this folder.")
@click.option("--draws", default=3000, show_default=True, type=click.IntRange(50),
              help="Simulated studies of each kind; fewer for studies with many arms.")
@click.option("--seed", default=0, show_default=True, help="Seed of the random numbers.")
@click.option("--every", default=1, show_default=True, type=click.IntRange(1),
              help="Simulate only every n-th kind of study, and fewer draws in the other tables.")
def check(folder: Path | None, draws: int, seed: int, every: int) -> None:
    """Simulate studies with equal arms: unequal noise, heavy tails, missing trials, stored answers, repeated looks.

    The exit code is 1 if a kind of study is wrong more often than promised.
    """
    cells = list(scores.grid())[::every]
    outcomes = list(track(checks.coverage(cells, seed=seed, num_draws=draws), "studies", len(cells), console=err()))
    benchmarks = checks.misled(seed=seed, num_draws=max(10, draws // 3 // every))
    drawn = list(track(benchmarks, "benchmarks", len(list(items.grid())), console=err()))
    races = checks.races(seed=seed, num_draws=max(200, 3 * draws // every))
    climbs = checks.ladders(seed=seed, num_draws=max(10, min(200, draws // every)))
    if folder:
        _write(folder, coverage=outcomes, looks=races, items=drawn, ladders=climbs)
    console, num_bad = out(), sum(not each.holds for each in outcomes)
    for table in (_coverage(outcomes), _looks(races), _items(drawn), _ladders(climbs)):
        console.print(table)
    console.print(f"{len(outcomes) - num_bad} of {len(outcomes)} kinds of study hold")
    if num_bad:
        raise SystemExit(FAILED)


@statistics.command("atlas")
@click.argument("studies", nargs=-1, required=True, metavar="STUDY...")
@known_scale_option
@click.option("--csv", "file", type=click.Path(dir_okay=False, path_type=Path), help="Also write all rows to this file, as CSV.")
def noise_atlas(studies: tuple[str, ...], scale: str | None, file: Path | None) -> None:
    """Show signal and noise of every benchmark and average: which of them tell arms apart, and which only add noise.

    Signal is the spread of the arms' true scores; seeds and items are what the score of one trial varies by, between
    seeds and between draws of items, all in points. The ratio divides signal by noise, and the interval is for the noise
    of seeds alone. One trial of each of two arms shows them in the right order that often. A benchmark that blurs its
    average makes the average of its category tell the arms apart less well.
    """
    settings, engine = readable_ledger()
    artifacts = artifacts_of(settings, ledger_id(engine))
    found: dict[tuple[str, str], list[Row]] = {}
    for name in studies:
        row = read.study(engine, study_name(name), scale)
        found[row.name, row.scale] = atlas(study_results(engine, row), read.scores(engine, row.study_id), artifacts)
        out().print(_atlas(f"{row.name} ({row.scale})", found[row.name, row.scale]))
    if file:
        file.write_text(as_csv(found), encoding="utf-8")


def _atlas(title: str, rows: Sequence[Row]) -> Table:
    table = plain_table(title, numbers=("signal", "seeds", "items", "ratio", "95 %", "right order %", "tells apart"))
    for row in rows:
        name = f"  {row.metric}" if row.kind == "benchmark" else row.metric
        if row.found is None:
            table.add_row(name, *[""] * 6, "no replicates, or one score for all")
            continue
        each, blurs = row.found, ", blurs its average" if row.worth and not row.worth.helps else ""
        items = "" if each.items is None else f"{each.items:.1f}"
        table.add_row(name, f"{each.signal:.1f}", f"{each.seeds:.1f}", items, f"{each.ratio:.2f}",
                      f"{each.interval[0]:.1f} to {each.interval[1]:.1f}", f"{100 * each.accuracy:.0f}",
                      ("yes" if each.carries else "no") + blurs)
    return table


def _write(folder: Path, **tables: Sequence[Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        (folder / f"{name}.csv").write_text(checks.as_csv(rows), encoding="utf-8")


def _coverage(outcomes: Sequence[Outcome]) -> Table:
    table = plain_table("kind of study", numbers=("cells", "coverage %", "today's", "false selections %", "width / today's"))
    for line in checks.summary(outcomes):
        width = "" if math.isnan(line.width) else f"{line.width:.2f}"
        table.add_row(line.name, str(line.num_cells), _range(line.coverage), _percent(line.coverage_today),
                      _percent(line.selected), width)
    return table


def _looks(races: Sequence[Race]) -> Table:
    table = plain_table("looking often", numbers=("arms", "effect", "selected %", "seeds an arm"))
    for each in races:
        table.add_row(each.rule, str(each.num_arms), f"{each.effect:g}", _percent(each.selected), f"{each.seeds:.2f}")
    return table


def _items(drawn: Sequence[Misled]) -> Table:
    table = plain_table("arms equal in the population", numbers=("benchmarks", "told apart by these items %", "for the population %"))
    kinds = dict.fromkeys((each.benchmark.taste, each.benchmark.num_seeds) for each in drawn)
    for taste, num_seeds in kinds:
        own = [each for each in drawn if (each.benchmark.taste, each.benchmark.num_seeds) == (taste, num_seeds)]
        these, population = [each.these for each in own], [each.population for each in own]
        table.add_row(f"differ by ± {taste:g} at each picture, {num_seeds} seeds", str(len(own)),
                      *(_range((min(rates), max(rates))) for rates in (these, population)))
    return table


def _ladders(climbs: Sequence[Climb]) -> Table:
    table = plain_table(f"{len(climbs)} ladders of scales", numbers=("covered %",))
    for name in ("scores", "leads", "accuracy", "tau", "gains"):
        table.add_row(name, _percent(fmean(getattr(each, f"{name}_covered") for each in climbs)))
    return table


def _percent(share: float) -> str:
    return "" if math.isnan(share) else f"{100 * share:.1f}"


def _range(shares: tuple[float, float]) -> str:
    return " to ".join(_percent(share) for share in shares)
