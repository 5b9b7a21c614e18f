"""Build the chain of stages of each trial; a stage that several trials need is built once.

- A start checkpoint is an `import` stage, whose identity is a hash of its content. It needs no execution: it is
  finished as soon as it is in the ledger.
- Training stages before the one where the seed enters use seed 0, so all seeds share them.
- In a chain, the evaluations of an intermediate checkpoint stand before the training that goes on from it; those after
  the last training are the final ones (`states.first_final`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from model import manifest
from model.config.fields import did_you_mean, to_plain
from model.config.stages import TRAINING, DataConfig, EvaluateConfig, TrainConfig
from model.data.mixture import stage_shares
from model.evaluation.benchmarks.registry import specs
from orchestrator.artifacts.store import OPERATOR, PACKAGED, start_folder
from orchestrator.errors import StudyError
from orchestrator.plan.cost import evaluation_flops, num_items, steps_of, training_flops, training_memory
from orchestrator.plan.identity import VERSIONS, canonical, digest_but, identity
from orchestrator.plan.trial_config import TrialConfig
from orchestrator.study.catalogue import DataSets
from orchestrator.study.study import SeedVaries


class Stage(NamedTuple):
    """A stage: one import, training or evaluation. Its id is a hash of everything that determines its result.

    A tuple, since a plan of 1,000 arms makes 34,000, and a frozen dataclass takes three times as long to make.
    """

    stage_id: str
    kind: str
    """import, pretrain, continual, sft or evaluate."""
    spec: dict[str, Any]
    """The specification as plain values. Stages share parts of it: do not change it."""
    parent_id: str | None
    label: str
    flops: float
    """The estimated floating-point operations; 0 for an import."""
    samples: int
    """The number of training samples or of evaluated items."""
    position: int
    """The order of first use in the plan: parents before children, the stages of the first trials first."""
    workers: int = 1
    """The number of workers, each in a slot of its own; it is not part of the identity."""
    memory: float = 0.0
    """The estimated memory of each worker, in bytes; 0 for a stage that trains nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Evaluation:
    """An evaluation without its checkpoint; trials that differ only in the checkpoint share it."""

    benchmark: str
    spec: dict[str, Any]
    digest: Callable[[str], str]
    """Maps the id of the checkpoint's stage, as canonical JSON, to the id of the evaluation."""
    flops: float
    num_items: int


def parts_of(train: TrainConfig) -> list[TrainConfig]:
    """Cut a training stage at its branching points, which lie in the stable part of its schedule.

    All parts but the last depend neither on the length of the stage nor on its decay, and those before a late mixture
    not on that, so arms that differ in these share them. Where parts are cut depends on the stage alone, so an arm
    keeps its stages whatever arms stand beside it.
    """
    if not train.branch_every:
        return [train]
    # The first part holds the warm-up, the last one at least one step.
    every, end = train.branch_every, min(train.steps - train.decay_steps, train.steps - 1)
    points = [0, *(point for point in range(every, end + 1, every) if point >= train.warmup_steps)]
    early: dict[str, Any] = {"late_mixture": None, "late_from": 0}
    trunk = [replace(train, begin=begin, steps=point, decay_steps=0, final_lr=0.0,
                     **(early if begin < train.late_from else {})) for begin, point in pairwise(points)]
    last = replace(train, begin=points[-1])
    # A last part without a decay that ends at a branching point is what a longer arm has as a part of its trunk.
    return [*trunk, replace(last, final_lr=0.0) if last.keeps_state else last]


class StageBuilder:
    """Collects the stages of many trials."""

    def __init__(self, seed_enters: str | None, checkpoints: Path | None, data_sets: DataSets, *,
                 workers: int = 1, seed_varies: SeedVaries = "both") -> None:
        """Start without stages.

        Args:
            seed_enters: the first training stage that uses the trial's seed; None if nothing is trained.
            checkpoints: the operator's folder of published checkpoints.
            data_sets: the operator's data sets.
            workers: the number of workers of each training stage.
            seed_varies: what the seed changes in the stages that it enters.
        """
        self._workers, self._seed_varies = workers, seed_varies
        self.stages: dict[str, Stage] = {}
        self.missing: dict[str, None] = {}
        self._data_sets = data_sets
        self._checkpoints = checkpoints
        self._imports: dict[str, str] = {}
        self._settings: dict[tuple[object, ...], tuple[_Evaluation, ...]] = {}
        self._order = list(TRAINING)
        self._entry = self._order.index(seed_enters) if seed_enters else len(self._order)

    def chain(self, config: TrialConfig, arm_name: str) -> tuple[str, ...]:
        """Add the stages of a trial that are not there yet; return the ids of all of them, in order of execution."""
        ids = [self._import(config.start)] if config.start else []
        parent_id, trial = ids[0] if ids else None, f"{arm_name} seed {config.seed}"
        for kind, train in config.stages.items():
            self._check_weighed(kind, train, config.data)
            *trunk, last = parts_of(train)
            for part in trunk:
                parent_id = self._training(kind, part, config, parent_id, arm_name)
                asked = self._at_branch(config, parent_id, f"{trial} at {kind} step {part.steps}")
                ids += [parent_id, *asked]
            parent_id = self._training(kind, last, config, parent_id, arm_name)
            ids.append(parent_id)
        assert parent_id is not None, "a trial that trains nothing starts from a checkpoint"
        return (*ids, *self._evaluate(self._evaluations(config), parent_id, trial))

    def _at_branch(self, config: TrialConfig, parent_id: str, where: str) -> list[str]:
        """Add the evaluations of an intermediate checkpoint; arms that share it share them."""
        names = config.evaluate.at_branches
        asked = [each for each in self._evaluations(config) if each.benchmark in names] if names else []
        return self._evaluate(asked, parent_id, where)

    def _import(self, start: str) -> str:
        if start in self._imports:
            return self._imports[start]
        stage_id, path = _imported(start, self._checkpoints)
        if path == start and start.startswith(OPERATOR):
            self.missing[start] = None
        if stage_id not in self.stages:  # two names may stand for the same files
            self._add(stage_id, "import", {"path": path}, None, start)
        self._imports[start] = stage_id
        return stage_id

    def _training(self, kind: str, train: TrainConfig, config: TrialConfig, parent_id: str | None,
                  arm_name: str) -> str:
        categories = tuple(stage_shares(train))  # type: ignore[arg-type]
        data, fingerprint = self._data_sets.data_of(config.data, categories)
        is_seeded = self._order.index(kind) >= self._entry
        if is_seeded and self._seed_varies != "both":
            train = replace(train, seed_varies=self._seed_varies)
        parts = {
            "kind": kind, "version": str(VERSIONS[kind]), "model": config.model, "config": train, "data": data,
            "data_fingerprint": fingerprint, "seed": config.seed if is_seeded else 0, "parent_id": parent_id,
        }
        stage_id = identity(parts)
        if stage_id not in self.stages:
            label = f"{kind} {arm_name} seed {config.seed}" if is_seeded else f"{kind} {arm_name}"
            label += f" steps {train.begin}-{train.steps}" if train.branch_every else ""
            self._add(stage_id, kind, _spec(parts), parent_id, label,
                      training_flops(config.model, train), steps_of(train) * train.batch, self._workers,
                      training_memory(config.model, train, workers=self._workers))
        return stage_id

    def _check_weighed(self, kind: str, train: TrainConfig, data: DataConfig) -> None:
        """Refuse weights of data sets that no part of the stage draws from."""
        if train.data_sets:
            asked, _ = self._data_sets.data_of(data, tuple(stage_shares(train)))  # type: ignore[arg-type]
            _check_weighed(kind, train, asked)

    def _evaluate(self, evaluations: Iterable[_Evaluation], parent_id: str, trial: str) -> list[str]:
        fragment, ids = canonical(parent_id), []
        for each in evaluations:
            stage_id = each.digest(fragment)
            ids.append(stage_id)
            if stage_id not in self.stages:
                self._add(stage_id, "evaluate", {**each.spec, "parent_id": parent_id}, parent_id,
                          f"{each.benchmark} {trial}", each.flops, each.num_items)
        return ids

    def _evaluations(self, config: TrialConfig) -> tuple[_Evaluation, ...]:
        """Return the evaluations of a trial, cached: most trials of a study differ only in the checkpoint."""
        setting = (config.model, config.evaluate, config.data)
        if setting not in self._settings:
            self._settings[setting] = tuple(self._evaluation(name, config) for name in _run(config.evaluate))
        return self._settings[setting]

    def _evaluation(self, benchmark: str, config: TrialConfig) -> _Evaluation:
        spec = specs(config.evaluate.own)[benchmark]
        evaluate = _of_benchmark(config.evaluate, benchmark)
        data, fingerprint = self._data_sets.copy_of(config.data, spec)
        parts = {
            "kind": "evaluate", "version": f"{VERSIONS['evaluate']}.{spec.version}",
            "benchmark": benchmark, "model": config.model, "config": evaluate, "data": data,
            "data_fingerprint": fingerprint}
        return _Evaluation(
            benchmark=benchmark, spec=_spec(parts),
            digest=digest_but({name: canonical(value) for name, value in parts.items()}, "parent_id"),
            flops=evaluation_flops(config.model, evaluate, spec),
            num_items=num_items(spec, evaluate.num_items))

    def _add(self, stage_id: str, kind: str, spec: dict[str, Any], parent_id: str | None, label: str,
             flops: float = 0.0, samples: int = 0, workers: int = 1, memory: float = 0.0) -> None:
        self.stages[stage_id] = Stage(stage_id, kind, spec, parent_id, label, flops, samples, len(self.stages), workers, memory)


def _check_weighed(kind: str, train: TrainConfig, data: DataConfig) -> None:
    """Refuse weights of data sets that the stage does not draw from; where none are configured, that is said elsewhere."""
    known = {each.title for each in data.catalogue.sources} if data.catalogue else set()
    unknown = [each.name for each in train.data_sets if each.name not in known]
    if unknown and (data.catalogue or data.source == "workbench"):
        hint = did_you_mean(unknown[0], known) if known else "the workbench has no data sets, only categories"
        raise StudyError(f"{kind}.data_sets", 0, f"the stage draws from no data set {unknown[0]!r}", hint)


def _spec(parts: dict[str, Any]) -> dict[str, Any]:
    return {name: plain_of(value) if name in ("model", "config", "data") else value for name, value in parts.items()}


@lru_cache(maxsize=65536)
def plain_of(config: object) -> Any:
    """Return the plain values of a frozen configuration. They are cached and shared: do not change them."""
    return to_plain(config)


@lru_cache(maxsize=65536)
def _of_benchmark(config: EvaluateConfig, benchmark: str) -> EvaluateConfig:
    """Return the configuration of one benchmark's evaluation, with only the choices that change its score.

    So a study that changes a choice evaluates again only the benchmarks that use it. A benchmark without pictures is
    never blind.
    """
    own = tuple(each for each in config.own if each.name == benchmark)
    spec = specs(own)[benchmark]
    return replace(config, benchmarks=(benchmark,), at_branches=(), scoring=config.scoring.only(spec.choices), own=own,
                   blind=config.blind and spec.category != "text_only")


def _run(config: EvaluateConfig) -> list[str]:
    """Return the benchmarks that can be run.

    Without a judge, the benchmarks that need one have no stage, and the averages that include them are withheld.
    """
    known = specs(config.own)
    return [name for name in config.benchmarks if config.scoring.judge or not known[name].needs_judge]


def _imported(start: str, checkpoints: Path | None) -> tuple[str, str]:
    """Return the identity and the path of a start checkpoint; if it is missing, the path is `operator:NAME`."""
    folder = start_folder(start, checkpoints)
    if folder is None:
        return hashlib.sha256(start.encode()).hexdigest(), start
    return _content(start, folder), start if start.startswith(PACKAGED) else str(folder.absolute())


def _content(start: str, folder: Path) -> str:
    try:
        return manifest.identity(folder)
    except manifest.CorruptDirectory as error:
        raise StudyError(start, 0, f"the checkpoint is not usable: {error}") from error

