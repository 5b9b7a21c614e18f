"""From benchmark rows to the metrics of each trial: benchmarks, category averages, MMBase, overall, image tokens.

An incomplete benchmark keeps its score but enters no average: its averages are withheld, with the reason. A diverged
trial has no metrics at all, whatever it scored before.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from model.config.benchmark import Benchmark
from model.evaluation.averages import DAGGER, averages
from model.evaluation.benchmarks.registry import own_of, specs
from orchestrator.ledger.rows import ScoreRow, TrialRow
from orchestrator.states import TrialState
from orchestrator.study.metric_names import TOKENS as TOKENS

AGGREGATES = ("mmbase", "overall")
OUTSIDE = "/"
"""Separates task and metric in the names of lmms-eval's scores. No name of ours contains it."""
NOT_RUN = "not run: it needs a judge, and evaluate.scoring.judge is not set"


@dataclass(frozen=True, slots=True)
class Answers:
    """How many answers a score is based on."""

    num_items: int
    num_unparseable: int
    """Answers that the benchmark's rule could not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialScores:
    """Everything measured on one trial."""

    trial_key: str
    arm_key: str
    seed: int
    state: str
    metrics: dict[str, float]
    """Benchmarks, categories, `mmbase`, `overall` (0 to 100), held-out losses in nats, and `tokens_per_image`."""
    withheld: dict[str, str]
    """Metric -> why it has no score."""
    answers: dict[str, Answers] = field(default_factory=dict)
    """Benchmark -> its numbers of answers."""

    @property
    def is_diverged(self) -> bool:
        """Whether training diverged: the trial is counted, but left out of means."""
        return self.state == TrialState.DIVERGED


def trial_scores(trials: Iterable[TrialRow], rows: Iterable[ScoreRow]) -> list[TrialScores]:
    """Return the metrics of each trial, in the order of the trials."""
    by_trial: dict[str, list[ScoreRow]] = {}
    for row in rows:
        by_trial.setdefault(row.trial_key, []).append(row)
    return [_of_trial(trial, by_trial.get(trial.trial_key, [])) for trial in trials]


def metric_names(trials: Iterable[TrialScores], own: Sequence[Benchmark] = ()) -> tuple[str, ...]:
    """Return every metric that some trial has or withholds.

    The order is: aggregates, categories, benchmarks by category, image tokens, metrics of lmms-eval.
    """
    seen = {name for trial in trials for name in (*trial.metrics, *trial.withheld)}
    known = specs(own)
    categories = dict.fromkeys(each.category for each in known.values())
    order = [*AGGREGATES, *categories, *known, TOKENS]
    return (*(name for name in order if name in seen), *sorted(name for name in seen if OUTSIDE in name))


def metric_kind(name: str, own: Sequence[Benchmark] = ()) -> str:
    """Return `aggregate`, `category`, `benchmark`, `loss`, `cost`, or `outside` for lmms-eval's metrics."""
    if OUTSIDE in name:
        return "outside"
    if name in AGGREGATES:
        return "aggregate"
    known = specs(own)
    if name in known:
        return "loss" if known[name].is_loss else "benchmark"
    return "cost" if name == TOKENS else "category"


def category_of(name: str, own: Sequence[Benchmark] = ()) -> str | None:
    """Return the category of a benchmark, None for other metrics."""
    known = specs(own)
    return known[name].category if name in known else None


def _of_trial(trial: TrialRow, rows: Sequence[ScoreRow]) -> TrialScores:
    evaluate = trial.config.get("evaluate", {})
    is_diverged = trial.state == TrialState.DIVERGED
    metrics, withheld = (
        ({}, {}) if is_diverged else metrics_of(suite_of(evaluate), rows, own_of(evaluate), has_judge=bool(judge_of(evaluate)))
    )
    return TrialScores(
        trial_key=trial.trial_key,
        arm_key=trial.arm_key,
        seed=trial.seed,
        state=trial.state,
        metrics=metrics,
        withheld=withheld,
        answers={row.benchmark: Answers(row.num_items, row.num_unparseable) for row in rows if not is_diverged},
    )


def suite_of(evaluate: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a trial's benchmarks, with `DAGGER` added if benchmarks marked with a dagger enter the averages."""
    known = specs(own_of(evaluate))
    names = tuple(name for name in evaluate.get("benchmarks", ()) if name in known)
    return (*names, DAGGER) if evaluate.get("scoring", {}).get(DAGGER) else names


def judge_of(evaluate: Mapping[str, Any]) -> str:
    """Return the name of the judge's model, "" if there is none."""
    return str(evaluate.get("scoring", {}).get("judge", ""))


def metrics_of(
    suite: Sequence[str], rows: Sequence[ScoreRow], own: Sequence[Benchmark] = (), *, has_judge: bool = True
) -> tuple[dict[str, float], dict[str, str]]:
    """Return metric -> score, and metric -> why it has none.

    Args:
        suite: the benchmarks in the averages, as `suite_of` returns them.
        rows: the rows of one trial.
        own: what a catalogue declares of its own benchmarks among them, as `own_of` returns it.
        has_judge: whether benchmarks that need a judge are run at all.
    """
    finite = {row.benchmark: row for row in rows if math.isfinite(row.value)}
    complete = {name: row.value for name, row in finite.items() if row.is_complete}
    found = averages(complete, suite, own)
    withheld = {**found.withheld, **_unmeasured(suite, finite, specs(own), has_judge=has_judge)}
    metrics = {**{name: row.value for name, row in finite.items()}, **found.values}
    tokens = [row.tokens_per_image for row in finite.values() if row.tokens_per_image]
    if tokens:
        metrics[TOKENS] = math.fsum(tokens) / len(tokens)
    return metrics, withheld


def _unmeasured(suite: Sequence[str], rows: Mapping[str, ScoreRow], known: Mapping[str, Benchmark], *, has_judge: bool) -> dict[str, str]:
    missing = [name for name in suite if name not in rows and name != DAGGER]
    return {name: "not evaluated yet" if has_judge or not known[name].needs_judge else NOT_RUN for name in missing}
