"""Plan a study: arms x seeds -> trials -> stages, identified by content and counted before anything is launched.

- An arm's key is a hash of its levels, so it survives reordering and renaming; a stage's id is a hash of everything
  that determines its result.
- The seed enters at the first training stage in which any two arms differ; earlier stages use seed 0 and are shared. A
  different model or start counts as a difference in the first training stage. If no training stage differs (the arms
  only change inference), the seed enters at the last one, so that replicates are replicates. `seed_from` overrides
  this.
- A search is probed at the ends of its ranges, so that its seed enters at the same stage whatever is proposed later.
- There is one `evaluate` stage for each checkpoint x benchmark x image settings of the inference.
- Pure; does not import torch.
"""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from model.config.fields import to_plain
from model.config.stages import TRAINING
from model.data.mixture import stage_shares
from orchestrator.errors import for_each
from orchestrator.plan.arms import Arm, arm_key, baseline_of, designed_arms, named_arm, probes
from orchestrator.plan.cost import gpus_of, published_bytes
from orchestrator.plan.estimate import Rates, rate_key
from orchestrator.plan.layers import Selections
from orchestrator.plan.stages import Stage, StageBuilder, parts_of, plain_of
from orchestrator.plan.trial_config import Resolver, TrialConfig
from orchestrator.states import EVALUATE, first_final
from orchestrator.study.catalogue import DataSets, LoadCatalogue, no_catalogue
from orchestrator.study.documents import Scale, load_scale, recipe_named
from orchestrator.study.metric_names import withheld_notes
from orchestrator.study.study import Study

_PROSE = ("question", "source", "note", "about", "resources", "budget", "fail_fast", "predictions")
Verdicts = Mapping[str, Mapping[str, str]]
"""Study -> the kind and the sentence of its verdict, and the study's id."""
__all__ = ["Arm", "Plan", "Stage", "Trial", "Planner", "TrialRequest"]


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial: an arm with a seed."""

    key: str
    arm_key: str
    seed: int
    stage_ids: tuple[str, ...]
    """The stages in order of execution: import, training stages, then one evaluation for each benchmark. Evaluations of
    an intermediate checkpoint come before the training that goes on from it."""
    config: dict[str, Any]
    """The resolved configuration of the trial as plain values. Trials share parts of it: do not change it."""
    rung: int = 0
    """The rung of a search that the trial trains for, 1 for the first; 0 for the complete training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """Stages that a study is expected to add, of those that share a rate."""

    kind: str
    workers: int
    number: float = 0.0
    flops: float = 0.0
    largest_flops: float = 0.0
    bytes: float = 0.0
    """That they publish."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The trials and stages of a study at a scale."""

    study: Study
    scale: str
    spec: dict[str, Any]
    """The study, its recipes and the scale as plain values; the ledger stores them to show what changed."""
    spec_hash: str
    """A hash of the spec without its prose: to correct the wording of a question does not make another study."""
    arms: tuple[Arm, ...]
    baseline_key: str | None
    """The key of the arm that the others are compared with."""
    trials: tuple[Trial, ...]
    stages: dict[str, Stage]
    seed_enters: str | None
    """The first training stage that uses the trial's seed; None if nothing is trained."""
    missing_checkpoints: tuple[str, ...]
    """Start checkpoints that are missing in the operator's folder: the plan can be shown, but not submitted."""
    missing_data: tuple[str, ...]
    """Categories and benchmarks without data in the operator's catalogue: likewise."""
    notes: tuple[str, ...]
    """What the user should know before launching."""
    growth: Mapping[str, Growth] = field(default_factory=dict)
    """What a search is expected to add, by `rate_key`, from arms at the ends of its ranges; seeds that may be added
    are not in it."""

    @property
    def growth_flops(self) -> float:
        """FLOPs of what a search is expected to add."""
        return sum(each.flops for each in self.growth.values())

    @property
    def num_requested(self) -> int:
        """The number of stages that the trials would need without sharing; imports are not counted."""
        return sum(self.stages[stage_id].kind != "import" for trial in self.trials for stage_id in trial.stage_ids)

    @property
    def num_unique(self) -> int:
        """The number of distinct stages: shared ones are executed once. Imports are not counted."""
        return sum(stage.kind != "import" for stage in self.stages.values())

    @property
    def steps(self) -> tuple[int, int]:
        """The optimizer steps that the trials would train without sharing, and those of the distinct stages."""
        by_stage = {stage.stage_id: stage.spec["config"]["steps"] - stage.spec["config"].get("begin", 0)
                    for stage in self.stages.values() if stage.kind in TRAINING}
        asked = sum(by_stage.get(stage_id, 0) for trial in self.trials for stage_id in trial.stage_ids)
        return asked, sum(by_stage.values())

    @property
    def workers(self) -> int:
        """The number of slots that the largest stage takes."""
        return max((stage.workers for stage in self.stages.values()), default=1)

    @property
    def flops(self) -> float:
        """The estimated FLOPs of the distinct stages."""
        return sum(stage.flops for stage in self.stages.values())


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Pause Python's search for cyclic garbage: a plan makes none, and all its objects would be walked again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@dataclass(frozen=True, slots=True)
class TrialRequest:
    """A request to add trials of one arm to an adaptive study."""

    levels: Mapping[str, Any]
    seeds: tuple[int, ...]
    rung: int = 0


_Asked = tuple[Arm, TrialConfig, tuple[int, ...], int]
"""An arm, its configuration, its seeds, and the rung."""


class Planner:
    """Plans trials of one study. Recipe, scale, and the stage where seeds enter are determined once."""

    def __init__(self, study: Study, scale: str | Scale, *, selections: Selections | None = None,
                 verdicts: Verdicts | None = None, checkpoints: Path | None = None,
                 catalogue: LoadCatalogue = no_catalogue, measured: Mapping[str, float] | None = None) -> None:
        """Prepare the parts that all plans of the study share.

        Args:
            study: the study.
            scale: the name of a scale of the library, its file, or the scale itself.
            selections: the levels that earlier studies chose, for `from_selection`.
            verdicts: the kinds and sentences of these verdicts, which are stored with the study.
            checkpoints: the operator's folder of published checkpoints, with one folder for each.
            catalogue: reads the operator's catalogue of data sets; called only if the study needs it.
            measured: the FLOPs per second that finished stages of the scale reached, by `rate_key`. The budget is
                compared with the times that they give.

        Raises:
            StudyError: the study cannot be planned; the message names file and line.
        """
        self._study, self._scale = study, load_scale(scale) if isinstance(scale, str) else scale
        self._rates = Rates(declared=self._scale.resources.flops_per_s, measured=measured or {})
        self._taken = {"selections": dict(selections), "verdicts": dict(verdicts or {})} if selections else {}
        self._data_sets = DataSets(catalogue)
        self._resolver = Resolver(
            study, self._scale, recipe_named(study.recipe, study.document, ("recipe",)), selections, checkpoints, self._data_sets.own
        )
        self._checkpoints = checkpoints
        designed = designed_arms(study)
        with _collector_paused():
            configs = for_each(self._resolve, (*designed, *probes(study)))
        self._configs = configs
        self._designed = list(zip(designed, configs, strict=False))
        self._probed = configs[len(designed):]
        self._seed_enters = seed_entry(study, configs)
        _check_initial_weights(study, configs, self._seed_enters)
        _check_branches(study, configs)
        self._data = self._data_sets.contents((config.data, tuple(stage_shares(train)))  # type: ignore[arg-type]
                                              for config in configs for train in config.stages.values())

    @property
    def reads_files(self) -> bool:
        """Whether the plan depends on files of the operator that can change: its catalogue, or its checkpoints."""
        return self._data_sets.is_read or any((config.start or "").startswith("operator:") for config in self._configs)

    def plan(self, wanted: Iterable[TrialRequest] | None = None) -> Plan:
        """Plan the requested trials, by default those of the study file (for a search, its baseline).

        All plans of a study seed the same stage.

        Raises:
            StudyError: a trial cannot be planned; the message names file and line.
        """
        asked = self._written() if wanted is None else [self._known(each) for each in wanted]
        builder = self._stage_builder()
        with _collector_paused():
            trials = [self._trial(builder, arm, replace(config, seed=seed), rung)
                      for arm, config, seeds, rung in asked for seed in seeds]
        baseline = baseline_of(self._study, (arm for arm, _ in self._designed))
        spec = {"study": self._study.plain(), "recipes": self._recipes(), "scale": self._scale.plain()}
        if self._data:
            spec["data"] = self._data
        if self._resolver.own:
            spec["benchmarks"] = {each.name: to_plain(each) for each in self._resolver.own}
        spec |= self._taken
        plan = Plan(
            study=self._study, scale=self._scale.name, spec=spec, spec_hash=_spec_hash(spec),
            arms=tuple({arm.key: arm for arm, *_ in asked}.values()), baseline_key=baseline.key if baseline else None,
            trials=tuple(trials),
            stages=builder.stages, seed_enters=self._seed_enters, missing_checkpoints=tuple(builder.missing),
            missing_data=self._data_sets.missing,
            notes=(*withheld_notes(self._study, self._resolver.benchmarks, self._resolver.own), *_origins(self._taken.get("verdicts", {})),
                   *_subjects(trials), *_branches(trials, builder.stages)),
            growth=self._growth(builder.stages) if wanted is None else {},
        )
        self._check_budget(plan)
        return plan

    def _stage_builder(self) -> StageBuilder:
        return StageBuilder(self._seed_enters, self._checkpoints, self._data_sets,
                            workers=self._scale.resources.workers, seed_varies=self._study.seed_varies)

    def _written(self) -> list[_Asked]:
        """Return the study's arms with their first seeds; the baseline of a search also gets a trial at each rung."""
        rungs = [(arm, config, self._study.seed_list[:1], rung) for arm, config in self._designed
                 for rung in range(1, 1 + len(_rungs(self._study)))]
        return [*rungs, *((arm, config, self._study.seed_list, 0) for arm, config in self._designed)]

    def _known(self, wanted: TrialRequest) -> _Asked:
        arm = named_arm(wanted.levels)
        arm, config = next((pair for pair in self._designed if pair[0].key == arm.key), (arm, None))
        return arm, config or self._resolve(arm), wanted.seeds, wanted.rung

    def _recipes(self) -> dict[str, Any]:
        return {recipe.name: recipe.plain() for recipe in self._resolver.recipes()}

    def _resolve(self, arm: Arm) -> TrialConfig:
        levels = {path: (value, arm.locations.get(path, ())) for path, value in arm.levels.items()}
        config = self._resolver.resolve(levels, 0)
        if not config.stages and config.start is None:
            location = next(iter(arm.locations.values()), ())
            raise self._study.error(location, f"arm {arm.name!r} trains nothing and starts from noise")
        return config

    def _trial(self, builder: StageBuilder, arm: Arm, config: TrialConfig, rung: int) -> Trial:
        if rung:
            config = _shortened(config, _rungs(self._study)[rung - 1])
        plain = {each.name: _plain_part(getattr(config, each.name)) for each in fields(config)}
        key = f"{arm.key}-s{config.seed}" + (f"-r{rung}" if rung else "")
        return Trial(key, arm.key, config.seed, builder.chain(config, arm.name), plain, rung)

    def _check_budget(self, plan: Plan) -> None:
        if self._study.budget is None:  # most studies have none, and to price ten thousand stages takes a while
            return
        works = [
            (stage.kind, rate_key(stage.kind, stage.spec), stage.flops)
            for stage in plan.stages.values()
            if stage.kind != "import"
        ]
        works += [(each.kind, key, each.flops) for key, each in plan.growth.items()]
        hours = [(kind, flops / self._rates.of(key)[0] / 3600) for kind, key, flops in works]
        size = sum(published_bytes(stage.spec) for stage in plan.stages.values()) + sum(
            each.bytes for each in plan.growth.values()
        )
        expected = {
            "hours": sum(each for _, each in hours),
            "flops": plan.flops + plan.growth_flops,
            "checkpoint_gb": size / 1e9,
            "gpu_hours": sum(each * gpus_of(kind, self._scale.resources) for kind, each in hours),
        }
        for name, value in expected.items():
            limit = getattr(self._study.budget, name, None)
            if limit is not None and value > limit:
                raise self._study.error(("budget", name),
                                        f"{value:.3g} {name.replace('_', ' ')} estimated; allowed: {limit:g}")

    def _growth(self, known: Mapping[str, Stage]) -> dict[str, Growth]:
        """Return what the arms that a search will propose take, were they as dear as those at the ends of its ranges."""
        search, seeds = self._study.search, self._study.seed_list
        if search is None or not self._probed:
            return {}
        builder = self._stage_builder()
        chains = [
            [each for seed in seeds for each in builder.chain(replace(config, seed=seed), "probe")]
            for config in self._probed
        ]
        num_new = sum(any(stage_id not in known for stage_id in chain) for chain in chains)  # an end that is the baseline says nothing
        rungs, keep = _rungs(self._study), search.prune.keep if search.prune else 1.0
        short = sum(fraction * keep ** i for i, fraction in enumerate(rungs)) / len(seeds)
        per_probe = search.trials * (short + keep ** len(rungs)) / max(1, num_new)
        found: dict[str, Growth] = {}
        for stage in builder.stages.values():
            if stage.stage_id not in known and stage.kind != "import":
                key = rate_key(stage.kind, stage.spec)
                before = found.get(key, Growth(kind=stage.kind, workers=stage.workers))
                found[key] = replace(
                    before,
                    number=before.number + per_probe,
                    flops=before.flops + per_probe * stage.flops,
                    largest_flops=max(before.largest_flops, stage.flops),
                    bytes=before.bytes + per_probe * published_bytes(stage.spec),
                )
        return found


def seed_entry(study: Study, configs: Sequence[TrialConfig]) -> str | None:
    """Return the first training stage that uses the trial's seed; None if no arm trains.

    Raises:
        StudyError: `seed_from` names a stage that no arm has, or there are several seeds but no training.
    """
    kinds = [kind for kind in TRAINING if any(kind in config.stages for config in configs)]
    if study.seed_from and study.seed_from not in kinds:
        allowed = ", ".join(kinds) or "nothing"
        raise study.error(("seed_from",), f"{study.seed_from} is trained by no arm; trained: {allowed}")
    if not kinds:
        if len(study.seed_list) > 1:
            raise study.error(("seeds",), "no arm trains anything, so all seeds give the same scores; allowed: 1")
        return None
    if study.seed_from:
        return study.seed_from
    if len({(config.model, config.start) for config in configs}) > 1:
        return kinds[0]
    differing = (kind for kind in kinds if len({config.stages.get(kind) for config in configs}) > 1)
    return next(differing, kinds[-1])


def _check_initial_weights(study: Study, configs: Sequence[TrialConfig], seed_enters: str | None) -> None:
    """Refuse seeds of initial weights where no arm draws any in the stage that the seed enters.

    Raises:
        StudyError: every arm begins that stage with a checkpoint, so all seeds would give the same scores.
    """
    draws = any(config.start is None and next(iter(config.stages), None) == seed_enters for config in configs)
    if study.seed_varies == "init" and len(study.seed_list) > 1 and not draws:
        raise study.error(("seeds", "vary"), f"init changes nothing: {seed_enters} begins with a checkpoint in every arm; "
                                             "allowed here: data, both", "`start: noise` begins from random weights")


def _check_branches(study: Study, configs: Sequence[TrialConfig]) -> None:
    """Refuse benchmarks at branching points where no arm's training has any."""
    asked = study.evaluate.at_branches
    if asked and not any(len(parts_of(train)) > 1 for config in configs for train in config.stages.values()):
        problem = f"{', '.join(asked)}; allowed: none, as no arm's training has a branching point"
        raise study.error(("evaluate", "at_branches"), problem,
                          "`set: {sft.schedule: wsd, sft.branch_every: STEPS}` makes one every STEPS steps")


def _branches(trials: Sequence[Trial], stages: Mapping[str, Stage]) -> tuple[str, ...]:
    """Return a note on the evaluations at branching points."""
    found: dict[str, Stage] = {}
    for trial in trials if any(trial.config["evaluate"].get("at_branches") for trial in trials) else ():
        chain = [stages[each] for each in trial.stage_ids]
        end = first_final([each.kind for each in chain])
        found |= {each.stage_id: each for each in chain[:end] if each.kind == EVALUATE}
    names = dict.fromkeys(each.spec["benchmark"] for each in found.values())
    points = len({each.parent_id for each in found.values()})
    return (f"asked at {points} branching points too: {', '.join(names)} ({len(found)} evaluations); "
            "these scores enter no average and no verdict",) if found else ()


def _origins(verdicts: Verdicts) -> tuple[str, ...]:
    """Return notes on the verdicts from which the study takes values."""
    return tuple(f"takes what {name} chose, which is {each['kind']}: {each['sentence']}"
                 for name, each in verdicts.items())


def _subjects(trials: Sequence[Trial]) -> tuple[str, ...]:
    """Return a note for each model of another family that is evaluated as it is."""
    names = dict.fromkeys(trial.config["evaluate"].get("model", "") for trial in trials)
    return tuple(f"{name} answers by its own processor: its FLOPs, time and image tokens are not estimated" for name in names if name)


def _rungs(study: Study) -> tuple[float, ...]:
    return study.search.prune.rungs if study.search and study.search.prune else ()


def _shortened(config: TrialConfig, fraction: float) -> TrialConfig:
    """Return the configuration with a fraction of the last training stage's steps; its schedule is as short.

    Of a stage with branching points the warm-up stays as it is, so that what follows shares the beginning.
    """
    if not config.stages:
        return config
    config = replace(config, evaluate=replace(config.evaluate, at_branches=()))  # asked when the whole training is
    kind, train = list(config.stages.items())[-1]
    steps = max(1, round(train.steps * fraction))
    warmup = train.warmup_steps if train.branch_every else round(train.warmup_steps * fraction)
    # With branching points a rung is the beginning of the complete training, and its own decay.
    steps, decay = max(steps, warmup), round(train.decay_steps * fraction)
    is_early = train.late_from > min(steps - decay, steps - 1)  # it ends before the late mixture holds
    early: dict[str, Any] = {"late_mixture": None, "late_from": 0} if is_early else {}
    short = replace(train, steps=steps, warmup_steps=warmup, decay_steps=decay, **early)
    return replace(config, **{kind: short})  # type: ignore[arg-type]


def _plain_part(value: Any) -> Any:
    return plain_of(value) if is_dataclass(value) else value  # type: ignore[arg-type]


def _spec_hash(spec: Mapping[str, Any]) -> str:
    """Hash the parts of a spec that can change the study: neither its prose nor a scale's values for other recipes."""
    scale, recipes = spec["scale"], spec["recipes"]
    own = {name: values for name, values in scale.get("recipes", {}).items() if name in recipes}
    kept = [_meaning(spec["study"]), *map(_meaning, recipes.values()), _meaning(scale) | {"recipes": own}]
    kept += [spec[name] for name in ("data", "selections") if name in spec]
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def search_base(spec: Mapping[str, Any]) -> str:
    """Hash what the arms of a search change, and its ranges; searches with equal hashes share their history.

    Sampler, number of trials, rungs, seeds and benchmarks are not included, because an arm does not depend on them.
    """
    study = spec["study"]
    base = {name: study.get(name) for name in ("recipe", "set", "seed_from")}
    return _spec_hash({**spec, "study": {"base": arm_key(base | {"parameters": study["search"]["parameters"]})}})


def _meaning(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in _PROSE}
