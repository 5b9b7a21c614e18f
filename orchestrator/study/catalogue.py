"""The operator's catalogue: which files hold which data set. Read strictly; an error names file and line.

- It maps the data sets of the taxonomy to sources. Other data sets are welcome with `own: true`, so that a misspelt name is found.
- Relative paths begin at the catalogue's folder.
- A stage carries the part of the catalogue that it draws from; its identity holds the content of the files, not their places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from model.config.catalogue import CatalogueConfig, CopyConfig, RemoteConfig, SourceConfig
from model.config.fields import FieldError, build, did_you_mean
from model.config.stages import DataConfig
from model.config.taxonomy import CATEGORIES, DATASETS
from model.data.fingerprint import data_fingerprint
from model.data.sources.urls import is_remote
from model.evaluation.benchmarks.benchmark import Benchmark
from model.evaluation.benchmarks.registry import BENCHMARKS
from model.evaluation.local_copies.fingerprint import copy_fingerprint
from orchestrator.errors import StudyError
from orchestrator.settings import Settings
from orchestrator.study.strict_yaml import Location, ParsedYaml, load

LoadCatalogue = Callable[[], CatalogueConfig | None]
"""Reads the catalogue when a study needs it."""
_FIELDS = ("kind", "name", "about", "remote", "datasets", "benchmarks")


def no_catalogue() -> CatalogueConfig | None:
    """Return None: there is no catalogue."""
    return None


def catalogue_of(settings: Settings) -> CatalogueConfig | None:
    """Read the catalogue that the settings name; None if they name none."""
    path = settings.catalogue_file
    return load_catalogue(path, cache=settings.home / "data") if path else None


def load_catalogue(path: Path, *, cache: Path) -> CatalogueConfig:
    """Read a catalogue.

    Args:
        path: its file.
        cache: folder for indices, hashes and converted parquet.

    Raises:
        StudyError: it cannot be read, or a value cannot be used; with file and line.
    """
    document = load(path)
    values = document.values
    for name in values:
        if name not in _FIELDS:
            raise document.error((name,), "unknown field", did_you_mean(name, _FIELDS))
    if values.get("kind") != "catalogue":
        raise document.error(("kind",), f"{values.get('kind')!r}; allowed: catalogue")
    if not isinstance(values.get("name"), str):
        raise document.error(("name",), f"{values.get('name')!r}; allowed: text")
    remote = _built(document, RemoteConfig, values.get("remote", {}), ("remote",))
    sources = tuple(_sources(document, path.absolute().parent))
    copies = tuple(_copies(document, path.absolute().parent))
    return CatalogueConfig(name=values["name"], sources=sources, remote=remote, cache=str(cache.absolute()), benchmarks=copies)


def _copies(document: ParsedYaml, folder: Path) -> Iterable[CopyConfig]:
    public = [name for name, each in BENCHMARKS.items() if each.source == "catalogue"]
    for name, place in _mapping(document, document.values.get("benchmarks", {}), ("benchmarks",)).items():
        if name not in public:
            raise document.error(("benchmarks", name), "no such benchmark", did_you_mean(name, public))
        if not isinstance(place, str):
            raise document.error(("benchmarks", name), f"{place!r}; allowed: the folder of a local copy")
        yield CopyConfig(name=name, folder=str(folder / place))


def _sources(document: ParsedYaml, folder: Path) -> Iterable[SourceConfig]:
    for category, sets in _mapping(document, document.values.get("datasets"), ("datasets",)).items():
        if category not in CATEGORIES:
            raise document.error(("datasets", category), "no such category", did_you_mean(category, CATEGORIES))
        for name, values in _mapping(document, sets, ("datasets", category)).items():
            location = ("datasets", category, name)
            plain = dict(_mapping(document, values, location))
            _check_name(document, location, is_own=plain.pop("own", False))
            yield _built(document, SourceConfig, _placed(plain, folder) | {"category": category, "name": name}, location)


def _mapping(document: ParsedYaml, value: Any, location: Location) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise document.error(location, f"{value!r} is not a mapping")
    return value


def _check_name(document: ParsedYaml, location: Location, *, is_own: Any) -> None:
    category, name = str(location[1]), str(location[2])
    known = [each for stage in DATASETS.values() for each in stage.get(category, {})]
    if is_own is not True and name not in known:
        hint = did_you_mean(name, known) + "; a data set of your own says `own: true`"
        raise document.error(location, f"no data set of {category} in the taxonomy", hint)


def _placed(plain: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the values with relative paths below the catalogue's folder."""
    placed = dict(plain)
    if isinstance(plain.get("files"), list):
        placed["files"] = [_path(each, folder) for each in plain["files"]]
    if plain.get("images"):
        placed["images"] = _path(plain["images"], folder)
    return placed


def _path(value: Any, folder: Path) -> Any:
    return value if not isinstance(value, str) or is_remote(value) else str(folder / value)


def _built(document: ParsedYaml, cls: type[Any], plain: Any, location: Location) -> Any:
    try:
        return build(cls, plain)
    except FieldError as error:
        parts: Location = tuple(part for part in error.path.partition("[")[0].split(".") if part)
        allowed = [field.name for field in fields(cls) if field.name not in ("category", "name")]
        hint = error.hint or (f"fields: {', '.join(allowed)}" if "missing" in error.problem or "unknown" in error.problem else "")
        raise document.error((*location, *parts), error.problem, hint) from error


class DataSets:
    """What a plan needs to know of the operator's data sets; the catalogue is read when the first stage asks."""

    def __init__(self, load_it: LoadCatalogue) -> None:
        """Remember how the catalogue is read."""
        self._load, self.is_read = load_it, False
        self._catalogue: CatalogueConfig | None = None
        self._missing: dict[str, None] = {}
        self._known: dict[tuple[DataConfig, tuple[str, ...]], str] = {}

    @property
    def missing(self) -> tuple[str, ...]:
        """Categories that were asked for and have no data set."""
        return tuple(self._missing)

    def data_of(self, data: DataConfig, categories: tuple[str, ...]) -> tuple[DataConfig, str]:
        """Return the data of a stage with its part of the catalogue, and its fingerprint."""
        if data.source == "workbench":
            return data, fingerprint_of(data, categories)
        catalogue = self._read()
        sources = tuple(each for category in sorted(categories) for each in catalogue.of(category)) if catalogue else ()
        missing = set(categories) - {each.category for each in sources}
        self._missing |= dict.fromkeys(sorted(missing))
        if missing or catalogue is None:
            return data, fingerprint_of(data, categories)
        mine = replace(data, catalogue=replace(catalogue, sources=sources))
        if (mine, categories) not in self._known:  # files may change between two plans, not within one
            self._known[mine, categories] = fingerprint_of(mine, categories)
        return mine, self._known[mine, categories]

    def copy_of(self, data: DataConfig, spec: Benchmark) -> tuple[DataConfig, str]:
        """Return the data of an evaluation with the local copy that it reads, if it reads one, and its fingerprint."""
        if spec.source == "workbench":
            return data, fingerprint_of(data, spec.data_names)
        catalogue = self._read()
        if catalogue is None or catalogue.copy_of(spec.name) is None:
            self._missing[f"benchmark {spec.name}"] = None
            return data, fingerprint_of(replace(data, source="catalogue"), (spec.name,))
        copies = tuple(each for each in catalogue.benchmarks if each.name == spec.name)
        mine = replace(data, catalogue=replace(catalogue, sources=(), benchmarks=copies))
        if (mine, (spec.name,)) not in self._known:
            try:
                self._known[mine, (spec.name,)] = copy_fingerprint(catalogue, spec.name)
            except ValueError as error:
                raise StudyError(f"catalogue {catalogue.name}", 0, str(error)) from error
        return mine, self._known[mine, (spec.name,)]

    def contents(self, asked: Iterable[tuple[DataConfig, tuple[str, ...]]]) -> dict[str, str]:
        """Return category to fingerprint of all catalogue data that these stages draw from."""
        wanted = {(data, category) for data, categories in asked if data.source == "catalogue" for category in categories}
        return {category: self.data_of(data, (category,))[1] for data, category in sorted(wanted, key=lambda each: each[1])}

    def _read(self) -> CatalogueConfig | None:
        if not self.is_read:
            self._catalogue, self.is_read = self._load(), True
        return self._catalogue


def fingerprint_of(data: DataConfig, names: tuple[str, ...]) -> str:
    """Return what names the data behind categories or benchmarks.

    Raises:
        StudyError: there are none of this name, or a file is missing.
    """
    try:
        return data_fingerprint(data, names) if data.catalogue else _generated(data, names)
    except ValueError as error:
        raise StudyError(f"data source {data.source}", 0, str(error)) from error


_generated = lru_cache(maxsize=4096)(data_fingerprint)
