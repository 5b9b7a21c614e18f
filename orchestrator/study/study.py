"""The study file: its schema, and what must hold before any arm is enumerated.

- A study says a question: a recipe, what is changed in all arms (`set`), and one of `vary` (product of factors),
  `arms` (named rows) or `search` (adaptive). Paths are those of the trial's configuration; `ablate factors` lists them.
- Sizes are computed by multiplication. Whether a path exists, and whether a value can work, is checked where the
  trial's configuration is built (`trial_config`), which points back to the lines kept here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from model.config.fields import did_you_mean
from model.config.stages import TrainingKind
from orchestrator.study import library
from orchestrator.study.constraint import Constraint, parse_constraint
from orchestrator.study.documents import ArmName, Changes, Document, Name, StrictModel, Text, read

MAX_TRIALS = 10_000
"""Arms x seeds of one study; more is a typing error or a search."""

class Evaluate(StrictModel):
    """What is measured; left out, the scale's suite."""

    suite: Name | None = None
    benchmarks: tuple[Name, ...] = ()
    """Instead of a suite: benchmarks by name."""


class Select(StrictModel):
    """How the answer is read from the scores."""

    maximize: Name
    subject_to: tuple[Text, ...] = ()
    baseline: Changes | ArmName | None = None
    """The arm that differences are taken against: its name, or its levels."""
    prefer: Literal["first", "smallest", "largest"] = "first"
    """Which of the arms that cannot be told apart: the first in the file, or by the value of the only factor."""

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        """The parsed `subject_to`."""
        return tuple(parse_constraint(text) for text in self.subject_to)


def _twice(values: Iterable[Any]) -> str | None:
    """Return the first value that is there twice, as JSON; 1 and 1.0 are one value, 1 and true are two."""
    seen: set[str] = set()
    for value in values:
        text = json.dumps(int(value) if isinstance(value, float) and value.is_integer() else value, sort_keys=True)
        if text in seen:
            return text
        seen.add(text)
    return None


class GridRange(StrictModel):
    """A range of tile counts: both ends are searched, with n_min <= n_max."""

    n_min: tuple[int, int]
    n_max: tuple[int, int]

    @model_validator(mode="after")
    def _check(self) -> Self:
        for low, high in (self.n_min, self.n_max, (self.n_min[0], self.n_max[0])):
            if not 1 <= low <= high:
                raise ValueError("allowed: n_min and n_max as [lowest, highest], 1 <= n_min <= n_max")
        return self


class Parameter(StrictModel):
    """One searched factor: exactly one of the fields below."""

    uniform: Annotated[tuple[float, float] | None, Field(alias="float")] = None
    """Lowest and highest value."""
    log_float: tuple[float, float] | None = None
    """Lowest (above 0) and highest value, searched on a logarithmic scale."""
    integer: Annotated[tuple[int, int] | None, Field(alias="int")] = None
    choice: Annotated[tuple[Any, ...], Field(min_length=1)] | None = None
    simplex: Annotated[tuple[str, ...], Field(min_length=2)] | None = None
    """Fields below the path whose values are shares that sum to 1."""
    grid_range: GridRange | None = None

    @property
    def kind(self) -> str:
        """Which field is used: uniform, log_float, integer, choice, simplex or grid_range."""
        return next(iter(self.model_fields_set))

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("allowed: exactly one of float, log_float, int, choice, simplex, grid_range")
        for low, high in filter(None, (self.uniform, self.log_float, self.integer)):
            if not low < high:
                raise ValueError(f"[{low:g}, {high:g}]; allowed: lowest < highest")
        if self.log_float and self.log_float[0] <= 0:
            raise ValueError(f"lowest {self.log_float[0]:g}; allowed: above 0")
        for name in ("choice", "simplex"):
            twice = _twice(getattr(self, name) or ())
            if twice is not None:
                raise ValueError(f"{name} holds {twice} twice; allowed: each value once")
        return self


class Objective(StrictModel):
    """One direction of a search."""

    maximize: Name | None = None
    minimize: Name | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.maximize is None) == (self.minimize is None):
            raise ValueError("allowed: one of maximize, minimize")
        return self


class Pruning(StrictModel):
    """Train every arm for a part of its steps first, and in full only if it is among the best of those."""

    rungs: Annotated[tuple[Annotated[float, Field(gt=0, lt=1)], ...], Field(min_length=1, max_length=5)]
    """Fractions of the last training stage's steps, rising; each a training of its own with the whole schedule."""
    keep: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Part of the arms at a rung that goes on."""
    warmup: Annotated[int, Field(ge=1)] = 4
    """Arms at a rung before any is stopped."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if list(self.rungs) != sorted(set(self.rungs)):
            raise ValueError("allowed: rungs that rise")
        return self


class AddedSeeds(StrictModel):
    """Start with few seeds; add to the arms that the rule cannot yet tell apart, doubling their number each time."""

    first: Annotated[int, Field(ge=2, le=1000)]
    most: Annotated[int, Field(ge=2, le=1000)]

    @property
    def rounds(self) -> tuple[int, ...]:
        """Seeds of an arm at each look at the scores: first, twice that, ..., most."""
        found = [self.first]
        while found[-1] < self.most:
            found.append(min(2 * found[-1], self.most))
        return tuple(found)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.first < self.most:
            raise ValueError(f"first {self.first}, most {self.most}; allowed: first < most")
        return self


class Search(StrictModel):
    """An adaptive study: arms are proposed from the scores of earlier ones."""

    sampler: Literal["tpe", "gp", "nsga2", "nsga3", "qmc", "random"] = "tpe"
    trials: Annotated[int, Field(ge=1, le=MAX_TRIALS)]
    """Arms to try, the baseline not counted; each takes all seeds."""
    parameters: Annotated[dict[str, Parameter], Field(min_length=1)]
    objectives: tuple[Objective, ...] = ()
    """Left out: maximise what `select` maximises."""
    constraints: tuple[Text, ...] = ()
    """Left out: `select.subject_to`."""
    parallel: Annotated[int, Field(ge=1, le=1000)] = 1
    """Arms proposed before the scores of the earlier ones are known."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of the sampler, not of the trials."""
    prune: Pruning | None = None


class Budget(StrictModel):
    """What the study may cost at most: refused if the plan expects more, paused when that much is spent."""

    hours: Annotated[float, Field(gt=0)] | None = None
    """Of attempts, one after the other."""
    gpu_hours: Annotated[float, Field(gt=0)] | None = None
    wall_hours: Annotated[float, Field(gt=0)] | None = None
    """From submission on; checked while it runs."""
    flops: Annotated[float, Field(gt=0)] | None = None
    """By formula, of all attempts; of one that did not end, the part that its steps say."""
    checkpoint_gb: Annotated[float, Field(gt=0)] | None = None
    """Published by training stages, 10**9 bytes each."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.model_fields_set:
            raise ValueError(f"allowed: at least one of {', '.join(type(self).model_fields)}")
        return self


class Prediction(StrictModel):
    """What a mixture surrogate expected of an arm when it proposed it."""

    metric: Name
    predicted: float
    form: Literal["log_linear", "quadratic", "gp"]
    correlation: Annotated[float, Field(ge=-1, le=1)]
    """Leave-one-out rank correlation of the form over the arms that it was fitted to."""
    num_arms: Annotated[int, Field(ge=1)]
    source: Text
    """Study that these arms are of."""


class Study(Document):
    """One question."""

    kind: Literal["study"] = "study"
    question: Text
    source: Text | None = None
    recipe: Name
    set: Changes = {}
    vary: Annotated[dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]], Field(min_length=1)] | None = None
    arms: Annotated[dict[ArmName, Changes], Field(min_length=1)] | None = None
    search: Search | None = None
    seeds: Annotated[int, Field(ge=1, le=1000)] | Annotated[tuple[int, ...], Field(min_length=1, max_length=1000)] | AddedSeeds = 1
    seed_from: TrainingKind | None = None
    evaluate: Evaluate = Evaluate()
    select: Select
    effect: Annotated[float, Field(gt=0, le=100)] = 0.5
    """Smallest difference of interest, in points."""
    budget: Budget | None = None
    predictions: dict[ArmName, Prediction] = {}
    """Arm -> what a surrogate expected of it; shown beside what was measured, decides nothing."""
    published: Name | None = None
    note: Text | None = None

    @property
    def seed_list(self) -> tuple[int, ...]:
        """The seeds that every arm begins with: 3 means 0, 1, 2."""
        if isinstance(self.seeds, AddedSeeds):
            return tuple(range(self.seeds.first))
        return tuple(range(self.seeds)) if isinstance(self.seeds, int) else self.seeds

    @property
    def most_seeds(self) -> int:
        """Seeds that an arm has at most."""
        return self.seeds.most if isinstance(self.seeds, AddedSeeds) else len(self.seed_list)

    @property
    def num_looks(self) -> int:
        """How often the rule may look at the scores before it decides; each look takes its part of the 5 %."""
        return len(self.seeds.rounds) if isinstance(self.seeds, AddedSeeds) else 1

    @property
    def objectives(self) -> tuple[tuple[str, str], ...]:
        """Metric and direction (`maximize`, `minimize`) of what a search optimizes; what `select` maximises if it names nothing."""
        named = self.search.objectives if self.search else ()
        found = tuple((each.maximize or each.minimize or "", "maximize" if each.maximize else "minimize") for each in named)
        return found or ((self.select.maximize, "maximize"),)

    @property
    def grows(self) -> bool:
        """Whether trials are added while it runs."""
        return self.search is not None or isinstance(self.seeds, AddedSeeds)

    @property
    def num_arms(self) -> int:
        """Arms of a designed study, or at most of a search; computed, never enumerated."""
        if self.search:
            return self.search.trials + (self.select.baseline is not None)
        return len(self.arms) if self.arms else math.prod(len(levels) for levels in (self.vary or {}).values())


class Campaign(Document):
    """Studies in dependency order: later ones take values from the verdicts of earlier ones."""

    kind: Literal["campaign"]
    question: Text
    studies: Annotated[tuple[Name, ...], Field(min_length=1)]


def load_study(name_or_path: str | Path) -> Study:
    """Read a study by its name in the library or by its file.

    Raises:
        StudyError: what is wrong, with file and line.
    """
    document = library.find("study", name_or_path)
    if document.values.get("kind", "study") != "study":
        raise document.error(("kind",), f"{document.values['kind']!r}; allowed here: study")
    study = read(Study, document)
    _check_design(study)
    _check_select(study)
    if study.published and study.published not in library.names("published"):
        hint = did_you_mean(study.published, library.names("published"))
        raise study.error(("published",), f"no published results {study.published!r}", hint)
    return study


def load_campaign(name_or_path: str | Path) -> Campaign:
    """Read a campaign by its name in the library or by its file."""
    return read(Campaign, library.find("campaign", name_or_path))


def _check_design(study: Study) -> None:
    given = [name for name in ("vary", "arms", "search") if getattr(study, name) is not None]
    if len(given) != 1:
        where = (given[1],) if given else ()
        raise study.error(where, f"{' and '.join(given) or 'none'} given; allowed: exactly one of vary, arms, search")
    _check_paths(study, given[0])
    num_trials = study.num_arms * study.most_seeds
    if num_trials > MAX_TRIALS:
        size = f"{study.num_arms:,} arms x {study.most_seeds} seeds = {num_trials:,} trials"
        raise study.error((given[0],), f"{size}; allowed: {MAX_TRIALS:,}", "use search, or fewer levels")
    if len(set(study.seed_list)) < len(study.seed_list) or min(study.seed_list) < 0:
        raise study.error(("seeds",), f"{list(study.seed_list)}; allowed: different whole numbers >= 0")


def _check_paths(study: Study, design: str) -> None:
    """Refuse factors of which one lies inside another: which of the two an arm gets would be a matter of their order."""
    factors = study.search.parameters if study.search else study.vary or {}
    location = ("search", "parameters") if study.search else (design,)
    for path in factors:
        for other in factors:
            if path.startswith(f"{other}."):
                raise study.error((*location, path), f"it lies inside {other}, which is a factor too; allowed: one of them",
                                  f"write {other} by the fields below it, or leave one of the two out")


def _check_select(study: Study) -> None:
    select = study.select
    for i, text in enumerate(select.subject_to):
        _check_constraint(study, text, ("select", "subject_to", i))
    for i, text in enumerate(study.search.constraints if study.search else ()):
        _check_constraint(study, text, ("search", "constraints", i))
    for name in study.predictions:
        if name not in (study.arms or {}):
            raise study.error(("predictions", name), f"no arm {name!r}", did_you_mean(name, study.arms or ()))
    if select.prefer != "first" and len(study.vary or (study.search and study.search.parameters) or ()) != 1:
        raise study.error(("select", "prefer"), f"{select.prefer} needs exactly one factor; allowed here: first")


def _check_constraint(study: Study, text: str, location: tuple[str | int, ...]) -> None:
    try:
        constraint = parse_constraint(text)
    except ValueError as error:
        raise study.error(location, str(error)) from error
    if constraint.is_relative and study.select.baseline is None:
        raise study.error(location, f"{text!r} speaks of the baseline, but select.baseline is not given")
