"""From benchmark rows to the metrics of each trial: benchmarks, category averages, MMBase, overall, image tokens.

An incomplete benchmark keeps its number but enters no average: its averages are withheld, with the reason. A diverged
trial has no metrics at all, whatever it scored before.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from model.evaluation.averages import averages
from model.evaluation.benchmarks import BENCHMARKS
from orchestrator.ledger.read import ScoreRow, TrialRow
from orchestrator.states import TrialState

TOKENS = "tokens_per_image"
AGGREGATES = ("mmbase", "overall")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialScores:
    """Everything measured on one trial."""

    trial_key: str
    arm_key: str
    seed: int
    state: str
    metrics: dict[str, float]
    """Benchmarks, categories, `mmbase`, `overall` (0 to 100) and `tokens_per_image`."""
    withheld: dict[str, str]
    """Metric -> why it has no number."""

    @property
    def is_diverged(self) -> bool:
        """Whether training blew up: left out of means, and counted."""
        return self.state == TrialState.DIVERGED


def trial_scores(trials: Iterable[TrialRow], rows: Iterable[ScoreRow]) -> list[TrialScores]:
    """Return the metrics of each trial, in the order of the trials."""
    by_trial: dict[str, list[ScoreRow]] = {}
    for row in rows:
        by_trial.setdefault(row.trial_key, []).append(row)
    return [_of_trial(trial, by_trial.get(trial.trial_key, [])) for trial in trials]


def metric_names(trials: Iterable[TrialScores]) -> tuple[str, ...]:
    """Return every metric that a trial has or withholds: aggregates, categories, benchmarks by category, tokens."""
    seen = {name for trial in trials for name in (*trial.metrics, *trial.withheld)}
    categories = dict.fromkeys(each.category for each in BENCHMARKS.values())
    order = [*AGGREGATES, *categories, *BENCHMARKS, TOKENS]
    return tuple(name for name in order if name in seen)


def metric_kind(name: str) -> str:
    """Return `aggregate`, `category`, `benchmark` or `cost`."""
    if name in AGGREGATES:
        return "aggregate"
    if name in BENCHMARKS:
        return "benchmark"
    return "cost" if name == TOKENS else "category"


def category_of(name: str) -> str | None:
    """Return the category of a benchmark, None for other metrics."""
    return BENCHMARKS[name].category if name in BENCHMARKS else None


def _of_trial(trial: TrialRow, rows: Sequence[ScoreRow]) -> TrialScores:
    suite = suite_of(trial)
    metrics, withheld = ({}, {}) if trial.state == TrialState.DIVERGED else metrics_of(suite, rows)
    return TrialScores(trial_key=trial.trial_key, arm_key=trial.arm_key, seed=trial.seed, state=trial.state,
                       metrics=metrics, withheld=withheld)


def suite_of(trial: TrialRow) -> tuple[str, ...]:
    """Return the benchmarks that the trial is evaluated on."""
    return tuple(name for name in trial.config.get("evaluate", {}).get("benchmarks", ()) if name in BENCHMARKS)


def metrics_of(suite: Sequence[str], rows: Sequence[ScoreRow]) -> tuple[dict[str, float], dict[str, str]]:
    """Return metric -> number, and metric -> why it has none.

    Args:
        suite: benchmarks that the averages are made of.
        rows: of one trial.
    """
    finite = {row.benchmark: row for row in rows if math.isfinite(row.value)}
    complete = {name: row.value for name, row in finite.items() if row.is_complete}
    found = averages(complete, suite)
    withheld = {**found.withheld, **_unmeasured(suite, finite)}
    metrics = {**{name: row.value for name, row in finite.items()}, **found.values}
    tokens = [row.tokens_per_image for row in finite.values() if row.tokens_per_image]
    if tokens:
        metrics[TOKENS] = math.fsum(tokens) / len(tokens)
    return metrics, withheld


def _unmeasured(suite: Sequence[str], rows: Mapping[str, ScoreRow]) -> dict[str, str]:
    return {name: "not evaluated yet" for name in suite if name not in rows}
