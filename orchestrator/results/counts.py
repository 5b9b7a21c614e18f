"""How much of a study was done, what that took, and what was not done twice. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from model.config.stages import TRAINING
from orchestrator.analysis.scores import TrialScores
from orchestrator.ledger.rows import StageRow, StudyRow, TrialRow
from orchestrator.plan.sharing import StageUse, saving

IMPORT = "import"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much was done, and how much was not done twice. Imported checkpoints are not counted."""

    trials: int
    trials_done: int
    trials_failed: int
    trials_diverged: int
    stages_requested: int
    """Stages that the trials would take one by one."""
    stages_unique: int
    """Distinct stages."""
    stages_reused: int
    """Distinct stages that were begun before this study was submitted."""
    stages_done: int
    attempts: int
    stages_saved: int = 0
    """Stages that sharing spared: asked for, and not executed for this study."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Time and arithmetic."""

    seconds: float
    """Of the accepted attempts that this study began, one after the other."""
    seconds_saved: float
    """What repeating shared and reused stages for each trial would have added."""
    gpu_hours_saved: float = 0.0
    """The same in GPU-hours, by the GPUs that the scale gives a stage; 0 where it gives none."""
    elapsed_s: float | None
    """From submission to the end; None while it goes on."""
    flops: float
    """Of the distinct stages, by formula."""


def counts(row: StudyRow, trials: Sequence[TrialScores], stages: Sequence[StageRow]) -> Counts:
    """Count trials and stages of a study."""
    states = Counter(trial.state for trial in trials)
    own = [stage for stage in stages if stage.kind != IMPORT]
    reused = sum(_is_reused(row, stage) for stage in own)
    return Counts(trials=len(trials), trials_done=states["SUCCEEDED"], trials_diverged=states["DIVERGED"],
                  trials_failed=states["FAILED"] + states["SKIPPED"], stages_requested=row.requested_stages,
                  stages_unique=len(own), stages_reused=reused,
                  stages_done=sum(stage.state == "SUCCEEDED" for stage in own),
                  attempts=sum(stage.attempts_made for stage in own),
                  stages_saved=row.requested_stages - (len(own) - reused))


def _is_reused(row: StudyRow, stage: StageRow) -> bool:
    return stage.started_at is not None and stage.started_at < row.created_at and stage.kind != IMPORT


def cost(row: StudyRow, trials: Sequence[TrialRow], stages: Sequence[StageRow]) -> Cost:
    """Sum what the study's stages took, and what sharing spared it."""
    uses = Counter(stage_id for trial in trials for stage_id in trial.stage_ids)
    own = [(stage, _is_reused(row, stage)) for stage in stages if stage.kind != IMPORT]
    resources = row.spec["scale"].get("resources", {})
    saved = saving((StageUse(kind=stage.kind, uses=uses[stage.stage_id], is_known=is_known, seconds=stage.seconds or 0.0)
                    for stage, is_known in own if is_known or uses[stage.stage_id] != 1),  # of the others nothing is saved
                   gpus=resources.get("gpus", 0), workers=resources.get("workers", 1))
    return Cost(seconds=sum(stage.seconds or 0.0 for stage, is_known in own if not is_known), seconds_saved=saved.seconds,
                gpu_hours_saved=saved.gpu_hours, flops=sum(stage.flops for stage in stages),
                elapsed_s=None if row.ended_at is None else row.ended_at - row.created_at)


def varies_with_seed(trials: Sequence[TrialRow], stages: Sequence[StageRow]) -> tuple[str, ...]:
    """Name the kinds of stage that differ between the seeds of an arm, in their order."""
    kinds = {stage.stage_id: stage.kind for stage in stages}
    by_arm: dict[tuple[str, str], set[frozenset[str]]] = {}
    for trial in trials:
        for kind in {kinds[stage_id] for stage_id in trial.stage_ids}:
            mine = frozenset(stage_id for stage_id in trial.stage_ids if kinds[stage_id] == kind)
            by_arm.setdefault((trial.arm_key, kind), set()).add(mine)
    varying = {kind for (_, kind), different in by_arm.items() if len(different) > 1}
    return tuple(kind for kind in (*TRAINING, "evaluate") if kind in varying)
