"""Single answers of a study: question, reference, prediction and score, of one arm or of two side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from model.config.fields import did_you_mean
from model.evaluation.stored_answers import Answer
from orchestrator.artifacts.store import Artifacts
from orchestrator.errors import StudyError
from orchestrator.ledger.rows import StageRow, TrialRow
from orchestrator.results.branches import final_stages
from orchestrator.results.stored_scores import stored_answers


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRow:
    """One item as an arm answered it, and as another one did."""

    benchmark: str
    item_id: str
    arm: str
    seed: int
    question: str
    references: tuple[str, ...]
    options: tuple[str, ...]
    prediction: str
    parsed: str | None
    """What the benchmark's rule read; None where it could read nothing."""
    score: float
    """0 to 1."""
    pictures: tuple[str, ...]
    """Where they lie; empty for what is generated."""
    other: str | None = None
    """Prediction of the other arm."""
    other_score: float | None = None

    @property
    def is_worse(self) -> bool:
        """Whether the other arm did better."""
        return self.other_score is not None and self.score < self.other_score


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which items to show."""

    benchmark: str | None = None
    arm: str | None = None
    """None: the first that has answers."""
    against: str | None = None
    seed: int | None = None
    """None: the first."""


def items(
    study: str, trials: Sequence[TrialRow], stages: Sequence[StageRow], artifacts: Artifacts, wanted: Wanted
) -> Iterator[ItemRow]:
    """List the answers of an arm.

    Args:
        study: its name, for messages.
        trials: of the study.
        stages: of the study.
        artifacts: where the answers are.
        wanted: which of them.

    Raises:
        StudyError: no such arm, seed or benchmark, or it has no answers yet.
    """
    trial = _trial(study, trials, wanted.arm, wanted.seed)
    mine = _answers(study, trial, stages, wanted.benchmark)
    others = (
        _answers(study, _trial(study, trials, wanted.against, trial.seed), stages, wanted.benchmark)
        if wanted.against
        else {}
    )
    for benchmark, stage in mine.items():
        theirs = (
            {each.item.item_id: each for each in _read(others[benchmark], artifacts)}
            if benchmark in others
            else {}
        )
        for answer in _read(stage, artifacts):
            yield _row(benchmark, trial, answer, theirs.get(answer.item.item_id))


def trials_with_answers(
    study: str, trials: Sequence[TrialRow], stages: Sequence[StageRow], wanted: Wanted
) -> list[Wanted]:
    """Return what is wanted once for each trial that has answers; arm and seed are then named.

    Raises:
        StudyError: no such arm, seed or benchmark, or no trial has answers yet.
    """
    _trial(study, trials, wanted.arm, wanted.seed)
    asked = [each for each in trials if wanted.arm in (None, each.arm_name) and wanted.seed in (None, each.seed)]
    found = [each for each in asked if _finished(_evaluations(each, stages), wanted.benchmark)]
    if not found:
        _answers(study, asked[0], stages, wanted.benchmark)
    return [replace(wanted, arm=each.arm_name, seed=each.seed) for each in found]


def _trial(study: str, trials: Sequence[TrialRow], arm: str | None, seed: int | None) -> TrialRow:
    names = dict.fromkeys(each.arm_name for each in trials)
    if arm is not None and arm not in names:
        raise StudyError(study, 0, f"no arm {arm!r}", did_you_mean(arm, names))
    found = [each for each in trials if arm in (None, each.arm_name) and seed in (None, each.seed)]
    if not found:
        raise StudyError(study, 0, f"no trial of {arm or 'any arm'} with seed {seed}")
    return found[0]


def _answers(study: str, trial: TrialRow, stages: Sequence[StageRow], benchmark: str | None) -> dict[str, StageRow]:
    own = _evaluations(trial, stages)
    found = _finished(own, benchmark)
    if not found:
        names = [stage.spec["benchmark"] for stage in own]
        is_unknown = benchmark is not None and benchmark not in names
        hint = did_you_mean(benchmark or "", names) if is_unknown else "it has no finished evaluation yet"
        what = f"no answers of {trial.arm_name} seed {trial.seed} to {benchmark or 'any benchmark'}"
        raise StudyError(study, 0, what, hint)
    return found


def _evaluations(trial: TrialRow, stages: Sequence[StageRow]) -> list[StageRow]:
    return final_stages(trial, {each.stage_id: each for each in stages})


def _finished(evaluations: Sequence[StageRow], benchmark: str | None) -> dict[str, StageRow]:
    wanted = [each for each in evaluations if each.artifact and benchmark in (None, each.spec["benchmark"])]
    return {each.spec["benchmark"]: each for each in wanted}


def _read(stage: StageRow, artifacts: Artifacts) -> list[Answer]:
    try:
        return stored_answers(stage, artifacts)
    except (OSError, ValueError) as error:
        raise StudyError(stage.label, 0, f"its stored answers cannot be read ({error})") from error


def _row(benchmark: str, trial: TrialRow, answer: Answer, other: Answer | None) -> ItemRow:
    item = answer.item
    return ItemRow(benchmark=benchmark, item_id=item.item_id, arm=trial.arm_name, seed=trial.seed, question=item.question,
                   references=item.references, options=item.options, prediction=answer.prediction, parsed=answer.score.parsed,
                   score=answer.score.strict, pictures=item.pictures, other=other.prediction if other else None,
                   other_score=other.score.strict if other else None)
