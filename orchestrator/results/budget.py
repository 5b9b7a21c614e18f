"""What a study may cost, is expected to cost, and has cost so far.

- Expected: from the plan, at the rates that finished stages of this ledger reached, else at the scale's own.
- Spent: time of all attempts that were made for the study, failed ones too, those that run now up to now.
- A study over its budget is paused by the driver: what runs is asked to save a checkpoint. It goes on once the file
  allows more.
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
    """What is left to run will take about this; of a study that grows, with all that it is expected to add."""

    flops: float
    hours: float
    """Of attempts, one after the other."""
    gpu_hours: float
    checkpoint_gb: float
    wall_s: float
    """On the slots that there are."""
    slots: int
    is_measured: bool
    """Whether finished stages of every kind set the rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What attempts made for a study have taken."""

    hours: float
    gpu_hours: float
    wall_hours: float
    """From submission to the end, or to now."""
    flops: float = 0.0
    """By formula; of attempts that did not end, the part that their steps say."""
    checkpoint_gb: float = 0.0
    """Published by training stages, as it lies on disk."""


def expected(
    plan: Plan, resources: Resources, *, done: Collection[str], rates: Rates, slots: int, may_grow: bool = True
) -> Expected:
    """Price what of a plan is not done, and what it is expected to add, none of which is done.

    Args:
        plan: of the study.
        resources: of its scale.
        done: stages that the ledger has finished.
        rates: of stages at its scale.
        slots: stages that run at the same time.
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
    """Return all stages of a plan, and what it grows by, as far as their time goes."""
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
    """Say which limit is reached, "" if none is."""
    used = asdict(now)
    for name, limit in budget.model_dump(exclude_none=True).items():
        if used[name] >= limit:
            return (
                f"budget: {used[name]:.3g} of {limit:g} {name.replace('_', ' ')} are spent; raise `budget` in the study's file and "
                "run it again"
            )
    return ""


class BudgetWatch:
    """Looks whether running studies are within their budgets."""

    def __init__(self, engine: Engine) -> None:
        """Know no study yet."""
        self._engine = engine
        self._limits: dict[str, tuple[Budget, Resources] | None] = {}

    def over(self, study_ids: Collection[str]) -> dict[str, str]:
        """Return study id -> the limit that it has reached, of these studies."""
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
    """Return the budget of a submitted study and the resources of its stages; None without a budget."""
    budget = spec["study"].get("budget")
    return (Budget.model_validate_json(json.dumps(budget)), resources_of(spec)) if budget else None


def resources_of(spec: Mapping[str, Any]) -> Resources:
    """Return what a stage of a submitted study needs."""
    return Resources.model_validate_json(json.dumps(spec["scale"].get("resources") or {"flops_per_s": 1e10}))
