"""The noise atlas of a study: which benchmarks and averages tell its arms apart, and where their noise comes from.

- A row for each benchmark, category and average: the spread of the arms' true scores (signal), the noise of one trial
  from its seed and from the draw of its items, and their ratio, as `orchestrator.analysis.signal_to_noise` defines them.
- The noise of items needs stored scores of single items and two seeds; where it is not known, the ratio leaves it out.
- A benchmark's worth to its category is the ratio of the category's average with it and without it.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from model.evaluation.benchmarks.registry import own_of
from orchestrator.analysis import crossed, selection, table
from orchestrator.analysis.crossed import Answers
from orchestrator.analysis.scores import suite_of
from orchestrator.analysis.signal_to_noise import SignalToNoise, Worth, signal_to_noise, worth
from orchestrator.artifacts.store import Artifacts
from orchestrator.ledger.rows import ScoreRow
from orchestrator.results.item_statistics import benchmark_weights, stored_answers
from orchestrator.results.results import Results

KINDS = ("aggregate", "category", "benchmark")
COLUMNS = (
    "study",
    "scale",
    "metric",
    "kind",
    "category",
    "arms",
    "trials",
    "pictures",
    "signal",
    "noise of seeds",
    "noise of items",
    "signal / noise",
    "low",
    "high",
    "right order %",
    "p",
    "tells arms apart",
    "average with",
    "average without",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One metric of a study."""

    metric: str
    kind: str
    """aggregate, category or benchmark."""
    category: str | None
    """The category of a benchmark; None for other kinds."""
    num_arms: int
    num_trials: int
    num_pictures: int | None
    """Clusters of items of a benchmark; None for averages, and where no items are stored."""
    found: SignalToNoise | None
    """None with fewer than two arms, without replicates, or where all trials have one score."""
    worth: Worth | None
    """Of a benchmark to the average of its category; None where it does not enter one with others."""


def atlas(results: Results, rows: Iterable[ScoreRow], artifacts: Artifacts) -> list[Row]:
    """Return the rows of a study: averages, then each category followed by its benchmarks.

    Args:
        results: of the study.
        rows: accepted scores.
        artifacts: where the scores of single items are.
    """
    metrics = [each for each in results.metrics if each.kind in KINDS]
    fits = table.fits_of(results.trials, [each.name for each in metrics])
    answers, _ = stored_answers(results, list(rows), artifacts)
    evaluate = results.trial_rows[0].config["evaluate"] if results.trial_rows else {}
    suite, own = (suite_of(evaluate), own_of(evaluate)) if evaluate else ((), ())
    weights = {each.name: benchmark_weights(each.name, suite, own) for each in metrics}
    worths = {
        name: found
        for category in (each for each in metrics if each.kind == "category")
        for name, found in worth(
            {name: selection.values_of(results.trials, name) for name in weights[category.name]}
        ).items()
    }
    found = [
        Row(
            metric=each.name,
            kind=each.kind,
            category=each.category,
            num_arms=len(fits[each.name].arms),
            num_trials=sum(mean.n for mean in fits[each.name].means.values()),
            num_pictures=answers[each.name].num_pictures if each.name in answers else None,
            found=signal_to_noise(fits[each.name], item_variance=_item_variance(weights[each.name], answers)),
            worth=worths.get(each.name),
        )
        for each in metrics
    ]
    return sorted(
        found,
        key=lambda row: (
            row.kind != "aggregate",
            row.category or row.metric,
            row.kind != "category",
        ),
    )


def as_csv(studies: Mapping[tuple[str, str], Sequence[Row]]) -> str:
    """Return the rows of several studies as CSV.

    Args:
        studies: name and scale -> rows.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for (name, scale), rows in studies.items():
        writer.writerows([name, scale, *_cells(row)] for row in rows)
    return out.getvalue()


def _cells(row: Row) -> list[object]:
    start: list[object] = [
        row.metric,
        row.kind,
        row.category or "",
        row.num_arms,
        row.num_trials,
        row.num_pictures or "",
    ]
    found = row.found
    if found is None:
        return [*start, *[""] * (len(COLUMNS) - len(start) - 2)]
    numbers = [found.signal, found.seeds, found.items, found.ratio, *found.interval, 100 * found.accuracy, found.p]
    averages = [row.worth.ratio_with, row.worth.ratio_without] if row.worth else [None, None]
    return [*start, *map(_number, numbers), "yes" if found.carries else "no", *map(_number, averages)]


def _number(value: float | None) -> str:
    return "" if value is None or not math.isfinite(value) else f"{value:.3g}"


def _item_variance(weights: Mapping[str, float], answers: Mapping[str, Answers]) -> float | None:
    """Return the variance of one arm's score from the draw of items, in squared points; None where one is not known."""
    parts = []
    for name, weight in weights.items():
        split = crossed.components(answers[name]) if name in answers else None
        if split is None:
            return None
        parts.append(weight**2 * split.arm_item / answers[name].num_pictures)
    return math.fsum(parts) if parts else None
