"""Score stored answers again: items -> benchmarks -> categories -> MMBase -> overall, without a model and without training.

- It audits: with the choices that a stage was run with, today's metrics must give the number that the ledger accepted, unless the
  benchmark has a new version since; that one is evaluated as a stage of its own when the study is run again.
- It asks what if: with other choices, it says what the scores would have been.
- The ledger is not written: an accepted result is final. Numbers become official by running the study with the choice in its file.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from model.config.fields import build, did_you_mean
from model.config.scoring import ScoringConfig
from model.evaluation.benchmarks.registry import BENCHMARKS
from model.evaluation.stored_answers import ITEMS, read, rescored
from orchestrator.analysis.scores import judge_of, metrics_of, suite_of
from orchestrator.artifacts.store import Artifacts
from orchestrator.ledger.rows import ScoreRow, StageRow, TrialRow
from orchestrator.plan.identity import VERSIONS

TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class RescoredBenchmark:
    """One benchmark of one checkpoint, scored again."""

    stage_id: str
    label: str
    benchmark: str
    accepted: float
    """What the ledger holds."""
    score: float | None
    """What the stored answers give now."""
    details: dict[str, Any]
    has_new_version: bool
    """The benchmark means something else since: another number is no fault."""

    @property
    def is_same(self) -> bool:
        """Whether both are one number."""
        return self.score is not None and abs(self.score - self.accepted) <= TOLERANCE


@dataclass(frozen=True, slots=True, kw_only=True)
class RescoredStudy:
    """A study, scored again."""

    benchmarks: tuple[RescoredBenchmark, ...]
    trials: dict[str, dict[str, float]]
    """Trial -> metric -> value, from the new scores."""
    withheld: dict[str, dict[str, str]]


def choices_of(values: Mapping[str, str]) -> dict[str, Any]:
    """Read `name=value` choices from text.

    Raises:
        ValueError: no such choice, or a value that it does not take.
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
        trials: of the study.
        stages: of the study; evaluations that are done count.
        rows: what the ledger accepted.
        artifacts: where the answers are.
        choices: fields of `ScoringConfig` to change.

    Raises:
        ValueError: stored answers cannot be read.
    """
    accepted = {row.stage_id: row for row in rows}
    done = [stage for stage in stages if stage.stage_id in accepted and stage.artifact]
    again = {stage.stage_id: _again(stage, accepted[stage.stage_id], artifacts, choices) for stage in done}
    metrics, withheld = {}, {}
    for trial in trials:
        mine = [dataclasses.replace(accepted[stage_id], value=float(again[stage_id][0].score or 0), is_complete=again[stage_id][1])
                for stage_id in trial.stage_ids if stage_id in again and again[stage_id][0].score is not None]
        evaluate = trial.config["evaluate"]
        evaluate = evaluate | {"scoring": evaluate.get("scoring", {}) | dict(choices)}
        metrics[trial.trial_key], withheld[trial.trial_key] = metrics_of(suite_of(evaluate), mine, has_judge=bool(judge_of(evaluate)))
    return RescoredStudy(benchmarks=tuple(each for each, _ in again.values()), trials=metrics, withheld=withheld)


def _again(stage: StageRow, row: ScoreRow, artifacts: Artifacts, choices: Mapping[str, Any]) -> tuple[RescoredBenchmark, bool]:
    spec, config = BENCHMARKS[row.benchmark], stage.spec["config"]
    kept = build(ScoringConfig, config.get("scoring", {}) | dict(choices), "scoring").only(spec.choices)
    answers = read(artifacts.fetched(stage.artifact or "") / ITEMS, row.benchmark)
    found = rescored(spec, answers, kept, is_limited=bool(config.get("num_items")))
    version = f"{VERSIONS['evaluate']}.{spec.version}"
    again = RescoredBenchmark(stage_id=stage.stage_id, label=stage.label, benchmark=row.benchmark, accepted=row.value, score=found.score,
                  details=found.details, has_new_version=stage.spec.get("version", version) != version)
    return again, found.is_complete
