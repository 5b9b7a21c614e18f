"""The complete check: every cell of the grids. Each cell has its own random seed, so any part can be repeated alone.

A cell with more errors than promised, beyond the chance of its draws, is simulated again with `AGAIN` times as many
draws and other random numbers, and that result counts. Of a thousand cells a few look bad by chance.
"""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from orchestrator.analysis.simulation import items, looks, scores
from orchestrator.analysis.simulation.items import Misled
from orchestrator.analysis.simulation.ladders import Climb, climb
from orchestrator.analysis.simulation.looks import Race
from orchestrator.analysis.simulation.scores import Cell, Outcome

AGAIN = 10


def coverage(cells: Sequence[Cell], *, seed: int, num_draws: int) -> Iterator[Outcome]:
    """Yield the outcome of each cell, from `num_draws` studies; fewer if they have many arms."""
    for number, cell in enumerate(cells):
        draws = max(400, min(num_draws, num_draws * 12 // cell.num_arms))
        outcome = scores.simulate(cell, np.random.default_rng([seed, number]), draws)
        if not outcome.holds:
            outcome = scores.simulate(cell, np.random.default_rng([seed, number, 1]), AGAIN * draws)
        yield outcome


def races(*, seed: int, num_draws: int) -> list[Race]:
    """Return how many seeds each rule needs."""
    return [each for num_arms in looks.ARMS for effect in looks.EFFECTS
            for each in looks.race(num_arms, effect, np.random.default_rng([seed, num_arms]), num_draws)]


def misled(*, seed: int, num_draws: int) -> Iterator[Misled]:
    """Yield how often equal arms are told apart, for these items and for the population."""
    for number, benchmark in enumerate(items.grid()):
        yield items.simulate(benchmark, np.random.default_rng([seed, number]), num_draws)


def ladders(*, seed: int, num_draws: int) -> list[Climb]:
    """Return what the ladder analysis says, with the truth."""
    return [climb(np.random.default_rng([seed, number])) for number in range(num_draws)]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A summary over cells of one kind."""

    name: str
    num_cells: int
    coverage: tuple[float, float]
    """Lowest and highest over all pairs."""
    coverage_today: float
    """Lowest over all pairs, where today's rule is defined."""
    selected: float
    """Highest share of false selections."""
    width: float
    """Mean width divided by today's."""


KINDS: dict[str, Callable[[Cell], object]] = {
    "noise": lambda cell: cell.noise,
    "deviations": lambda cell: cell.deviations,
    "missing trials": lambda cell: "yes" if cell.is_missing else "no",
    "looks": lambda cell: max(1, len(cell.looks)),
    "arms": lambda cell: cell.num_arms,
    "seeds, one look": lambda cell: None if cell.looks else cell.num_seeds,
}
"""How cells are grouped; None leaves a cell out."""


def summary(outcomes: Sequence[Outcome]) -> list[Line]:
    """Return summaries by noise, ratio, looks and number of seeds."""
    lines = []
    for name, kind in KINDS.items():
        for value in dict.fromkeys(kind(each.cell) for each in outcomes):
            if value is not None:
                lines.append(_line(f"{name}: {value}", [each for each in outcomes if kind(each.cell) == value]))
    return lines


def _line(name: str, outcomes: Sequence[Outcome]) -> Line:
    selected = max(max(each.selected_equal, each.selected_behind) for each in outcomes)
    known = [each for each in outcomes if not np.isnan(each.width)]
    return Line(name=name, num_cells=len(outcomes), selected=selected,
                coverage=(min(each.coverage_low for each in outcomes), max(each.coverage_high for each in outcomes)),
                coverage_today=min((each.coverage_today for each in known), default=np.nan),
                width=float(np.mean([each.width for each in known])) if known else np.nan)


def as_csv(rows: Sequence[Any]) -> str:
    """Return dataclasses as CSV, with nested ones spread over columns and shares to four digits."""
    if not rows:
        return ""
    plain = [_flat(row) for row in rows]
    out = io.StringIO()
    writer = csv.DictWriter(out, list(plain[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(plain)
    return out.getvalue()


def _flat(row: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for field in dataclasses.fields(row):
        value = getattr(row, field.name)
        found |= _flat(value) if dataclasses.is_dataclass(value) else {field.name: _text(value)}
    return found


def _text(value: object) -> str:
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.4f}".rstrip("0").rstrip(".")
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
