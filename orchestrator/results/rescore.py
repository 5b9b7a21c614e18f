"""Score stored answers again, from items to benchmarks, categories, MMBase and the overall mean, without a model.

- As an audit: with the scoring choices of the original stage, today's metrics must give the score in the ledger, unless
  the benchmark has a new version. A new version is evaluated as a new stage when the study is run again.
- As an experiment: with other choices, it returns the scores that the study would have had.
- Nothing is written to the ledger, because an accepted result is final. To make the new scores official, put the choice
  into the study's file and run the study.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from model.config.fields import build, did_you_mean
from model.config.scoring import ScoringConfig
from model.evaluation.benchmarks.registry import own_of, specs
from model.evaluation.stored_answers import rescored
from orchestrator.analysis.scores import judge_of, metrics_of, suite_of
from orchestrator.artifacts.store import Artifacts
from orchestrator.ledger.rows import ScoreRow, StageRow, TrialRow
from orchestrator.plan.identity import VERSIONS
from orchestrator.results.branches import final_stages
from orchestrator.results.stored_scores import stored_answers

TOLERANCE = 1e-9
"""The largest difference between two scores that count as equal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RescoredBenchmark:
    """The scores of a checkpoint on one benchmark: as accepted, and as computed again."""

    stage_id: str
    label: str
    benchmark: str
    accepted: float
    """The score in the ledger, 0 to 100."""
    score: float | None
    """The score that the stored answers give now; None if a judge failed on all of them."""
    details: dict[str, Any]
    has_new_version: bool
    """Whether the benchmark has changed since, so that a different score is no error."""

    @property
    def is_same(self) -> bool:
        """Whether both scores are equal, within `TOLERANCE`."""
        return self.score is not None and abs(self.score - self.accepted) <= TOLERANCE


@dataclass(frozen=True, slots=True, kw_only=True)
class RescoredStudy:
    """The scores of a study, computed again."""

    benchmarks: tuple[RescoredBenchmark, ...]
    trials: dict[str, dict[str, float]]
    """Trial key -> metric -> value, from the new scores."""
    withheld: dict[str, dict[str, str]]
    """Trial key -> metric -> the reason why it has no value."""


def choices_of(values: Mapping[str, str]) -> dict[str, Any]:
    """Convert scoring choices from text to plain values.

    Args:
        values: name of a field of `ScoringConfig` -> value as text.

    Raises:
        ValueError: there is no such choice, or it does not allow the value.
    """
    kinds = {each.name: str(each.type) for each in dataclasses.fields(ScoringConfig)}
    plain: dict[str, Any] = {}
    for name, value in values.items():
        if name not in kinds:
            raise ValueError(f"no choice {name!r}; {did_you_mean(name, kinds)}")
        plain[name] = value == "true" if kinds[name] == "bool" and value in ("true", "false") else value
    build(ScoringConfig, plain, "scoring")
    return plain


def rescore(trials: Iterable[TrialRow], stages: Iterable[StageRow], rows: Iterable[ScoreRow], artifacts: Artifacts,
            choices: Mapping[str, Any]) -> RescoredStudy:
    """Score a study again.

    Args:
        trials: the trials of the study.
        stages: the stages of the study; only finished evaluations are used.
        rows: the scores in the ledger.
        artifacts: the store of the answers.
        choices: the fields of `ScoringConfig` to change, with their new values.

    Raises:
        ValueError: stored answers cannot be read.
    """
    stages = list(stages)
    known, accepted = {stage.stage_id: stage for stage in stages}, {row.stage_id: row for row in rows}
    done = [stage for stage in stages if stage.stage_id in accepted and stage.artifact]
    again = {stage.stage_id: _again(stage, accepted[stage.stage_id], artifacts, choices) for stage in done}
    metrics, withheld = {}, {}
    for trial in trials:
        mine = [each.stage_id for each in final_stages(trial, known)]
        scores = [dataclasses.replace(accepted[stage_id], value=float(again[stage_id][0].score or 0),
                                      is_complete=again[stage_id][1])
                  for stage_id in mine if stage_id in again and again[stage_id][0].score is not None]
        evaluate = trial.config["evaluate"]
        evaluate = evaluate | {"scoring": evaluate.get("scoring", {}) | dict(choices)}
        metrics[trial.trial_key], withheld[trial.trial_key] = metrics_of(suite_of(evaluate), scores, own_of(evaluate),
                                                                         has_judge=bool(judge_of(evaluate)))
    return RescoredStudy(benchmarks=tuple(each for each, _ in again.values()), trials=metrics, withheld=withheld)


def _again(stage: StageRow, row: ScoreRow, artifacts: Artifacts,
           choices: Mapping[str, Any]) -> tuple[RescoredBenchmark, bool]:
    """Return a benchmark scored again, and whether its score is complete."""
    config = stage.spec["config"]
    spec = specs(own_of(config))[row.benchmark]
    scoring = build(ScoringConfig, config.get("scoring", {}) | dict(choices), "scoring").only(spec.choices)
    answers = stored_answers(stage, artifacts)
    score = rescored(spec, answers, scoring, is_limited=bool(config.get("num_items")))
    version = f"{VERSIONS['evaluate']}.{spec.version}"
    again = RescoredBenchmark(
        stage_id=stage.stage_id, label=stage.label, benchmark=row.benchmark, accepted=row.value, score=score.score,
        details=score.details, has_new_version=stage.spec.get("version", version) != version)
    return again, score.is_complete
