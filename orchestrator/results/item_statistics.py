"""What the stored answers add: how sure a study is beyond the items that it asked, and whether seeds or items lack.

- A benchmark counts if its score is the plain mean of its items' scores; others are named with the reason.
- Items that show the same picture are one cluster; an item without a picture's name is one of its own.
- An average's variance from the draw of items is that of its benchmarks, by their weights: they share no pictures.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from model.config.benchmark import Benchmark
from model.evaluation.averages import averages
from model.evaluation.benchmarks.registry import own_of
from orchestrator.analysis import crossed, selection, statistics, table
from orchestrator.analysis.crossed import Advice, Answers, Components, Scored
from orchestrator.analysis.scores import suite_of
from orchestrator.analysis.selection import Verdict, Widen
from orchestrator.analysis.statistics import Difference, Fit
from orchestrator.artifacts.store import Artifacts
from orchestrator.ledger.rows import ScoreRow, StageRow
from orchestrator.results.results import Results, arms_of, rule_of, study_of
from orchestrator.results.stored_scores import item_scores

TOLERANCE = 1e-6
"""Points by which a mean over items may differ from the accepted score."""


@dataclass(frozen=True, slots=True)
class Both:
    """One arm against the baseline, in the metric that decides."""

    arm_key: str
    these: Difference
    """For these items."""
    population: Difference | None
    """For the population of items; None where that is not known."""
    advice: Advice | None
    """What would bring the second interval down to the study's effect; None without intervals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemResults:
    """What the stored answers say about the metric that decides."""

    metric: str
    num_pictures: int
    """Of the benchmark with the fewest; 0 where none counts."""
    decides: bool
    """Whether the interval for the population of items decides, by the study's rule."""
    verdict: Verdict | None
    """For the population of items; None where its interval is not known."""
    arms: tuple[Both, ...]
    components: dict[str, Components]
    """Benchmark -> where the variation of its picture scores comes from."""
    left_out: dict[str, str]
    """Benchmark -> why its answers do not count."""


def item_results(results: Results, rows: Iterable[ScoreRow], artifacts: Artifacts) -> ItemResults:
    """Read all stored answers of a study that its deciding metric is made of.

    Args:
        results: of the study.
        rows: accepted scores.
        artifacts: where the answers are.
    """
    metric = results.objective
    evaluations = [trial.config["evaluate"] for trial in results.trial_rows[:1]]
    weights = benchmark_weights(metric, suite_of(evaluations[0]), own_of(evaluations[0])) if evaluations else {}
    answers, left_out = stored_answers(results, [row for row in rows if row.benchmark in weights], artifacts)
    known = weights.keys() <= answers.keys() and bool(weights)
    num_pictures = min((answers[name].num_pictures for name in weights), default=0) if known else 0
    study = study_of(results.study)
    fitted = table.fits_of(results.trials, [metric], looks=study.looks)[metric]
    these = tuple(statistics.to_baseline(fitted, results.baseline or "").values())
    found = ItemResults(metric=metric, num_pictures=num_pictures, decides=_decides(study.select.items, num_pictures),
                        verdict=None, arms=tuple(Both(each.a, each, None, None) for each in these),
                        components=_components(answers), left_out=left_out)
    if not known:
        return found
    widen = _widen(weights, answers, num_pictures)
    both = [Both(a.a, a, b, _advice(study.effect, a, _variance(weights, answers, a), num_pictures))
            for a, b in zip(these, widen(fitted, these), strict=True)]
    rule = rule_of(study, results.baseline, [each.name for each in results.metrics])
    verdict = selection.select(rule, arms_of(results.trial_rows), results.trials, widen=widen)
    return replace(found, verdict=verdict, arms=tuple(both))


def _decides(rule: str, num_pictures: int) -> bool:
    return num_pictures >= (2 if rule == "population" else crossed.FEWEST_PICTURES) and rule != "these"


def benchmark_weights(metric: str, suite: Sequence[str], own: Sequence[Benchmark] = ()) -> dict[str, float]:
    """Return the weight of each benchmark in a metric: averages are linear, so one benchmark at a time tells it."""
    names = [name for name in suite if not name.startswith("dagger")]
    if metric in names:
        return {metric: 1.0}
    found = {name: averages({other: float(other == name) for other in names}, suite, own).values.get(metric, 0.0)
             for name in names}
    return {name: weight for name, weight in found.items() if weight}


def stored_answers(results: Results, rows: Sequence[ScoreRow],
                   artifacts: Artifacts) -> tuple[dict[str, Answers], dict[str, str]]:
    """Return benchmark -> answers by arm's key, and why other benchmarks are left out."""
    stages = {stage.stage_id: stage for stage in results.stages}
    done = {trial.trial_key for trial in results.trials if not trial.is_diverged}
    accepted = {(row.trial_key, row.benchmark): row for row in rows}
    found: dict[str, Answers] = {}
    left_out: dict[str, str] = {}
    for name in dict.fromkeys(row.benchmark for row in rows):
        trials = [(trial.arm_key, trial.seed, accepted[trial.trial_key, name]) for trial in results.trial_rows
                  if trial.trial_key in done and (trial.trial_key, name) in accepted]
        try:
            kept = [(arm, seed, _scores(row, artifacts, stages[row.stage_id])) for arm, seed, row in trials]
            found[name] = crossed.collect(kept)
        except (ValueError, OSError) as error:
            left_out[name] = str(error)
    return found, left_out


def _scores(row: ScoreRow, artifacts: Artifacts, stage: StageRow) -> list[Scored]:
    """Return item, picture and score (0 to 100) of one evaluation.

    Raises:
        ValueError: there are no answers, or the accepted score is no mean over them.
    """
    found = item_scores(stage, artifacts)
    for scores in ([each.strict for each in found], [each.lenient for each in found]):
        if found and abs(100 * math.fsum(scores) / len(scores) - row.value) <= TOLERANCE:
            return [(each.item_id, each.picture, 100 * score) for each, score in zip(found, scores, strict=True)]
    raise ValueError("its score is no plain mean over its items")


def _variance(weights: Mapping[str, float], answers: Mapping[str, Answers], difference: Difference) -> float | None:
    """Return a difference's variance from the draw of items; None where a benchmark's is not known."""
    parts = [crossed.item_variance(answers[name], difference.weights)
             if difference.weights.keys() <= set(answers[name].arms) else None for name in weights]
    if any(part is None for part in parts):
        return None
    return math.fsum(weight**2 * (part or 0.0) for weight, part in zip(weights.values(), parts, strict=True))


def _widen(weights: Mapping[str, float], answers: Mapping[str, Answers], num_pictures: int) -> Widen:
    def widen(fitted: Fit, family: tuple[Difference, ...]) -> tuple[Difference, ...]:
        variances = [_variance(weights, answers, each) for each in family]
        return crossed.for_population(fitted, family, variances, num_pictures)

    return widen


def _advice(effect: float, difference: Difference, variance: float | None, num_pictures: int) -> Advice | None:
    if difference.error is None or variance is None:
        return None
    return crossed.advise(effect, error=difference.error, num_seeds=difference.n, variance=variance,
                          num_pictures=num_pictures)


def _components(answers: Mapping[str, Answers]) -> dict[str, Components]:
    found = {name: crossed.components(each) for name, each in answers.items()}
    return {name: each for name, each in found.items() if each is not None}
