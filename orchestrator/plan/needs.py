"""What a plan's stages draw on, and what of it is not there: said before it costs. Pure and torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from model.config.fields import build
from model.config.stages import TRAINING
from model.data.mixture import stage_shares
from model.evaluation.benchmarks.registry import BENCHMARKS
from orchestrator.plan.plan import Plan

WORKBENCH = "workbench"
COPY = "benchmark "
"""Begins the name of a benchmark among what a plan misses."""
CATALOGUE = ("the catalogue names their files (ABLATE_CATALOGUE); `ablate data list` shows what is there, `ablate data fetch` gets "
             "public copies")


@dataclass(frozen=True, slots=True, kw_only=True)
class StageData:
    """What training stages of one kind draw from."""

    kind: str
    categories: dict[str, tuple[str, ...]]
    """Category -> data sets, `workbench` for what is generated; none where nothing is configured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Something without which a run could not finish."""

    what: str
    hint: str


def training_data(plan: Plan) -> tuple[StageData, ...]:
    """Return which data each kind of training stage of a plan draws from, in the order of training."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for stage in plan.stages.values():
        if stage.kind in TRAINING:
            found.setdefault(stage.kind, {}).update(_categories(stage.kind, stage.spec))
    return tuple(StageData(kind=kind, categories=found[kind]) for kind in TRAINING if kind in found)


def missing(plan: Plan, *, has_judge: bool) -> tuple[Missing, ...]:
    """Return what is not there: checkpoints, data sets, copies of benchmarks, a judge.

    Args:
        plan: of a study at a scale.
        has_judge: whether the settings say where a judge is reached.
    """
    found = [Missing(what=f"start checkpoint {name}", hint="it belongs into the folder `checkpoints` of ABLATE_HOME; "
                     "`python -m model.weights` makes one") for name in plan.missing_checkpoints]
    copies = [name.removeprefix(COPY) for name in plan.missing_data if name.startswith(COPY)]
    categories = [name for name in plan.missing_data if not name.startswith(COPY)]
    found += [Missing(what=f"{what} {', '.join(names)}", hint=CATALOGUE)
              for what, names in (("data sets of", categories), ("local copies of", copies)) if names]
    found += too_large(plan)
    judged = sorted({stage.spec["benchmark"] for stage in plan.stages.values() if _needs_judge(stage.spec)})
    if judged and not has_judge:
        found.append(Missing(what=f"a judge for {', '.join(judged)}", hint="ABLATE_JUDGE_URL says where it is reached"))
    return tuple(found)


def too_large(plan: Plan) -> list[Missing]:
    """Return the kinds of training stage that need more memory than the scale declares for a worker."""
    there = plan.spec["scale"]["resources"].get("memory_gib")
    needed: dict[str, float] = {}
    for stage in plan.stages.values():
        needed[stage.kind] = max(needed.get(stage.kind, 0.0), stage.memory / 2**30)
    return [Missing(what=f"memory for {kind}: {gib:.3g} GiB by formula, each worker has {there:g} (resources.memory_gib)",
                    hint=f"{kind}.recompute: true, a smaller {kind}.micro_batch, or more resources.workers")
            for kind, gib in needed.items() if there is not None and gib > there]


def not_run(plan: Plan) -> tuple[str, ...]:
    """Return the benchmarks that a study asks for and does not run, since it names no judge."""
    asked = {name: trial.config["evaluate"]["scoring"].get("judge", "") for trial in plan.trials
             for name in trial.config["evaluate"]["benchmarks"]}
    return tuple(name for name, judge in asked.items() if name in BENCHMARKS and BENCHMARKS[name].needs_judge and not judge)


def _categories(kind: str, spec: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    found = stage_shares(build(TRAINING[kind], spec["config"], kind))
    data = spec["data"]
    if data["source"] == WORKBENCH:
        return dict.fromkeys(found, (WORKBENCH,))
    sources = (data.get("catalogue") or {}).get("sources", ())
    return {
        category: tuple(sorted(each["name"] for each in sources if each["category"] == category))
        for category in found
    }


def _needs_judge(spec: dict[str, Any]) -> bool:
    known = BENCHMARKS.get(spec.get("benchmark", ""))  # own benchmarks ask no judge
    return spec.get("kind") == "evaluate" and known is not None and known.needs_judge
