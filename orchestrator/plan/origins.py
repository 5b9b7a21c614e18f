"""Find the file, the line and the field in which a value of a trial's configuration was written. Pure.

A value is often written through several files: a study says `model: larger`, its scale names the preset of `larger`,
and the code holds the shapes of that preset. All of these places are returned, the outermost first, so that two trials
can be compared place by place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from model.config.stages import TRAINING
from orchestrator.plan.arms import Arm, arm_key, designed_arms
from orchestrator.plan.layers import Entry, Selections
from orchestrator.plan.trial_config import Resolver
from orchestrator.study.documents import Document, Recipe, Scale
from orchestrator.study.strict_yaml import Location, dotted
from orchestrator.study.study import Study

_SHAPES = "model/config/architecture.py"
_LR_RULE = "model/training/lr_rule.py"


@dataclass(frozen=True, slots=True)
class Origin:
    """One place that determines a value."""

    file: str
    line: int
    """From 1; 0 if it is not known."""
    field: str
    """The dotted path within the file."""
    value: Any
    """The value as it is written there; None in a file of code, which holds what the value before it means."""
    rank: int = 0
    """A place of a higher rank overwrites one of a lower rank: 0 recipe, 1 scale, 2 study."""
    names: str = ""
    """`recipe` or `scale` where the place only names the document that holds the next place."""

    def __str__(self) -> str:
        """Return the place as `FIELD in FILE:LINE`."""
        return f"{self.field} in {self.file}" + (f":{self.line}" if self.line else "")


class Origins:
    """The places of the values of one arm."""

    def __init__(self, study: Study, scale: Scale, recipe: Recipe, levels: Mapping[str, Any], *,
                 selections: Selections | None = None) -> None:
        """Merge the layers of the arm's configuration.

        Args:
            study: the study.
            scale: the scale.
            recipe: the recipe of the arm.
            levels: the levels of the arm, dotted path -> value.
            selections: the levels that earlier studies chose, for `from_selection`.

        Raises:
            StudyError: a path cannot be used.
        """
        self._study, self._scale, self._recipe = study, scale, recipe
        self._own_recipe = levels.get("recipe")
        places = _locations(study, levels)
        changes = {path: (value, places.get(path, ())) for path, value in levels.items() if path != "recipe"}
        self._layer = Resolver(study, scale, recipe, selections).layer(changes)
        self._recipe_place = places.get("recipe", ("recipe",)) if self._own_recipe else ("recipe",)

    def of(self, path: str) -> tuple[Origin, ...]:
        """Return the places that determine a field of the configuration, the outermost first; none for a default.

        Args:
            path: such as `sft.mixture.alpha.science`, `model.decoder.layers`, `start`, `seed` or `benchmark`.
        """
        if path == "seed":
            return (_origin(self._study, ("seeds",), None),)
        if path.endswith(".seed_varies") and path not in self._layer:
            return (_origin(self._study, ("seeds", "vary"), self._study.seed_varies),)
        if path == "benchmark":
            return (self._benchmarks(),)
        entry = self._layer.get(path) or self._inherited(path)
        if path == "start":
            return self._start()
        if path.startswith("model.") and entry is None:
            return self._model()
        kind = path.removesuffix(".steps")
        before = self._stage(kind) if kind in TRAINING else ()
        return before if entry is None else (*before, *self._written(path, entry))

    def _inherited(self, path: str) -> Entry | None:
        """Return the image setting that an evaluation takes from the last training stage."""
        if not path.startswith("evaluate.images."):
            return None
        ends = [each for each in self._layer if each.endswith(path.removeprefix("evaluate"))]
        return self._layer[max(ends, key=_stage_order)] if ends else None

    def _named(self, document: Document) -> tuple[Origin, ...]:
        """Return what names the recipe or the scale that a value stands in."""
        if document is self._scale:
            return (Origin("--scale", 0, "the scale", self._scale.name, 1, "scale"),)
        if document is self._recipe:
            place = _origin(self._study, self._recipe_place, self._own_recipe or self._study.recipe)
            return (replace(place, names="recipe"),)
        return ()

    def _stage(self, kind: str) -> tuple[Origin, ...]:
        """Return what says whether there is a training stage of a kind."""
        is_there = getattr(self._recipe, kind) is not None
        return *self._named(self._recipe), _origin(self._recipe, (kind,), "there" if is_there else "missing")

    def _written(self, path: str, entry: Entry) -> tuple[Origin, ...]:
        named = self._named(entry.file)
        first = _origin(entry.file, entry.location or tuple(path.split(".")), entry.value)
        setting = path.rpartition(".images.")[2]
        levels = cast(dict[str, dict[str, int]], self._scale.levels).get(setting, {})
        if isinstance(entry.value, str) and entry.value in levels:
            level = _origin(self._scale, ("levels", setting, entry.value), levels[entry.value])
            return *named, first, *self._named(self._scale), level
        if path.endswith(".lr") and isinstance(entry.value, str):
            return *named, first, Origin(_LR_RULE, 0, "lr_of", None)
        return *named, first

    def _model(self) -> tuple[Origin, ...]:
        row = cast(dict[str, Any], self._scale.models)[self._layer["model"].value]
        preset = _origin(self._scale, ("models", self._layer["model"].value, "preset"), row.preset)
        return *self._model_name(), *self._named(self._scale), preset, Origin(_SHAPES, 0, f"the shapes of {row.preset!r}", None)

    def _model_name(self) -> tuple[Origin, ...]:
        """Return where `base` or `larger` was chosen; every trial has one of them."""
        entry = self._layer["model"]
        return (_origin(entry.file, entry.location or ("model",), entry.value),)

    def _start(self) -> tuple[Origin, ...]:
        entry = self._layer["start"]
        first = *self._named(entry.file), _origin(entry.file, entry.location, entry.value)
        if entry.value != "pretrained":
            return first
        name = self._layer["model"].value
        row = cast(dict[str, Any], self._scale.models)[name]
        start = _origin(self._scale, ("models", name, "start"), row.start)
        return *first, *self._model_name(), *self._named(self._scale), start

    def _benchmarks(self) -> Origin:
        named = self._study.evaluate
        if named.benchmarks or named.suite:
            return _origin(self._study, ("evaluate", "benchmarks" if named.benchmarks else "suite"), None)
        return _origin(self._scale, ("suite",), None)


def _stage_order(path: str) -> int:
    kind = path.partition(".")[0]
    return list(TRAINING).index(kind) if kind in TRAINING else -1


def _origin(document: Document, location: Location, value: Any) -> Origin:
    parsed = document.document
    known = location
    while known and known not in parsed.lines:
        known = known[:-1]
    rank = 2 if isinstance(document, Study) else int(isinstance(document, Scale))
    return Origin(parsed.path, parsed.lines.get(known, (0, 0))[0], dotted(location), value, rank)


def _locations(study: Study, levels: Mapping[str, Any]) -> Mapping[str, Location]:
    """Return where the levels of an arm stand in the study's file; a proposed level stands where its range does."""
    key = arm_key(levels)
    arm: Arm | None = next((each for each in designed_arms(study) if each.key == key), None)
    if arm is not None and arm.locations:
        return arm.locations
    names = study.search.parameters if study.search else {}
    ranges = {path: next((each for each in names if path == each or path.startswith(f"{each}.")), path) for path in levels}
    return {path: ("search", "parameters", name) for path, name in ranges.items()}
