"""Estimate the cost of a plan, given the stages that the ledger has already: one value for the table and for JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.ledger import read
from orchestrator.ledger.engine import Engine
from orchestrator.ledger.summaries import measured_rates, stage_states
from orchestrator.plan.cost import metrics_of_config
from orchestrator.plan.estimate import Estimate, Rates, rate_key, time_left
from orchestrator.plan.plan import Plan, Trial
from orchestrator.plan.sharing import Saving, StageUse, saving
from orchestrator.plan.stages import Stage
from orchestrator.results.budget import Expected, expected, resources_of, timed
from orchestrator.results.counts import IMPORT
from orchestrator.results.rehearsals import RehearsedRates
from orchestrator.states import StageState
from orchestrator.study.documents import Resources
from orchestrator.study.metric_names import TOKENS


@dataclass(frozen=True, slots=True, kw_only=True)
class KindRow:
    """The stages of one kind in a plan."""

    kind: str
    requested: int
    """The number of stages that the trials would need without sharing."""
    unique: int
    """The number of distinct stages."""
    known: int
    """The number of distinct stages that are finished in the ledger."""
    flops: float
    """The FLOPs of the distinct stages."""
    memory_gib: float
    """The memory of each worker of the largest stage, in GiB, as rehearsed, else as estimated; 0 for stages that train
    nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmCost:
    """An arm of a plan, and its cost."""

    key: str
    name: str
    levels: dict[str, Any]
    is_baseline: bool
    num_trials: int
    to_run: int
    """The distinct stages of this arm that are not finished; a stage shared by several arms counts for each."""
    flops: float
    """The FLOPs of the arm's distinct stages."""
    tokens_per_image: float
    """The image tokens at inference, for an image of typical size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A plan with its estimated cost."""

    plan: Plan
    arms: tuple[ArmCost, ...]
    kinds: tuple[KindRow, ...]
    states: dict[str, str]
    """Stage id -> its state, for the stages that the ledger has."""
    estimate: Estimate
    expected: Expected
    """The cost of the stages left to run, including those that an adaptive study is expected to add."""
    slots: int
    resources: Resources
    num_growing: float
    """Stages that the study is expected to add."""
    rehearsed_kinds: tuple[str, ...]
    """Kinds of stage whose rate comes from a rehearsal, since none of them was finished at this scale."""
    saving: Saving
    """The saving by sharing, compared with executing all stages of each trial; times are estimated."""

    @property
    def num_known(self) -> int:
        """The number of distinct stages that are finished in the ledger."""
        return sum(kind.known for kind in self.kinds)

    @property
    def num_to_run(self) -> int:
        """The number of distinct stages that are left to run."""
        return self.plan.num_unique - self.num_known


def preview(plan: Plan, engine: Engine | None, *, slots: int, rehearsed: RehearsedRates | None = None) -> Preview:
    """Estimate the cost of a plan.

    Args:
        plan: the plan.
        engine: the ledger, for finished stages and measured speeds; None without a ledger.
        slots: the number of stages that run at the same time.
        rehearsed: what rehearsals at the plan's scale showed; None is nothing.
    """
    states = stage_states(engine, list(plan.stages)) if engine else {}
    resources = resources_of(plan.spec)
    rehearsed = rehearsed or RehearsedRates()
    measured = measured_rates(engine, plan.scale) if engine else {}
    rates = Rates(declared=resources.flops_per_s, measured=_known_rates(measured, rehearsed))
    may_grow = not (engine and _is_grown(plan, engine))
    growth = plan.growth if may_grow else {}
    done = {each for each, state in states.items() if state == StageState.SUCCEEDED}
    return Preview(
        plan=plan,
        arms=_arms(plan, states),
        kinds=_kinds(plan, states, rehearsed),
        states=states,
        slots=slots,
        resources=resources,
        expected=expected(plan, resources, done=done, rates=rates, slots=slots, may_grow=may_grow),
        estimate=time_left(timed(plan, done, growth), slots=slots, rates=rates),
        rehearsed_kinds=tuple(sorted(rehearsed.kinds() - measured.keys())),
        num_growing=sum(each.number for each in growth.values()),
        saving=_saving(plan, states, rates, resources),
    )


def _known_rates(measured: Mapping[str, float], rehearsed: RehearsedRates) -> dict[str, float]:
    """Return the rates of finished stages; for kinds of which none is finished, those of rehearsals."""
    others = {key: rate for key, rate in rehearsed.rates.items() if key.partition(" ")[0] not in measured}
    slowest = {kind: min(rate for key, rate in others.items() if key.partition(" ")[0] == kind)
               for kind in {key.partition(" ")[0] for key in others}}
    return {**slowest, **others, **measured}


def document(shown: Preview) -> dict[str, Any]:
    """Return the JSON document of `ablate plan --json`; the command's help describes the fields."""
    plan = shown.plan
    return {
        "study": plan.study.name, "scale": plan.scale, "question": plan.study.question, "spec_hash": plan.spec_hash,
        "seeds": list(plan.study.seed_list), "seed_enters": plan.seed_enters,
        "num_arms": plan.study.num_arms, "num_trials": plan.study.num_arms * len(plan.study.seed_list),
        "stages": {"requested": plan.num_requested, "unique": plan.num_unique, "known": shown.num_known,
                   "to_run": shown.num_to_run, "by_kind": list(shown.kinds)},
        "saved": shown.saving, "flops": plan.flops, "expected": shown.expected, "estimate_s": shown.estimate.seconds,
        "is_measured": shown.estimate.is_measured,
        "slots": shown.slots, "workers_per_stage": shown.resources.workers,
        "gpus_per_stage": shown.resources.gpus,
        "arms": list(shown.arms),
        "trials": [{"key": trial.key, "arm_key": trial.arm_key, "seed": trial.seed, "stage_ids": trial.stage_ids}
                   for trial in plan.trials],
        "stage_list": [{"stage_id": stage.stage_id, "kind": stage.kind, "label": stage.label,
                        "parent_id": stage.parent_id, "flops": stage.flops, "samples": stage.samples,
                        "workers": stage.workers, "state": shown.states.get(stage.stage_id)}
                       for stage in plan.stages.values()],
        "missing_checkpoints": plan.missing_checkpoints, "missing_data": plan.missing_data, "notes": plan.notes,
    }


def _is_grown(plan: Plan, engine: Engine) -> bool:
    """Return whether the ledger has this study already, with all trials that are to be added."""
    return any(row.spec_hash == plan.spec_hash and row.scale == plan.scale and not row.grows
               for row in read.studies(engine))


def _is_done(stage: Stage, states: dict[str, str]) -> bool:
    return states.get(stage.stage_id) == StageState.SUCCEEDED


def _saving(plan: Plan, states: dict[str, str], rates: Rates, resources: Resources) -> Saving:
    uses = Counter(stage_id for trial in plan.trials for stage_id in trial.stage_ids)
    return saving(
        (StageUse(kind=stage.kind, uses=uses[stage.stage_id], is_known=_is_done(stage, states),
                seconds=stage.flops / rates.of(rate_key(stage.kind, stage.spec))[0])
         for stage in plan.stages.values() if stage.kind != IMPORT), gpus=resources.gpus, workers=resources.workers)


def _kinds(plan: Plan, states: dict[str, str], rehearsed: RehearsedRates) -> tuple[KindRow, ...]:
    requested = Counter(plan.stages[stage_id].kind for trial in plan.trials for stage_id in trial.stage_ids)
    rows = []
    for kind in dict.fromkeys(stage.kind for stage in plan.stages.values() if stage.kind != IMPORT):
        stages = [stage for stage in plan.stages.values() if stage.kind == kind]
        rows.append(KindRow(kind=kind, requested=requested[kind], unique=len(stages),
                            known=sum(_is_done(stage, states) for stage in stages),
                            flops=sum(stage.flops for stage in stages),
                            memory_gib=rehearsed.memory_gib.get(kind) or max(stage.memory for stage in stages) / 2**30))
    return tuple(rows)


def _arms(plan: Plan, states: dict[str, str]) -> tuple[ArmCost, ...]:
    of_arm: dict[str, list[Trial]] = {arm.key: [] for arm in plan.arms}
    for trial in plan.trials:
        of_arm[trial.arm_key].append(trial)
    rows = []
    for arm in plan.arms:
        trials = of_arm[arm.key]
        ids = dict.fromkeys(stage_id for trial in trials for stage_id in trial.stage_ids)
        stages = [plan.stages[stage_id] for stage_id in ids if plan.stages[stage_id].kind != IMPORT]
        rows.append(ArmCost(
            key=arm.key, name=arm.name, levels=arm.levels, is_baseline=arm.key == plan.baseline_key,
            num_trials=len(trials), to_run=sum(not _is_done(stage, states) for stage in stages),
            flops=sum(stage.flops for stage in stages), tokens_per_image=metrics_of_config(trials[0].config)[TOKENS]))
    return tuple(rows)

