"""The budget of a study: what it may cost, is expected to cost, and has cost so far.

- Expected: computed from the plan, at the rates of finished stages in this ledger, or else at the scale's declared
  rate.
- Spent: the time of all attempts for the study, including failed ones; running attempts count up to now.
- The driver pauses a study that has reached a limit of its budget, after asking running stages to save a checkpoint.
  The study continues once its file allows more.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from model.config.stages import TRAINING
from orchestrator.ledger.engine import Engine
from orchestrator.ledger.summaries import spent_sums, submitted
from orchestrator.plan.cost import gpus_of, published_bytes
from orchestrator.plan.estimate import Rates, TimedStage, rate_key, time_left
from orchestrator.plan.plan import Growth, Plan
from orchestrator.study.documents import Resources
from orchestrator.study.study import Budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The expected cost of what is left to run; for a study that grows, with everything it is expected to add."""

    flops: float
    hours: float
    """Hours of attempts, as if they ran one after the other."""
    gpu_hours: float
    checkpoint_gb: float
    wall_s: float
    """Seconds on the available slots."""
    slots: int
    is_measured: bool
    """Whether all rates come from finished stages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """The cost of all attempts for a study."""

    hours: float
    gpu_hours: float
    wall_hours: float
    """Hours from submission to the end, or to now."""
    flops: float = 0.0
    """FLOPs by formula; of attempts that did not finish, those of their steps."""
    checkpoint_gb: float = 0.0
    """Size on disk of what training stages published."""


def expected(
    plan: Plan, resources: Resources, *, done: Collection[str], rates: Rates, slots: int, may_grow: bool = True
) -> Expected:
    """Estimate the cost of the stages of a plan that are not done, and of those it is expected to add.

    Args:
        plan: the plan of the study.
        resources: the resources of its scale.
        done: ids of the stages that the ledger has finished.
        rates: the rates of stages at its scale.
        slots: the number of stages that run at the same time.
        may_grow: whether anything may still be added.
    """
    growth = plan.growth if may_grow else {}
    works = [work for work in timed(plan, done, growth) if not work.is_done]
    seconds = [(work.kind, work.flops / rates.of(work.key)[0]) for work in works]
    size = sum(
        published_bytes(stage.spec)
        for stage in plan.stages.values()
        if stage.kind != "import" and stage.stage_id not in done
    )
    wall = time_left(works, slots=slots, rates=rates)
    return Expected(
        flops=sum(work.flops for work in works), hours=sum(each for _, each in seconds) / 3600,
        gpu_hours=sum(each / 3600 * gpus_of(kind, resources) for kind, each in seconds),
        checkpoint_gb=(size + sum(each.bytes for each in growth.values())) / 1e9, wall_s=wall.seconds, slots=slots,
        is_measured=wall.is_measured)


def timed(plan: Plan, done: Collection[str], growth: Mapping[str, Growth]) -> list[TimedStage]:
    """Return all stages of a plan, and what it is expected to add, in the form that time estimates take."""
    planned = [TimedStage(kind=stage.kind, key=rate_key(stage.kind, stage.spec), flops=stage.flops, workers=stage.workers,
                          is_done=stage.stage_id in done) for stage in plan.stages.values() if stage.kind != "import"]
    return planned + [
        TimedStage(kind=each.kind, key=key, flops=each.flops, largest_flops=each.largest_flops, workers=each.workers)
        for key, each in growth.items()
    ]


def spent(engine: Engine, study_id: str, resources: Resources) -> Spent:
    """Return what a study has cost so far."""
    sums = spent_sums(engine, study_id)
    return Spent(hours=sum(sums.seconds.values()) / 3600, wall_hours=sums.wall_s / 3600, flops=sums.flops,
                 checkpoint_gb=sum(sums.bytes.get(kind, 0) for kind in TRAINING) / 1e9,
                 gpu_hours=sum(each / 3600 * gpus_of(kind, resources) for kind, each in sums.seconds.items()))


def over(budget: Budget, now: Spent) -> str:
    """Return a sentence about the limit that is reached, "" if none is."""
    used = asdict(now)
    for name, limit in budget.model_dump(exclude_none=True).items():
        if used[name] >= limit:
            return (
                f"budget: {used[name]:.3g} of {limit:g} {name.replace('_', ' ')} are spent; raise `budget` in the study's file and "
                "run it again"
            )
    return ""


class BudgetWatch:
    """Checks whether running studies are within their budgets."""

    def __init__(self, engine: Engine) -> None:
        """Know no study yet."""
        self._engine = engine
        self._limits: dict[str, tuple[Budget, Resources] | None] = {}

    def over(self, study_ids: Collection[str]) -> dict[str, str]:
        """Return study id -> the limit that it has reached, for those of these studies that have reached one."""
        self._limits = {study_id: known for study_id, known in self._limits.items() if study_id in study_ids}
        found = {}
        for study_id in study_ids:
            if study_id not in self._limits:
                self._limits[study_id] = limits(submitted(self._engine, study_id).spec)
            known = self._limits[study_id]
            reason = over(known[0], spent(self._engine, study_id, known[1])) if known else ""
            if reason:
                found[study_id] = reason
        return found


def limits(spec: Mapping[str, Any]) -> tuple[Budget, Resources] | None:
    """Return the budget of a submitted study and the resources of its stages; None if it has no budget."""
    budget = spec["study"].get("budget")
    return (Budget.model_validate_json(json.dumps(budget)), resources_of(spec)) if budget else None


def resources_of(spec: Mapping[str, Any]) -> Resources:
    """Return the resources of a submitted study's scale."""
    return Resources.model_validate_json(json.dumps(spec["scale"].get("resources") or {"flops_per_s": 1e10}))
