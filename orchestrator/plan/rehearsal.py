"""Choose what a rehearsal executes: two steps of each distinct training stage, two items of each benchmark. Pure.

- Stages that differ only in numbers that cannot make a stage fail (learning rate, shares above 0, seed) are rehearsed
  once: a sweep of a thousand mixtures needs one rehearsal for each set of categories.
- Everything else stays as the study has it: data, weights, image settings, batch, numeric type, workers.
- A stage after another training stage begins with the two steps of that one, so that the whole chain is tried.
- Two steps take as much memory as all; the second one is free of start-up, so that its rate says how long all will
  take. Two items take about as long as a whole batch where each step of generation is too small for the device, and
  a batch never takes less than its FLOPs do at the rate of training: what is longer counts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from model.config.fields import build
from model.config.stages import TRAINING, EvaluateConfig, ModelConfig
from model.data.mixture import stage_shares
from model.evaluation.benchmarks.registry import specs
from orchestrator.plan.cost import evaluation_flops, training_flops
from orchestrator.plan.estimate import rate_key
from orchestrator.plan.identity import stage_identity
from orchestrator.plan.plan import Plan
from orchestrator.plan.stages import Stage
from orchestrator.states import AttemptState

NOT_TRIED = "NOT_TRIED"
"""The state of a rehearsal whose checkpoint is missing or was not made."""
STEPS = 2
"""The steps of a rehearsed training stage."""
ITEMS = 2
"""The items of a rehearsed evaluation."""
_NUMBERS = ("steps", "warmup_steps", "decay_steps", "branch_every", "begin", "late_from", "lr", "final_lr",
            "schedule", "weight_decay", "clip", "checkpoint_every")
"""Fields of a training stage that no stage can fail by once its configuration is valid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """A short stage that is executed in place of one or more stages of a plan."""

    stage_id: str
    kind: str
    label: str
    """The label of the first stage that it stands for."""
    spec: dict[str, Any]
    parent_id: str | None
    """The rehearsal, or the import, whose checkpoint it begins with; None begins from random weights."""
    workers: int
    stands_for: list[str] = field(default_factory=list)
    """The ids of these stages."""
    flops_per_sample: float = 0.0
    """Of a training sample or an evaluated item, by the plan's formula."""

    @property
    def rate_key(self) -> str:
        """What its stages share that take their FLOPs at one rate."""
        return rate_key(self.kind, self.spec)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """The outcome of one rehearsal."""

    rehearsal: Rehearsal
    state: str
    """SUCCEEDED, what an attempt's failure is called, or NOT_TRIED."""
    problem: str = ""
    seconds: float = 0.0
    """With start-up."""
    samples_per_s: float | None = None
    """Of the last step, by all workers; of an evaluation its items, once the model is loaded."""
    memory_gib: float | None = None
    """Largest use of one worker: of its device, or of the process on a CPU."""
    device: str = ""

    @property
    def is_good(self) -> bool:
        """Whether the stage can run here."""
        return self.state == AttemptState.SUCCEEDED

    @property
    def flops_per_s(self) -> float | None:
        """The rate of all workers together, in FLOPs by the plan's formula; of an evaluation as if its batch were full."""
        if not self.samples_per_s:
            return None
        is_training = self.rehearsal.kind in TRAINING
        fuller = 1.0 if is_training else max(1.0, self.rehearsal.spec["config"].get("batch", ITEMS) / ITEMS)
        return self.rehearsal.flops_per_sample * self.samples_per_s * fuller


def rehearsals(plan: Plan) -> list[Rehearsal]:
    """Return what a rehearsal of a plan executes, parents before children; imports are not among them."""
    found: dict[str, Rehearsal] = {}
    of_stage: dict[str, str] = {}
    parents: dict[str, str | None] = {}
    for stage in plan.stages.values():
        if stage.kind == "import":
            of_stage[stage.stage_id] = stage.stage_id
            continue
        parent_id = of_stage[stage.parent_id] if stage.parent_id else None
        if stage.kind in TRAINING and stage.spec["config"].get("begin") and parent_id is not None:
            parent_id = parents[parent_id]  # a part that goes on is rehearsed as a beginning: one stands for all
        key = _key(stage, parent_id)
        if key not in found:
            found[key] = _rehearsal(stage, parent_id)
            parents[found[key].stage_id] = parent_id
        found[key].stands_for.append(stage.stage_id)
        of_stage[stage.stage_id] = found[key].stage_id
    return list(found.values())


def _rehearsal(stage: Stage, parent_id: str | None) -> Rehearsal:
    config = stage.spec["config"]
    short = _short(config) if stage.kind in TRAINING else {"num_items": ITEMS}
    spec = {**stage.spec, "config": {**config, **short}, "parent_id": parent_id}
    return Rehearsal(stage_id=stage_identity(spec), kind=stage.kind, label=stage.label, spec=spec, parent_id=parent_id,
                     workers=stage.workers, flops_per_sample=_flops_per_sample(stage.kind, spec))


def _short(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what makes a training stage short: first steps, without branching points, on the mixture that it draws."""
    late = config.get("late_mixture")
    return {"steps": STEPS, "warmup_steps": 0, "decay_steps": 0, "branch_every": 0, "begin": 0, "late_from": 0,
            "late_mixture": None, "mixture": late or config["mixture"]}


def _flops_per_sample(kind: str, spec: Mapping[str, Any]) -> float:
    model = build(ModelConfig, spec["model"], "model")
    if kind not in TRAINING:
        evaluate = build(EvaluateConfig, spec["config"], kind)
        return evaluation_flops(model, evaluate, specs(evaluate.own)[spec["benchmark"]]) / ITEMS
    config = build(TRAINING[kind], spec["config"], kind)
    return training_flops(model, config) / (config.steps * config.batch)


def _key(stage: Stage, parent_id: str | None) -> str:
    """Return what stages share that one rehearsal stands for."""
    config = {name: value for name, value in stage.spec["config"].items() if name not in (*_NUMBERS, "num_items")}
    if stage.kind in TRAINING:
        config["mixture"] = sorted(stage_shares(build(TRAINING[stage.kind], stage.spec["config"], stage.kind)))
        config["late_mixture"] = None
    kept = {name: value for name, value in stage.spec.items() if name not in ("config", "seed", "parent_id")}
    return json.dumps([kept, config, parent_id], sort_keys=True)
