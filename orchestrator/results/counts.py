"""Count the trials and stages of a study, and sum their cost and what sharing saved. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from model.config.stages import TRAINING
from orchestrator.analysis.scores import TrialScores
from orchestrator.artifacts.store import is_record
from orchestrator.ledger.rows import StageRow, StudyRow, TrialRow
from orchestrator.plan.sharing import StageUse, saving

IMPORT = "import"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The numbers of trials, stages and attempts of a study. Imported checkpoints are not counted."""

    trials: int
    trials_done: int
    trials_failed: int
    trials_diverged: int
    stages_requested: int
    """The stages that the trials would need without sharing."""
    stages_unique: int
    """The distinct stages."""
    stages_reused: int
    """The distinct stages that started before this study was submitted."""
    stages_done: int
    attempts: int
    stages_imported: int = 0
    """The stages whose result came from a record (`ablate import`)."""
    stages_saved: int = 0
    """The stages that sharing saved: requested, but not executed for this study."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The time and the FLOPs of a study."""

    seconds: float
    """The total time of the accepted attempts that were started for this study."""
    seconds_saved: float
    """The time that it would have taken to repeat shared and reused stages for each trial, in seconds."""
    gpu_hours_saved: float = 0.0
    """The same in GPU-hours, by the GPUs that the scale assigns to a stage; 0 if it assigns none."""
    elapsed_s: float | None
    """The seconds from submission to the end; None while the study is not finished."""
    flops: float
    """The FLOPs of the distinct stages, by formula."""


def counts(row: StudyRow, trials: Sequence[TrialScores], stages: Sequence[StageRow]) -> Counts:
    """Count the trials, stages and attempts of a study."""
    states = Counter(trial.state for trial in trials)
    executed = [stage for stage in stages if stage.kind != IMPORT]
    reused = sum(_is_reused(row, stage) for stage in executed)
    return Counts(trials=len(trials), trials_done=states["SUCCEEDED"], trials_diverged=states["DIVERGED"],
                  trials_failed=states["FAILED"] + states["SKIPPED"], stages_requested=row.requested_stages,
                  stages_unique=len(executed), stages_reused=reused,
                  stages_done=sum(stage.state == "SUCCEEDED" for stage in executed),
                  attempts=sum(stage.attempts_made for stage in executed),
                  stages_imported=sum(is_record(stage.artifact or "") for stage in executed),
                  stages_saved=row.requested_stages - (len(executed) - reused))


def _is_reused(row: StudyRow, stage: StageRow) -> bool:
    return stage.started_at is not None and stage.started_at < row.created_at and stage.kind != IMPORT


def cost(row: StudyRow, trials: Sequence[TrialRow], stages: Sequence[StageRow]) -> Cost:
    """Sum the time and the FLOPs of a study's stages, and what sharing saved."""
    uses = Counter(stage_id for trial in trials for stage_id in trial.stage_ids)
    executed = [(stage, _is_reused(row, stage)) for stage in stages if stage.kind != IMPORT]
    resources = row.spec["scale"].get("resources", {})
    # A stage that this study executed for a single trial saves nothing.
    shared = [(stage, is_known) for stage, is_known in executed if is_known or uses[stage.stage_id] != 1]
    saved = saving((StageUse(kind=stage.kind, uses=uses[stage.stage_id], is_known=is_known,
                             seconds=stage.seconds or 0.0) for stage, is_known in shared),
                   gpus=resources.get("gpus", 0), workers=resources.get("workers", 1))
    return Cost(seconds=sum(stage.seconds or 0.0 for stage, is_known in executed if not is_known),
                seconds_saved=saved.seconds, gpu_hours_saved=saved.gpu_hours,
                flops=sum(stage.flops for stage in stages),
                elapsed_s=None if row.ended_at is None else row.ended_at - row.created_at)


def varies_with_seed(trials: Sequence[TrialRow], stages: Sequence[StageRow]) -> tuple[str, ...]:
    """Return the kinds of stage that differ between the seeds of an arm, in order of execution."""
    kinds = {stage.stage_id: stage.kind for stage in stages}
    by_arm: dict[tuple[str, str], set[frozenset[str]]] = {}
    for trial in trials:
        for kind in {kinds[stage_id] for stage_id in trial.stage_ids}:
            of_kind = frozenset(stage_id for stage_id in trial.stage_ids if kinds[stage_id] == kind)
            by_arm.setdefault((trial.arm_key, kind), set()).add(of_kind)
    varying = {kind for (_, kind), different in by_arm.items() if len(different) > 1}
    return tuple(kind for kind in (*TRAINING, "evaluate") if kind in varying)
