"""Explain why a stage is new: which values differ from those of the most similar stage, and where they were written.

- Two stages are compared by all that their identities are made of, their checkpoints' own stages included: an
  evaluation is new because a learning rate changed two stages before it.
- The nearest stage is the one with the fewest differing values; another seed counts less than any other difference.
- Values that one place determines are one difference: `model: larger` changes eight shapes.
- What only follows from another difference is left out: other categories of data always have another fingerprint.
- Pure; it does not import torch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model.config.fields import FieldError, build, to_plain
from model.config.stages import TRAINING, ContinualMixture, DataConfig, ModelConfig, PretrainMixture, SftMixture
from model.data.fingerprint import data_fingerprint
from model.data.mixture import shares
from model.evaluation.benchmarks.registry import BENCHMARKS
from orchestrator.plan.identity import CONFIGS
from orchestrator.plan.layers import nested
from orchestrator.plan.origins import Origin

NOTHING = "nothing"
"""The value of a field that a stage does not have."""
SHOWN = 4
"""The number of differences that a sentence names."""
_CODE = {"version": "orchestrator/plan/identity.py", "data_fingerprint": "model/workbench/__init__.py"}
_MIXTURES = {"pretrain": PretrainMixture, "continual": ContinualMixture, "sft": SftMixture}
Find = Callable[[str], Sequence[Origin]]
"""Maps a path to the places that determine its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownStage:
    """A stage, reduced to what a comparison needs."""

    stage_id: str
    kind: str
    label: str
    spec: Mapping[str, Any]
    parent_id: str | None
    data: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Category -> fingerprint of the catalogue's files, as the stage's study holds them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A place in a file whose value differs, with the fields of the configuration that it determines."""

    paths: tuple[str, ...]
    origin: Origin
    mine: Any
    other: Any

    def __str__(self) -> str:
        """Return the difference as words: the field, its file, both values."""
        return f"{self.origin} is {_shown(self.mine)}, and {_shown(self.other)}"


class Comparison:
    """Compares stages; the values of each stage and of all stages before it are collected once."""

    def __init__(self, stages: Iterable[KnownStage]) -> None:
        """Take all stages that are compared, and those that their chains begin with."""
        self.stages = {each.stage_id: each for each in stages}
        self._values: dict[str, dict[str, Any]] = {}
        self._texts: dict[str, frozenset[str]] = {}

    def values(self, stage_id: str) -> dict[str, Any]:
        """Return path -> value of a stage and all stages before it."""
        if stage_id not in self._values:
            stage = self.stages[stage_id]
            before = self.values(stage.parent_id) if stage.parent_id in self.stages else {}
            self._values[stage_id] = {**before, **_own_values(stage)}
        return self._values[stage_id]

    def nearest(self, stage_id: str, among: Iterable[str]) -> str | None:
        """Return the stage of the same kind with the fewest differing values, the first if there are several, or None."""
        kind, seed = self.stages[stage_id].kind, self.values(stage_id).get("seed")
        others = [each for each in among if self.stages[each].kind == kind and each != stage_id]
        # Sets are compared a hundred times faster than mappings, and a plan of 1,000 arms compares a million pairs.
        return min(others, default=None, key=lambda each: len(self._text(stage_id) ^ self._text(each)) - (
            seed != self.values(each).get("seed")))

    def _text(self, stage_id: str) -> frozenset[str]:
        if stage_id not in self._texts:
            self._texts[stage_id] = frozenset(f"{path} {value!r}" for path, value in self.values(stage_id).items())
        return self._texts[stage_id]

    def differing(self, stage_id: str, other_id: str) -> list[str]:
        """Return the paths whose values differ, without those that follow from others."""
        mine, other = self.values(stage_id), self.values(other_id)
        paths = [path for path in {**mine, **other} if mine.get(path, NOTHING) != other.get(path, NOTHING)]
        return _causes(paths, mine, other)


def explain(found: Comparison, stage_id: str, other_id: str, mine: Find, other: Find, *,
            catalogue: str = "the catalogue") -> list[Difference]:
    """Return what differs between a stage and another one, each difference with its place.

    Args:
        found: the stages that can be compared; both are among them.
        stage_id: the stage that is new.
        other_id: the stage that it is compared with.
        mine: the places of the new stage's values.
        other: the places of the other stage's values.
        catalogue: the file of the operator's catalogue.
    """
    values, others = found.values(stage_id), found.values(other_id)
    grouped: dict[tuple[str, str], list[str]] = {}
    places: dict[tuple[str, str], tuple[Origin, Any, Any]] = {}
    for path in found.differing(stage_id, other_id):
        here, there = values.get(path, NOTHING), others.get(path, NOTHING)
        place = _outside(path, values, here, there, catalogue) or _place(path, here, there, mine(path), other(path))
        key = (place[0].file, place[0].field)
        grouped.setdefault(key, []).append(path)
        places.setdefault(key, place)
    return [Difference(paths=tuple(grouped[key]), origin=origin, mine=here, other=there)
            for key, (origin, here, there) in places.items()]


def sentence(label: str, differences: Sequence[Difference], nearest: str) -> str:
    """Return one sentence that says why the stage `label` is new, compared with the stage `nearest`."""
    if not differences:
        return f"{label} is the same as {nearest}."
    named = "; ".join(map(str, differences[:SHOWN]))
    left = len(differences) - SHOWN
    more = f", as {left} more field{'s' if left > 1 else ''} differ{'' if left > 1 else 's'}" if left > 0 else ""
    return f"{label} is new: {named} in the nearest stage there is, {nearest}{more}."


def _own_values(stage: KnownStage) -> dict[str, Any]:
    spec, kind = stage.spec, stage.kind
    if kind == "import":
        return {"start": spec["path"], "start.content": stage.stage_id}
    values = {f"{kind}.{name}": spec.get(name, NOTHING) for name in ("version", "data_fingerprint")}
    values |= {"seed": spec["seed"]} if spec.get("seed") is not None and kind in TRAINING else {}
    values |= {"benchmark": spec["benchmark"]} if "benchmark" in spec else {}
    for name, cls, prefix in (("config", CONFIGS[kind], kind), ("model", ModelConfig, "model"), ("data", DataConfig, "data")):
        values |= _flat(_typed(cls, spec.get(name) or {}), prefix)
    values.pop("evaluate.benchmarks", None)
    contents = {name: stage.data[name] for name in _categories(kind, values) or () if name in stage.data}
    if contents:
        del values[f"{kind}.data_fingerprint"]
    return values | {f"datasets.{name}.files": each for name, each in contents.items()}


def _typed(cls: type[Any], plain: Mapping[str, Any]) -> Any:
    """Return the configuration with its defaults; as it is if this release does not know one of its fields any more."""
    try:
        return build(cls, plain)
    except FieldError:
        return plain


def _flat(value: Any, path: str) -> dict[str, Any]:
    """Return path -> value; fields that are not part of an identity are left out, but for the catalogue's data sets."""
    if isinstance(value, Mapping):
        return {key: each for name, item in value.items() for key, each in _flat(item, f"{path}.{name}").items()}
    if not dataclasses.is_dataclass(value):
        return {path: to_plain(value)}
    flat: dict[str, Any] = {}
    for field in dataclasses.fields(value):
        item = getattr(value, field.name)
        if field.name == "catalogue":
            flat |= _sources(item)
        elif field.metadata.get("identity", True):
            flat |= _flat(item, f"{path}.{field.name}")
    return flat


def _sources(catalogue: Any) -> dict[str, Any]:
    """Return what a catalogue says of each data set; where its files lie changes no result."""
    flat: dict[str, Any] = {}
    for source in catalogue.sources if catalogue else ():
        plain = {name: each for name, each in to_plain(source).items() if name not in ("category", "name", "files", "images", "broken")}
        flat |= {f"datasets.{source.category}.{source.name}.{name}": each for name, each in plain.items()}
    return flat


def _causes(paths: list[str], mine: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Leave out what follows from other differences: fingerprints of other data, content of another checkpoint."""
    kept = []
    for path in paths:
        kind, _, name = path.rpartition(".")
        follows = (name == "data_fingerprint" and _follows(kind, paths, mine, other)) or (path == "start.content" and "start" in paths)
        if not follows:
            kept.append(path)
    for kind in TRAINING:  # a whole stage that only one of the two has is one difference
        own = [path for path in kept if path.startswith(f"{kind}.")]
        if f"{kind}.steps" in own and NOTHING in (mine.get(f"{kind}.steps", NOTHING), other.get(f"{kind}.steps", NOTHING)):
            kept = [path for path in kept if path not in own or path == f"{kind}.steps"]
    return kept


def _follows(kind: str, paths: Sequence[str], mine: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Say whether a fingerprint differs only because other data is asked for."""
    if any(path in ("benchmark", "data.source") for path in paths):
        return True
    if mine.get("data.source") == "workbench":
        return _is_of_today(kind, mine) == _is_of_today(kind, other)
    return any(path.startswith((f"{kind}.mixture.", f"{kind}.late_mixture.", "datasets.")) for path in paths)


def _is_of_today(kind: str, values: Mapping[str, Any]) -> bool:
    """Say whether today's generators make the data that a stage was trained or evaluated on."""
    names = _categories(kind, values)
    if f"{kind}.data_fingerprint" not in values or names is None:
        return True
    data = DataConfig(source=values["data.source"], seed=values["data.seed"])
    return bool(data_fingerprint(data, names) == values[f"{kind}.data_fingerprint"])


def _categories(kind: str, values: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the categories of data that a stage reads; None if this release does not know them any more."""
    if kind not in TRAINING:
        benchmark = BENCHMARKS.get(values.get("benchmark", ""))
        return benchmark.data_names if benchmark else None
    is_late = values.get(f"{kind}.late_from")  # such a stage draws from its late mixture alone
    prefix = f"{kind}.late_mixture." if is_late else f"{kind}.mixture."
    mixture = nested(kind, ((f"mixture.{path.removeprefix(prefix)}", value) for path, value in values.items() if path.startswith(prefix)))
    try:
        return tuple(shares(build(_MIXTURES[kind], mixture)))
    except FieldError:
        return None


def _outside(path: str, values: Mapping[str, Any], mine: Any, other: Any, catalogue: str) -> tuple[Origin, Any, Any] | None:
    """Return the place of what no study, recipe or scale holds: code, a checkpoint's weights, the catalogue."""
    kind, _, name = path.rpartition(".")
    if path.startswith("datasets."):
        return Origin(catalogue, 0, path, mine), mine, other
    if path == "start.content":
        return Origin(str(values["start"]), 0, "the content", mine), mine, other
    if name == "data_fingerprint" and values.get("data.source") != "workbench":
        return Origin(catalogue, 0, f"the content of the files for {values.get('benchmark', kind)}", mine), mine, other
    return (Origin(_CODE[name], 0, f"VERSIONS of {kind}", mine), mine, other) if name in _CODE else None


def _place(path: str, mine: Any, other: Any, here: Sequence[Origin], there: Sequence[Origin]) -> tuple[Origin, Any, Any]:
    """Return the outermost place at which two stages differ, and the values there."""
    left, right = list(here), list(there)
    while left and right:
        if left[0].names != right[0].names:  # a value set in the study stands beside one that a named document holds
            left, right = left[bool(left[0].names):], right[bool(right[0].names):]
            continue
        origin, another = left.pop(0), right.pop(0)
        if origin.value != another.value:
            return (another, _unset(mine), another.value) if another.rank > origin.rank else (origin, origin.value, another.value)
    if right:
        return next(each for each in right if not each.names or each is right[-1]), _unset(mine), other
    rest = [each for each in left if not each.names] or list(here[-1:]) or [Origin("model/config", 0, path, mine)]
    return rest[0], mine, other


def _unset(value: Any) -> str:
    return f"not set, so {_shown(value)}"


def _shown(value: Any) -> str:
    if isinstance(value, str) and len(value) == 64:
        return value[:12]
    text = f"{value:g}" if isinstance(value, float) else "empty" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
