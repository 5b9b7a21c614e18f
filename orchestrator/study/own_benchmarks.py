"""What a catalogue declares of its own: categories with their place in the averages, and benchmarks. Errors name file and line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from model.config.benchmark import FITTING, HELD_OUT, LOSS, ROWS, Benchmark
from model.config.catalogue import LAYOUTS, BoxForm
from model.config.fields import FieldError, build, did_you_mean, to_plain
from model.config.scoring import ScoringConfig
from model.evaluation.averages import MMBASE
from model.evaluation.benchmarks.registry import BENCHMARKS, SUITES
from model.plugins import FAMILIES, METRICS, plugin
from model.plugins import LAYOUTS as PLUGIN_LAYOUTS
from orchestrator.errors import parted
from orchestrator.study.metric_names import CATEGORIES, COSTS
from orchestrator.study.strict_yaml import Location, ParsedYaml

_CATEGORY = re.compile(r"[a-z][a-z0-9_]{0,62}")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_FIELDS = ("files", "category", "metric", "family", "columns", "prompt", "max_new_tokens", "group", "in_average",
           "places_images", "version")
_OF_LOSS = ("files", "metric", "layout", "boxes", "version")
_PLACE = {"in_mmbase": False, "in_overall": True}


def own_categories(document: ParsedYaml, taken: Iterable[str]) -> dict[str, dict[str, bool]]:
    """Return the categories that a catalogue declares, with their place in the averages: `in_mmbase` and `in_overall`.

    Args:
        document: the catalogue.
        taken: the paper's categories of data.

    Raises:
        StudyError: a name is taken or cannot be one, or a field is unknown.
    """
    declared = document.values.get("categories", {})
    found = {}
    for name, values in _mapping(document, declared, ("categories",)).items():
        location: Location = ("categories", name)
        known = (*taken, *CATEGORIES, HELD_OUT, *BENCHMARKS, *SUITES, *COSTS, "mmbase", "overall")
        if name in known or not _CATEGORY.fullmatch(name):
            raise document.error(location, f"{name!r} cannot be the name of an own category",
                                 "allowed: a name of a-z, 0-9 and '_' that no category, benchmark or average has")
        for field, value in _mapping(document, values, location).items():
            if field not in _PLACE:
                raise document.error((*location, field), "unknown field", did_you_mean(field, _PLACE))
            if not isinstance(value, bool):
                raise document.error((*location, field), f"{value!r}; allowed: true or false")
        found[name] = _PLACE | values
    return found


def own_benchmark(document: ParsedYaml, name: str, values: Mapping[str, Any], places: Mapping[str, Mapping[str, bool]]) -> Benchmark:
    """Return what a catalogue declares of a benchmark of its own.

    Args:
        document: the catalogue; errors name its file and line.
        name: of the benchmark.
        values: as written below its name.
        places: its own categories with their place in the averages.

    Raises:
        StudyError: a value cannot be used, or a metric or a family is not installed.
    """
    location: Location = ("benchmarks", name)
    if not _NAME.fullmatch(name) or name in (*CATEGORIES, *places, *COSTS, *SUITES, "mmbase", "overall"):
        raise document.error(location, f"{name!r} cannot be the name of an own benchmark",
                             "allowed: a name of a-z, 0-9, '.', '_' and '-' that no benchmark, category or average has")
    if values.get("metric") == LOSS:
        return _own_loss(document, name, values, location)
    for field in values:
        if field not in _FIELDS:
            problem = f"allowed with metric: {LOSS} alone" if field in _OF_LOSS else "unknown field"
            raise document.error((*location, field), problem, did_you_mean(field, _FIELDS))
    category = values.get("category")
    if category not in (*MMBASE, *CATEGORIES, *places):
        raise document.error((*location, "category"), f"{category!r} is no category",
                             did_you_mean(str(category), (*CATEGORIES, *places)) + "; own ones stand under `categories:`")
    plain = {each: value for each, value in values.items() if each not in ("files", "metric", "family")}
    plain |= {"prompt": "{question}"} if "prompt" not in values else {}
    plain |= {"name": name, "title": name, "num_items": 0, "source": "catalogue", **places.get(str(category), {})}
    columns = _mapping(document, values.get("columns", {}), (*location, "columns"))
    may_choose = bool(columns.get("options") or values.get("family"))
    plain |= _metric(document, values.get("metric"), (*location, "metric"), has_options=may_choose)
    plain |= _reader(document, values, location)
    plain["layout"] = _layout(plain)
    try:
        return build(Benchmark, plain)
    except FieldError as error:
        raise document.error((*location, *error.path.split(".")), error.problem, error.hint) from error


def _own_loss(document: ParsedYaml, name: str, values: Mapping[str, Any], location: Location) -> Benchmark:
    """Return a held-out loss over records in a layout of training data."""
    for field in values:
        if field not in _OF_LOSS:
            problem = f"a held-out loss has no {field!r}; allowed: {', '.join(_OF_LOSS)}"
            raise document.error((*location, field), problem, "it is in nats and in no average")
    layout, boxes = values.get("layout"), values.get("boxes", "none")
    if boxes not in get_args(BoxForm):
        raise document.error((*location, "boxes"), f"{boxes!r}; allowed: {', '.join(get_args(BoxForm))}")
    try:
        version = 0 if layout in LAYOUTS else plugin(PLUGIN_LAYOUTS, str(layout), built_in=LAYOUTS).version
    except ValueError as error:
        raise document.error((*location, "layout"), *parted(error)) from error
    plain = {"name": name, "title": name, "category": HELD_OUT, "metric": LOSS, "total": LOSS, "num_items": 0,
             "source": "catalogue", "in_average": False, "in_overall": False, "records": layout, "boxes": boxes,
             "reader_version": version, "layout": f"records of layout {layout}",
             **{field: values[field] for field in ("version",) if field in values}}
    try:
        return build(Benchmark, plain)
    except FieldError as error:
        raise document.error((*location, *error.path.split(".")), error.problem, error.hint) from error


def _metric(document: ParsedYaml, value: Any, location: Location, *, has_options: bool) -> dict[str, Any]:
    plain = dict(value) if isinstance(value, dict) else {"name": value}
    name = plain.pop("name", None)
    if not isinstance(name, str):
        raise document.error(location, f"{value!r}; allowed: a name, or a mapping of `name` and options",
                             f"known: {', '.join(FITTING)}, or an entry point of {METRICS}")
    if name in FITTING:
        if name == "choice" and not has_options:
            raise document.error(location, "the metric 'choice' needs `columns: {options: COLUMN}`")
        return _fitting(document, name, plain, location)
    try:
        found = plugin(METRICS, name, built_in=FITTING)
        options = json.dumps(plain, sort_keys=True, allow_nan=False) if plain else ""
    except (ValueError, TypeError) as error:
        raise document.error(location, *parted(error)) from error
    return {"metric": name, "metric_version": found.version, "options": options}


def _fitting(document: ParsedYaml, name: str, options: dict[str, Any], location: Location) -> dict[str, Any]:
    for each in options:
        if each not in FITTING[name]:
            allowed = ", ".join(FITTING[name]) or "none"
            raise document.error((*location, each), f"the metric {name!r} has no option {each!r}; allowed: {allowed}")
    try:
        build(ScoringConfig, to_plain(ScoringConfig()) | options)
    except FieldError as error:
        raise document.error((*location, error.path), error.problem, error.hint) from error
    free = [each for each in FITTING[name] if each not in options]
    return {"metric": name, "choices": free, "options": json.dumps(options, sort_keys=True) if options else ""}


def _reader(document: ParsedYaml, values: Mapping[str, Any], location: Location) -> dict[str, Any]:
    family = values.get("family")
    if family is None:
        return {"reader": ROWS}
    if "columns" in values:
        raise document.error((*location, "columns"), "a family makes the items of the rows itself; allowed: columns or family")
    try:
        return {"reader": str(family), "reader_version": plugin(FAMILIES, str(family)).version}
    except ValueError as error:
        raise document.error((*location, "family"), *parted(error)) from error


def _layout(plain: Mapping[str, Any]) -> str:
    if plain["reader"] != ROWS:
        return f"rows of the family {plain['reader']}"
    columns = plain.get("columns", {})
    return ", ".join(str(columns.get(name, name)) for name in ("image", "question", "answer"))


def _mapping(document: ParsedYaml, value: Any, location: Location) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise document.error(location, f"{value!r} is not a mapping")
    return value
