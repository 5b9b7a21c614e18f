"""Read the operator's catalogue, which says which files hold which data set. Errors name file and line.

- It maps the data sets of the taxonomy to sources. Any other data set must say `own: true`, so that a misspelt name is
  found.
- Relative paths start at the folder of the catalogue.
- A stage contains the part of the catalogue that it uses; its identity depends on the content of the files, not on
  their paths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from model.config.benchmark import Benchmark
from model.config.catalogue import LAYOUTS, CatalogueConfig, CopyConfig, RemoteConfig, SourceConfig
from model.config.fields import FieldError, build, did_you_mean
from model.config.stages import DataConfig
from model.config.taxonomy import CATEGORIES, DATASETS
from model.data.fingerprint import data_fingerprint
from model.data.sources.urls import is_remote
from model.evaluation.benchmarks.registry import BENCHMARKS
from model.evaluation.local_copies.fingerprint import copy_fingerprint
from model.plugins import LAYOUTS as PLUGIN_LAYOUTS
from model.plugins import plugin
from orchestrator.errors import StudyError, parted
from orchestrator.settings import Settings
from orchestrator.study.own_benchmarks import own_benchmark, own_categories
from orchestrator.study.strict_yaml import Location, ParsedYaml, load

LoadCatalogue = Callable[[], CatalogueConfig | None]
"""A function that reads the catalogue; it is called only if a study needs one."""
_FIELDS = ("kind", "name", "about", "remote", "categories", "datasets", "benchmarks")


def no_catalogue() -> CatalogueConfig | None:
    """Return None, for an operator without a catalogue."""
    return None


def catalogue_of(settings: Settings) -> CatalogueConfig | None:
    """Read the catalogue that the settings name; return None if they name none."""
    path = settings.catalogue_file
    return load_catalogue(path, cache=settings.home / "data") if path else None


def load_catalogue(path: Path, *, cache: Path) -> CatalogueConfig:
    """Read a catalogue.

    Args:
        path: the file of the catalogue.
        cache: the folder for indices, hashes and converted parquet files.

    Raises:
        StudyError: the file cannot be read, or a value cannot be used; the message names file and line.
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
    places = own_categories(document, CATEGORIES)
    sources = tuple(_sources(document, path.absolute().parent, (*CATEGORIES, *places)))
    copies = tuple(_copies(document, path.absolute().parent, places))
    return CatalogueConfig(name=values["name"], sources=sources, remote=remote, cache=str(cache.absolute()),
                           benchmarks=tuple(copy for copy, _ in copies), own=tuple(spec for _, spec in copies if spec))


def _copies(
    document: ParsedYaml, folder: Path, places: Mapping[str, Mapping[str, bool]]
) -> Iterable[tuple[CopyConfig, Benchmark | None]]:
    """Yield the copy of each benchmark, with what is declared of it where it is the operator's own."""
    public = [name for name, each in BENCHMARKS.items() if each.source == "catalogue"]
    for name, place in _mapping(document, document.values.get("benchmarks", {}), ("benchmarks",)).items():
        location = ("benchmarks", name)
        if isinstance(place, dict) and name in BENCHMARKS:
            raise document.error(location, f"{name!r} is a benchmark that there is; allowed: the folder of its local copy")
        spec = own_benchmark(document, name, place, places) if isinstance(place, dict) else None
        if spec is None and name not in public:
            raise document.error(location, "no such benchmark",
                                 did_you_mean(name, public) + "; one of your own has `files`, `category` and `metric`")
        where = place.get("files") if isinstance(place, dict) else place
        if not isinstance(where, str):
            raise document.error((*location, "files") if spec else location, f"{where!r}; allowed: the folder of a local copy")
        yield CopyConfig(name=name, folder=str(folder / where)), spec


def _sources(document: ParsedYaml, folder: Path, categories: Sequence[str]) -> Iterable[SourceConfig]:
    for category, sets in _mapping(document, document.values.get("datasets", {}), ("datasets",)).items():
        if category not in categories:
            hint = did_you_mean(category, categories) + "; own ones stand under `categories:`"
            raise document.error(("datasets", category), "no such category", hint)
        for name, values in _mapping(document, sets, ("datasets", category)).items():
            location = ("datasets", category, name)
            plain = dict(_mapping(document, values, location))
            _check_name(document, location, is_own=plain.pop("own", False))
            fields_of_set = _placed(plain, folder) | {"category": category, "name": name} | _layout(document, plain.get("layout"), location)
            yield _built(document, SourceConfig, fields_of_set, location)


def _layout(document: ParsedYaml, name: Any, location: Location) -> dict[str, int]:
    """Return the version of a layout that a package brings; nothing for our own."""
    if not isinstance(name, str) or name in LAYOUTS:
        return {}
    try:
        return {"layout_version": plugin(PLUGIN_LAYOUTS, name, built_in=LAYOUTS).version}
    except ValueError as error:
        raise document.error((*location, "layout"), *parted(error)) from error


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
    """Return the values with relative paths resolved against the catalogue's folder."""
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
        allowed = [field.name for field in fields(cls) if field.name not in ("category", "name", "layout_version")]
        names_help = "missing" in error.problem or "unknown" in error.problem
        hint = error.hint or (f"fields: {', '.join(allowed)}" if names_help else "")
        raise document.error((*location, *parts), error.problem, hint) from error


class DataSets:
    """The operator's data sets, as a plan needs them; the catalogue is read when the first stage needs it."""

    def __init__(self, load_it: LoadCatalogue) -> None:
        self._load, self.is_read = load_it, False
        self._catalogue: CatalogueConfig | None = None
        self._missing: dict[str, None] = {}
        self._known: dict[tuple[DataConfig, tuple[str, ...]], str] = {}

    @property
    def missing(self) -> tuple[str, ...]:
        """The categories and benchmarks that stages need and that the catalogue has no data for."""
        return tuple(self._missing)

    def own(self) -> tuple[Benchmark, ...]:
        """Return the benchmarks that the catalogue declares."""
        catalogue = self._read()
        return catalogue.own if catalogue else ()

    def data_of(self, data: DataConfig, categories: tuple[str, ...]) -> tuple[DataConfig, str]:
        """Return the data configuration of a training stage, with its part of the catalogue, and its fingerprint.

        Args:
            data: the data configuration of the trial.
            categories: the categories that the stage draws from.
        """
        if data.source == "workbench":
            return data, fingerprint_of(data, categories)
        catalogue = self._read()
        needed = sorted(categories)
        sources = tuple(each for category in needed for each in catalogue.of(category)) if catalogue else ()
        missing = set(categories) - {each.category for each in sources}
        self._missing |= dict.fromkeys(sorted(missing))
        if missing or catalogue is None:
            return data, fingerprint_of(data, categories)
        config = replace(data, catalogue=replace(catalogue, sources=sources, own=()))
        if (config, categories) not in self._known:  # files may change between two plans, but not within one
            self._known[config, categories] = fingerprint_of(config, categories)
        return config, self._known[config, categories]

    def copy_of(self, data: DataConfig, spec: Benchmark) -> tuple[DataConfig, str]:
        """Return the data configuration of an evaluation, with the local copy that it reads, and its fingerprint.

        Args:
            data: the data configuration of the trial.
            spec: the benchmark; one of the workbench reads no copy.

        Raises:
            StudyError: the local copy cannot be read.
        """
        if spec.source == "workbench":
            return data, fingerprint_of(data, spec.data_names)
        catalogue = self._read()
        if catalogue is None or catalogue.copy_of(spec.name) is None:
            self._missing[f"benchmark {spec.name}"] = None
            return data, fingerprint_of(replace(data, source="catalogue"), (spec.name,))
        copies = tuple(each for each in catalogue.benchmarks if each.name == spec.name)
        config = replace(data, catalogue=replace(catalogue, sources=(), benchmarks=copies, own=()))
        if (config, (spec.name,)) not in self._known:
            try:
                self._known[config, (spec.name,)] = copy_fingerprint(catalogue, spec.name)
            except ValueError as error:
                raise StudyError(f"catalogue {catalogue.name}", 0, str(error)) from error
        return config, self._known[config, (spec.name,)]

    def contents(self, asked: Iterable[tuple[DataConfig, tuple[str, ...]]]) -> dict[str, str]:
        """Return category -> fingerprint, for all categories of the catalogue that these stages draw from."""
        used = {(data, category) for data, categories in asked if data.source == "catalogue"
                for category in categories}
        return {category: self.data_of(data, (category,))[1]
                for data, category in sorted(used, key=lambda each: each[1])}

    def _read(self) -> CatalogueConfig | None:
        if not self.is_read:
            self._catalogue, self.is_read = self._load(), True
        return self._catalogue


def fingerprint_of(data: DataConfig, names: tuple[str, ...]) -> str:
    """Return the fingerprint of the data of these categories or benchmarks.

    Raises:
        StudyError: a name is unknown, or a file is missing.
    """
    try:
        return data_fingerprint(data, names) if data.catalogue else _generated(data, names)
    except ValueError as error:
        raise StudyError(f"data source {data.source}", 0, str(error)) from error


_generated = lru_cache(maxsize=4096)(data_fingerprint)
