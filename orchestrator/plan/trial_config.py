"""Resolve recipe, scale, study and arm into the frozen configuration of a trial, which determines everything about it.

- A later layer overwrites an earlier one: recipe < scale < `set` of the study < arm.
- The scale defines the symbolic levels (`tile: high`, `tokens: few`, `model: larger`, `start: pretrained`).
- A stage with `steps: 0` is left out. The evaluation uses the image settings of the last training stage, overwritten by
  `evaluate.images`.
- An invalid value is reported at the line where it was written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from model.config.architecture import read_shapes
from model.config.benchmark import Benchmark
from model.config.fields import FieldError, build, did_you_mean, to_plain
from model.config.packable import require_packable
from model.config.routing import require_plain_routing
from model.config.stages import (
    PRESETS,
    TRAINING,
    ContinualConfig,
    DataConfig,
    EvaluateConfig,
    ModelConfig,
    PretrainConfig,
    SftConfig,
    TrainConfig,
)
from model.evaluation.benchmarks.registry import BENCHMARKS, SUITES
from model.training.lr_rule import BY_RULE, lr_of
from orchestrator.artifacts.store import start_folder
from orchestrator.errors import for_each
from orchestrator.plan.layers import Entry, Layer, Paths, Selections, located, nested, over
from orchestrator.study.documents import START, Recipe, Scale, ScaleModel, load_scale, recipe_named
from orchestrator.study.strict_yaml import Location, dump
from orchestrator.study.study import Study

OF_CHECKPOINT = "checkpoint"
"""The preset of a scale that takes the shapes from the start checkpoint."""
ROOTS = (*TRAINING, "evaluate", "model", "start", "data")
"""The first parts of all paths."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialConfig:
    """The configuration that determines everything about a trial."""

    recipe: str
    scale: str
    start: str | None
    """The start checkpoint, `packaged:NAME` or `operator:NAME`; None for random weights."""
    model: ModelConfig
    pretrain: PretrainConfig | None = None
    continual: ContinualConfig | None = None
    sft: SftConfig | None = None
    evaluate: EvaluateConfig
    data: DataConfig
    seed: int

    @property
    def stages(self) -> dict[str, TrainConfig]:
        """The training stages of the trial, in order."""
        configs = {kind: getattr(self, kind) for kind in TRAINING}
        return {kind: config for kind, config in configs.items() if config is not None}

    def to_yaml(self) -> str:
        """Return the configuration as YAML, without the stages that the trial does not have."""
        return dump({name: value for name, value in to_plain(self).items() if value is not None or name == "start"})


def resolve(study: Study, scale: str, changes: Mapping[str, Any], seed: int,
            selections: Selections | None = None) -> TrialConfig:
    """Return the configuration of a trial.

    Args:
        study: the study; errors name its file.
        scale: the name of the scale.
        changes: the levels of the arm, dotted path -> value.
        seed: the trial's seed.
        selections: the levels that earlier studies chose, for `from_selection`.

    Raises:
        StudyError: a path or a value cannot be used; the message names file and line.
    """
    resolver = Resolver(study, load_scale(scale), recipe_named(study.recipe, study.document, ("recipe",)), selections)
    return resolver.resolve({path: (value, ()) for path, value in changes.items()}, seed)


class Resolver:
    """Resolves the arms of one study; parts that several arms share are built once."""

    def __init__(self, study: Study, scale: Scale, recipe: Recipe, selections: Selections | None = None,
                 checkpoints: Path | None = None, own: Callable[[], tuple[Benchmark, ...]] = tuple) -> None:
        """Flatten and merge all layers below the arm.

        Args:
            study: the study.
            scale: the scale.
            recipe: the recipe of the study.
            selections: the levels that earlier studies chose, for `from_selection`.
            checkpoints: the operator's folder of checkpoints, for models that take their shapes from one.
            own: returns the benchmarks that the operator's catalogue declares; called only if the study names one.
        """
        self._own = own
        self._checkpoints = checkpoints
        self._study, self._scale, self._recipe, self._selections = study, scale, recipe, selections
        self._others: dict[str, Resolver] = {}
        self._kinds = tuple(kind for kind in TRAINING if getattr(recipe, kind) is not None)
        self._paths = Paths(recipe.name, self._kinds, ROOTS, selections or {})
        self._base = over(over(self._recipe_layer(), self._scale_layer()), self._study_layer())
        self._built: dict[Any, Any] = {}
        self.benchmarks = _benchmarks(study, scale, own)
        self.own = tuple(each for each in own() if each.name in self.benchmarks) if set(self.benchmarks) - set(BENCHMARKS) else ()

    def resolve(self, changes: Mapping[str, tuple[Any, Location]], seed: int) -> TrialConfig:
        """Return the configuration of an arm with a seed.

        Args:
            changes: dotted path -> value, and its location in the study's file.
            seed: the trial's seed.
        """
        if "recipe" in changes:
            others = {path: change for path, change in changes.items() if path != "recipe"}
            return self._of_recipe(changes).resolve(others, seed)
        groups: dict[str, Layer] = {root: {} for root in ROOTS}
        for path, entry in self.layer(changes).items():
            groups[path.partition(".")[0]][path] = entry
        model = self._part("model", groups["model"], self._model)
        for kind in self._kinds:
            groups[kind] = _rated(kind, groups[kind], model)
        trained = for_each(lambda kind: self._part(kind, groups[kind], self._stage), self._kinds)
        stages = {kind: config for kind, config in zip(self._kinds, trained, strict=True) if config is not None}
        for kind, config in stages.items():
            self._require_trainable(groups["model"] | groups[kind], kind, config, model)
        images = _images_of(groups, last=(list(stages) or self._kinds)[-1])
        evaluate = self._part("evaluate", over(images, groups["evaluate"]), self._evaluate)
        return TrialConfig(
            recipe=self._recipe.name, scale=self._scale.name, start=evaluate.model or self._start(groups), seed=seed,
            model=model, **({} if evaluate.model else stages), evaluate=evaluate,
            data=self._part("data", groups["data"], self._data),
        )

    def layer(self, changes: Mapping[str, tuple[Any, Location]]) -> Layer:
        """Return the values of an arm as they are written, by dotted path, each with the file and location.

        Args:
            changes: dotted path -> value, and its location in the study's file.

        Raises:
            StudyError: a path or a value cannot be used.
        """
        if "recipe" in changes:
            return self._of_recipe(changes).layer({path: each for path, each in changes.items() if path != "recipe"})
        arm: Layer = {}
        for_each(lambda change: self._paths.add(arm, self._study, change[0], *change[1]), changes.items())
        return over(self._base, arm)

    def recipes(self) -> list[Recipe]:
        """Return the study's recipe, and those of the arms resolved so far that have their own."""
        return [self._recipe, *(other._recipe for other in self._others.values())]

    def _of_recipe(self, changes: Mapping[str, tuple[Any, Location]]) -> Resolver:
        """Return the resolver of an arm that sets `recipe`."""
        name, location = changes["recipe"]
        if name not in self._others:
            recipe = recipe_named(name, self._study.document, location)
            self._others[name] = Resolver(self._study, self._scale, recipe, self._selections, self._checkpoints, self._own)
        return self._others[name]

    # ---- layers ----

    def _recipe_layer(self) -> Layer:
        recipe = self._recipe
        layer = {"start": Entry(recipe.start, recipe, ("start",)), "model": Entry("base", recipe, ())}
        for name in (*self._kinds, "evaluate"):
            self._paths.add(layer, recipe, name, getattr(recipe, name), (name,))
        return layer

    def _scale_layer(self) -> Layer:
        scale, layer = self._scale, Layer()
        of_recipe = cast(dict[str, Any], scale.recipes.get(self._recipe.name, {}))
        for kind in self._kinds:
            self._paths.add(layer, scale, kind, scale.train, ("train",))
        for name in (*self._kinds, "evaluate"):
            self._paths.add(layer, scale, name, getattr(scale, name), (name,))
            self._paths.add(layer, scale, name, of_recipe.get(name, {}), ("recipes", self._recipe.name, name))
        self._paths.add(layer, scale, "data", scale.data, ("data",))
        return layer

    def _study_layer(self) -> Layer:
        layer = Layer()
        for_each(
            lambda change: self._paths.add(layer, self._study, change[0], change[1], ("set", change[0])),
            self._study.set.items(),
        )
        return layer

    # ---- parts ----

    def _part(self, name: str, entries: Layer, make: Callable[[str, Layer], Any]) -> Any:
        """Build a part of the configuration, once for each distinct set of values."""
        key = (name, *((path, repr(entry.value)) for path, entry in sorted(entries.items(), key=lambda each: each[0])))
        if key not in self._built:
            try:
                self._built[key] = make(name, entries)
            except FieldError as error:
                raise located(error, entries, self._study) from error
        return self._built[key]

    def _stage(self, kind: str, entries: Layer) -> TrainConfig | None:
        plain = self._plain(kind, entries)
        if plain.get("steps") == 0 and type(plain["steps"]) is int:
            return None
        return build(TRAINING[kind], plain, kind)

    def _require_trainable(self, entries: Layer, kind: str, config: TrainConfig, model: ModelConfig) -> None:
        """Refuse what an imported decoder cannot do in a training stage."""
        try:
            require_plain_routing(model.decoder)
            if config.pack:
                require_packable(model.decoder, max_tokens=config.max_tokens, path=f"{kind}.pack")
        except FieldError as error:
            raise located(error, entries, self._study) from error

    def _evaluate(self, name: str, entries: Layer) -> EvaluateConfig:
        of_study = {"benchmarks": list(self.benchmarks), "own": [to_plain(each) for each in self.own]}
        asked = self._study.evaluate.at_branches
        of_study |= {"at_branches": list(dict.fromkeys(asked))} if asked else {}
        return build(EvaluateConfig, self._plain(name, entries) | of_study, name)

    def _data(self, name: str, entries: Layer) -> DataConfig:
        return build(DataConfig, self._plain(name, entries), name)

    def _model(self, name: str, entries: Layer) -> ModelConfig:
        location = ("models", entries["model"].value, "preset")
        shapes = self._shapes(self._model_row(entries["model"]), location)
        changed = self._plain(name, {path: entry for path, entry in entries.items() if path != "model"})
        return build(ModelConfig, _merged(to_plain(shapes), changed), name)

    def _shapes(self, row: ScaleModel, location: Location) -> ModelConfig:
        """Return the shapes of the preset, or of the start checkpoint."""
        if row.preset != OF_CHECKPOINT:
            return self._preset(row.preset, location)
        folder = None if row.start == "noise" else start_folder(row.start, self._checkpoints)
        if folder is None and row.until_then:
            return self._preset(row.until_then, (*location[:-1], "until_then"))
        if folder is None:
            raise self._scale.error(location, f"the shapes come from checkpoint {row.start}, which is missing",
                                    "`python -m model.weights` makes one; put it into the operator's folder of "
                                    "checkpoints")
        try:
            return read_shapes(folder)
        except ValueError as error:
            raise self._scale.error(location, str(error)) from error

    def _preset(self, name: str, location: Location) -> ModelConfig:
        if name not in PRESETS:
            raise self._scale.error(location, f"{name!r} is no preset", did_you_mean(name, [*PRESETS, OF_CHECKPOINT]))
        return PRESETS[name]

    def _model_row(self, entry: Entry) -> ScaleModel:
        models = cast(dict[str, ScaleModel], self._scale.models)
        if not isinstance(entry.value, str) or entry.value not in models:
            allowed = f"allowed at scale {self._scale.name}: {', '.join(models)}"
            raise entry.file.error(entry.location, f"{entry.value!r}; {allowed}")
        return models[entry.value]

    def _start(self, groups: dict[str, Layer]) -> str | None:
        entry = groups["start"]["start"]
        if isinstance(entry.value, str) and re.fullmatch(START, entry.value):
            return None if entry.value == "noise" else entry.value
        if entry.value != "pretrained":
            raise entry.file.error(
                entry.location, f"{entry.value!r}; allowed: pretrained, noise, packaged:NAME, operator:NAME"
            )
        start = self._model_row(groups["model"]["model"]).start
        return None if start == "noise" else start

    def _plain(self, root: str, entries: Layer) -> dict[str, Any]:
        return nested(root, ((path, self._level(path, entry.value)) for path, entry in entries.items()))

    def _level(self, path: str, value: Any) -> Any:
        """Return the value of a symbolic level at this scale; other values are returned unchanged."""
        levels = cast(dict[str, dict[str, int]], self._scale.levels).get(path.rpartition(".images.")[2])
        if levels is None or not isinstance(value, str):
            return value
        if value not in levels:
            raise FieldError(path, f"{value!r}; allowed at scale {self._scale.name}: {', '.join(levels)}, or a number")
        return levels[value]


def _rated(kind: str, entries: Layer, model: ModelConfig) -> Layer:
    """Return the entries with `lr: mm1` replaced by the learning rate that the rule gives for this model's decoder."""
    entry = entries.get(f"{kind}.lr")
    if entry is None or entry.value != BY_RULE:
        return entries
    return over(entries, {f"{kind}.lr": Entry(lr_of(model.decoder), entry.file, entry.location)})


def _images_of(groups: dict[str, Layer], *, last: str) -> Layer:
    """Return the image settings of the last training stage as entries of `evaluate`."""
    return {"evaluate" + path.removeprefix(last): entry for path, entry in groups[last].items()
            if path.startswith(f"{last}.images.")}


def _merged(base: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in changes.items():
        below = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = _merged(merged[name], value) if below else value
    return merged


def _benchmarks(study: Study, scale: Scale, own: Callable[[], tuple[Benchmark, ...]]) -> tuple[str, ...]:
    found = _named(study, own) if study.evaluate.benchmarks else _of_suite(study, scale)
    for i, name in enumerate(study.evaluate.at_branches):
        if name not in found:
            problem = f"{name!r} is not among the study's benchmarks"
            raise study.error(("evaluate", "at_branches", i), problem, did_you_mean(name, found))
    return found


def _named(study: Study, own: Callable[[], tuple[Benchmark, ...]]) -> tuple[str, ...]:
    for i, name in enumerate(study.evaluate.benchmarks):
        known = BENCHMARKS if name in BENCHMARKS else {*BENCHMARKS, *(each.name for each in own())}
        if name not in known:
            raise study.error(("evaluate", "benchmarks", i), f"no benchmark {name!r}", did_you_mean(name, known))
    return study.evaluate.benchmarks


def _of_suite(study: Study, scale: Scale) -> tuple[str, ...]:
    suite, file = (study.evaluate.suite, study) if study.evaluate.suite else (scale.suite, scale)
    if suite not in SUITES:
        location = ("suite",) if file is scale else ("evaluate", "suite")
        raise file.error(location, f"no suite {suite!r}", did_you_mean(suite, SUITES))
    return tuple(SUITES[suite])
