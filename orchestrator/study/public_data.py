"""Where public copies of the paper's data sets and benchmarks are, as `studies/catalogues/public.yaml` says.

The file is a starting point for a catalogue, not a promise: nothing in it was opened here. `ablate data fetch` asks the
hub for what the file leaves out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from model.config.catalogue import LAYOUTS
from model.config.fields import FieldError, build, did_you_mean, require
from model.config.taxonomy import DATASETS
from model.evaluation.benchmarks.registry import BENCHMARKS
from orchestrator.study.library import ROOT
from orchestrator.study.strict_yaml import Location, ParsedYaml, load

FILE = ROOT / "catalogues" / "public.yaml"
BENCHMARK = "benchmark"
"""Stands in place of the category in the title of a benchmark's copy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicCopy:
    """A public copy of a data set or of a benchmark; without `hub`, none is known."""

    category: str
    """The data set's category, or `benchmark`."""
    name: str
    """The name in the taxonomy, or that of the benchmark."""
    hub: str = ""
    """Data set of the Hugging Face hub, `owner/name`."""
    subset: str = ""
    """Configuration (subset) of the data set."""
    subsets: tuple[str, ...] = ()
    """Configurations of a benchmark whose tasks lie apart."""
    splits: tuple[str, ...] = ("train",)
    """Splits that are taken."""
    part: str = ""
    """The part of a larger set, in words."""
    layout: str = ""
    """Layout of the records of a data set; empty if `ablate data fetch` cannot prepare it."""
    matches: Literal["", "size", "name"] = ""
    """Whether the number of samples agrees with the published one, or only the name."""
    revision: str = ""
    """Commit that is taken; empty takes the newest, and pins it in the catalogue."""
    rows: int = 0
    """Number of samples; 0 if it was not looked up."""
    num_bytes: int = 0
    """Size of the files in bytes; 0 if it was not looked up."""
    licence: str = ""
    """Licence; empty if only the data set's card says it."""
    in_house: bool = False
    """Whether the paper's authors never published it."""
    by_hand: str = ""
    """Why the files cannot be used as the hub has them; empty if they can."""

    def __post_init__(self) -> None:
        require(
            self.layout in ("", *LAYOUTS),
            "layout",
            f"{self.layout!r}; allowed: {', '.join(LAYOUTS)}",
            did_you_mean(self.layout, LAYOUTS),
        )

    @property
    def title(self) -> str:
        """The category and the name, since some names occur in two categories."""
        return f"{self.category}/{self.name}"

    @property
    def is_benchmark(self) -> bool:
        """Whether it is a benchmark to be evaluated on."""
        return self.category == BENCHMARK

    @property
    def place(self) -> str:
        """The hub's id and the part that is taken, in words; empty if no copy is known."""
        return ", ".join(each for each in (self.hub, self.subset or self.part) if each)

    @property
    def obstacle(self) -> str:
        """Why `ablate data fetch` cannot fetch it; empty if it can."""
        if self.in_house:
            return "it was never published"
        return "no public copy is known" if not self.hub else self.by_hand


@cache
def public_copies() -> Mapping[str, PublicCopy]:
    """Return title -> copy, the data sets in the order of the taxonomy, then the benchmarks.

    Raises:
        StudyError: a name or a field is unknown; the message names file and line.
    """
    document = load(FILE)
    reasons = document.values["by_hand"]
    found = [
        _copy(document, ("datasets", category, name), {**plain, "category": category, "name": name}, reasons)
        for category, sets in document.values["datasets"].items()
        for name, plain in sets.items()
    ]
    found += [
        _copy(document, ("benchmarks", name), {**plain, "category": BENCHMARK, "name": name}, reasons)
        for name, plain in document.values["benchmarks"].items()
    ]
    return {each.title: each for each in found}


def _copy(document: ParsedYaml, location: Location, plain: dict[str, Any], reasons: Mapping[str, str]) -> PublicCopy:
    known = (
        BENCHMARKS
        if plain["category"] == BENCHMARK
        else {name for stage in DATASETS.values() for name in stage.get(plain["category"], {})}
    )
    if plain["name"] not in known:
        raise document.error(location, "no such data set or benchmark", did_you_mean(plain["name"], known))
    if "by_hand" in plain:
        if plain["by_hand"] not in reasons:
            raise document.error(
                (*location, "by_hand"), f"{plain['by_hand']!r} is no reason", did_you_mean(plain["by_hand"], reasons)
            )
        plain["by_hand"] = reasons[plain["by_hand"]]
    try:
        return build(PublicCopy, plain)
    except FieldError as error:
        raise document.error((*location, error.path), error.problem, error.hint) from error
