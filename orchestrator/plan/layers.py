"""The layers of a trial's configuration: values by dotted path, each with the file and location where it was written.

- Mappings are flattened, so that a layer can change single fields of the layer below it.
- `images.grid: [4, 9]` stands for n_min and n_max; `{from_selection: STUDY}` for the value that the study's verdict
  chose.
- A value that is overwritten moves to the end, so that an error names the latest of several equally near values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model.config.fields import FieldError, did_you_mean
from model.config.stages import TRAINING
from orchestrator.errors import StudyError
from orchestrator.study.documents import Document
from orchestrator.study.strict_yaml import Location

Selections = Mapping[str, Mapping[str, Any]]
"""Study -> dotted path -> value: the levels of the arms that verdicts chose."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A value, with the file and location where it was written."""

    value: Any
    file: Document
    location: Location


Layer = dict[str, Entry]


@dataclass(frozen=True, slots=True)
class Paths:
    """The paths that a study may use."""

    recipe: str
    kinds: tuple[str, ...]
    """The training stages of the recipe."""
    roots: tuple[str, ...]
    """The first parts of all paths, including those of stages that the recipe does not have."""
    selections: Selections

    def add(self, layer: Layer, file: Document, path: str, value: Any, location: Location) -> None:
        """Add a value, or all values of a mapping, to a layer.

        Raises:
            StudyError: the path is not allowed, or the value has the wrong form.
        """
        self._check(file, path, location)
        if isinstance(value, Mapping) and "from_selection" in value:
            value = self._selected(file, path, value, location)
        if isinstance(value, Mapping):
            for name, item in value.items():
                self.add(layer, file, f"{path}.{name}", item, (*location, name))
        elif path.endswith(".images.grid"):
            if not isinstance(value, list | tuple) or len(value) != 2:
                raise file.error(location, f"{value!r}; allowed: [n_min, n_max]")
            for name, item in zip(("n_min", "n_max"), value, strict=True):
                _put(layer, path.removesuffix("grid") + name, Entry(item, file, location))
        else:
            _put(layer, path, Entry(value, file, location))

    def _check(self, file: Document, path: str, location: Location) -> None:
        root = path.partition(".")[0]
        if root not in self.roots:
            raise file.error(location, f"{root!r} begins no path", did_you_mean(root, self.roots))
        if root in TRAINING and root not in self.kinds:
            raise file.error(location, f"recipe {self.recipe} has no {root} stage; it has {', '.join(self.kinds)}")
        if path in ("evaluate.benchmarks", "evaluate.at_branches"):
            raise file.error(location, "benchmarks are no factor", "name a suite or benchmarks under `evaluate:`")
        if path == "evaluate.own" or path.startswith("evaluate.own."):
            raise file.error(location, "a study cannot declare benchmarks; only the operator can",
                             "they stand under `benchmarks:` of the catalogue: ABLATE_CATALOGUE")
        if path == "data.catalogue" or path.startswith("data.catalogue."):
            raise file.error(location, "a study cannot name files; only the operator can",
                             "the catalogue is a file of its own: ABLATE_CATALOGUE")

    def _selected(self, file: Document, path: str, value: Mapping[str, Any], location: Location) -> Any:
        study = value["from_selection"]
        if set(value) != {"from_selection"} or not isinstance(study, str):
            raise file.error(location, "allowed: {from_selection: STUDY}")
        if study not in self.selections:
            raise file.error(location, f"comes from the verdict of {study}, which has none yet", f"run {study} first")
        chosen = self.selections[study]
        if path not in chosen:
            raise file.error(location, f"{study} did not choose a value of {path}", did_you_mean(path, chosen))
        return chosen[path]


def required_studies(study: Document) -> tuple[str, ...]:
    """Return the studies whose verdicts a study takes values from, in the order of the file."""
    return tuple(dict.fromkeys(_references(study.plain())))


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("from_selection"), str):
            yield value["from_selection"]
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            yield from _references(item)


def over(base: Layer, layer: Layer) -> Layer:
    """Return a copy of `base` overwritten by `layer`."""
    merged = base.copy()
    for path, entry in layer.items():
        _put(merged, path, entry)
    return merged


def nested(root: str, values: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return values by dotted path as nested mappings below `root`.

    Raises:
        FieldError: one path is both a value and a mapping.
    """
    plain: dict[str, Any] = {}
    for path, value in values:
        *parents, name = path.split(".")[1:] or [""]
        node = plain
        for depth, parent in enumerate(parents):
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                raise FieldError(".".join([root, *parents[: depth + 1]]), f"{node!r} is not a mapping")
        node[name] = value
    return plain


def located(error: FieldError, entries: Layer, user: Document) -> StudyError:
    """Return the error at the value that comes nearest to its path; the latest of equally near ones.

    Where that is of the library, and the problem names a value that the user wrote, the user's value is what is wrong.
    """
    path = error.path.split(".")
    nearest = max(reversed(entries), key=lambda each: _num_common(each.split("."), path))
    entry = entries[nearest]
    own = next((path for path, each in entries.items() if each.file is user and _names(error.problem, path)), None)
    if entry.file is not user and own is not None:
        origin = entry.file.error(entry.location, "")
        return user.error(entries[own].location, f"{error.path}: {error.problem}",
                          f"set {error.path} as well; its value comes from {origin.path}:{origin.line}")
    says_it = nearest == error.path or any(str(part).rpartition(".")[2] == "grid" for part in entry.location)
    return entry.file.error(entry.location, error.problem if says_it else f"{error.path}: {error.problem}", error.hint)


def _names(problem: str, path: str) -> bool:
    """Say whether a problem speaks of the field at the end of a path."""
    return re.search(rf"\b{re.escape(path.rpartition('.')[2])}\b", problem) is not None


def _put(layer: Layer, path: str, entry: Entry) -> None:
    layer.pop(path, None)
    layer[path] = entry


def _num_common(a: list[str], b: list[str]) -> int:
    num = 0
    for left, right in zip(a, b, strict=False):
        if left != right:
            break
        num += 1
    return num
