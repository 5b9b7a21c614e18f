"""Scores at branching points: what intermediate checkpoints of a trial scored, beside its final table.

They enter no average, no interval and no verdict. Trials that share a checkpoint share its scores.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.ledger.rows import ScoreRow, StageRow, TrialRow
from orchestrator.states import EVALUATE, TrialState, first_final


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchScore:
    """What one intermediate checkpoint of a trial scored on one benchmark."""

    trial_key: str
    arm_key: str
    seed: int
    kind: str
    """The training stage, such as `sft`."""
    step: int
    """The optimizer step of that stage after which the checkpoint was kept."""
    benchmark: str
    score: float
    """As the benchmark's final score."""
    num_items: int
    num_unparseable: int


def final_stages(trial: TrialRow, stages: Mapping[str, StageRow]) -> list[StageRow]:
    """Return the evaluations of a trial's last checkpoint, as far as they are among these stages."""
    chain = [stages[each] for each in trial.stage_ids if each in stages]
    return [each for each in chain[first_final([each.kind for each in chain]):] if each.kind == EVALUATE]


def branch_scores(
    trials: Iterable[TrialRow], stages: Iterable[StageRow], rows: Iterable[ScoreRow]
) -> tuple[BranchScore, ...]:
    """Return the scores at branching points, by trial, training stage and step; a trial that diverged has none.

    Args:
        trials: the trials of a study.
        stages: its stages.
        rows: `read.branch_scores` of it.
    """
    kept = {trial.trial_key for trial in trials if trial.state != TrialState.DIVERGED}
    known = {stage.stage_id: stage for stage in stages}
    found = []
    for row in rows:
        trained = known[known[row.stage_id].parent_id or ""]
        if row.trial_key in kept and math.isfinite(row.value):
            found.append(BranchScore(
                trial_key=row.trial_key, arm_key=row.arm_key, seed=row.seed, kind=trained.kind,
                step=trained.spec["config"]["steps"], benchmark=row.benchmark, score=row.value,
                num_items=row.num_items, num_unparseable=row.num_unparseable))
    return tuple(found)


def means(scores: Sequence[BranchScore], arm_key: str) -> dict[str, dict[tuple[str, int], float]]:
    """Return, of an arm, benchmark -> (training stage, step) -> mean over seeds."""
    values: dict[str, dict[tuple[str, int], list[float]]] = {}
    for each in scores:
        if each.arm_key == arm_key:
            values.setdefault(each.benchmark, {}).setdefault((each.kind, each.step), []).append(each.score)
    return {name: {point: math.fsum(some) / len(some) for point, some in points.items()}
            for name, points in values.items()}
