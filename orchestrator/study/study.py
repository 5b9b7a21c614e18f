"""The schema of a study file, and the checks that need no arm to be enumerated.

- A study asks one question. It names a recipe, the values to change in all arms (`set`), and one of `vary` (the product
  of factors), `arms` (named rows) or `search` (adaptive). Paths are those of the trial's configuration; `ablate
  factors` lists them.
- The number of arms is computed by multiplication. Whether a path exists and a value can work is checked when the
  trial's configuration is built (`trial_config`); its errors point back to the lines recorded here.
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
from orchestrator.errors import for_each
from orchestrator.study import library
from orchestrator.study.constraint import Constraint, parse_constraint
from orchestrator.study.documents import ArmName, Changes, Document, Name, NameOrFile, StrictModel, Text, read

MAX_TRIALS = 10_000
"""The largest number of trials (arms x seeds) of a study; more is a typing error, or should be a search."""


class Evaluate(StrictModel):
    """The benchmarks of a study; by default the scale's suite."""

    suite: Name | None = None
    benchmarks: tuple[Name, ...] = ()
    """Benchmarks by name, instead of a suite."""
    at_branches: tuple[Name, ...] = ()
    """Those of them that are also asked at the branching points of training (`branch_every`)."""


class Select(StrictModel):
    """The rule that chooses an arm from the scores."""

    maximize: Name | None = None
    """The metric to maximize. Without it a study shows differences and comes to no verdict."""
    subject_to: tuple[Text, ...] = ()
    """The constraints that an arm must meet; see `constraint`."""
    baseline: Changes | ArmName | None = None
    """The arm to compare with, by its name or its levels."""
    prefer: Literal["first", "smallest", "largest"] = "first"
    """The arm to choose of those that cannot be told apart: the first in the file, or the one with the smallest or
    largest value of the only factor."""
    items: Literal["auto", "these", "population"] = "auto"
    """The interval that decides where stored answers are read: for these items, or for the population that they were
    drawn from; `auto` is the population where the benchmarks have 30 pictures or more."""

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        """The parsed constraints of `subject_to`."""
        return tuple(parse_constraint(text) for text in self.subject_to)


def _twice(values: Iterable[Any]) -> str | None:
    """Return the first duplicate value as JSON, None if there is none; 1 equals 1.0, but not true."""
    seen: set[str] = set()
    for value in values:
        text = json.dumps(int(value) if isinstance(value, float) and value.is_integer() else value, sort_keys=True)
        if text in seen:
            return text
        seen.add(text)
    return None


class GridRange(StrictModel):
    """A range of image grids: n_min and n_max are both searched, with n_min <= n_max."""

    n_min: tuple[int, int]
    """The lowest and the highest value of the fewest tiles."""
    n_max: tuple[int, int]
    """The lowest and the highest value of the most tiles."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for low, high in (self.n_min, self.n_max, (self.n_min[0], self.n_max[0])):
            if not 1 <= low <= high:
                raise ValueError("allowed: n_min and n_max as [lowest, highest], 1 <= n_min <= n_max")
        return self


class Parameter(StrictModel):
    """The range of one searched factor; exactly one of the fields is set."""

    uniform: Annotated[tuple[float, float] | None, Field(alias="float")] = None
    """The lowest and the highest value."""
    log_float: tuple[float, float] | None = None
    """The lowest (above 0) and the highest value, searched on a logarithmic scale."""
    integer: Annotated[tuple[int, int] | None, Field(alias="int")] = None
    """The lowest and the highest whole number."""
    choice: Annotated[tuple[Any, ...], Field(min_length=1)] | None = None
    """The values to choose from."""
    simplex: Annotated[tuple[str, ...], Field(min_length=2)] | None = None
    """The fields below the path whose values are shares that sum to 1."""
    grid_range: GridRange | None = None
    """The range of `images.grid`."""

    @property
    def kind(self) -> str:
        """The name of the field that is set: uniform, log_float, integer, choice, simplex or grid_range."""
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
    """One objective of a search: a metric to maximize or to minimize."""

    maximize: Name | None = None
    minimize: Name | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.maximize is None) == (self.minimize is None):
            raise ValueError("allowed: one of maximize, minimize")
        return self


class Pruning(StrictModel):
    """Early stopping: an arm is trained for a fraction of its steps first, and longer only if it is among the best."""

    rungs: Annotated[tuple[Annotated[float, Field(gt=0, lt=1)], ...], Field(min_length=1, max_length=5)]
    """The fractions of the last training stage's steps, rising; each rung is a separate training with a complete
    schedule."""
    keep: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """The fraction of the arms at a rung that continues."""
    warmup: Annotated[int, Field(ge=1)] = 4
    """The number of arms that a rung needs before any arm is stopped there."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if list(self.rungs) != sorted(set(self.rungs)):
            raise ValueError("allowed: rungs that rise")
        return self


SeedVaries = Literal["both", "data", "init"]
"""What a seed changes in the stages that it enters: the draw of data, the initial weights, or both."""


class VariedSeeds(StrictModel):
    """Seeds that change a part of the training only: `{number: 5, vary: data}`."""

    number: Annotated[int, Field(ge=1, le=1000)] | Annotated[tuple[int, ...], Field(min_length=1, max_length=1000)]
    """The number of seeds, or the seeds themselves."""
    vary: SeedVaries


class AddedSeeds(StrictModel):
    """An adaptive number of seeds: as long as the rule cannot tell arms apart, they get one more each time."""

    first: Annotated[int, Field(ge=2, le=1000)]
    """The number of seeds that every arm starts with."""
    most: Annotated[int, Field(ge=2, le=1000)]
    """The largest number of seeds of an arm."""
    vary: SeedVaries = "both"

    @property
    def rounds(self) -> tuple[int, ...]:
        """The number of seeds of an arm at each look at the scores: one more each time; beyond 16 an eighth more."""
        numbers = [self.first]
        while numbers[-1] < self.most:
            numbers.append(min(numbers[-1] + max(1, numbers[-1] // 8), self.most))
        return tuple(numbers)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.first < self.most:
            raise ValueError(f"first {self.first}, most {self.most}; allowed: first < most")
        return self


class Search(StrictModel):
    """An adaptive search: new arms are proposed from the scores of earlier ones."""

    sampler: Literal["tpe", "gp", "nsga2", "nsga3", "qmc", "random"] = "tpe"
    trials: Annotated[int, Field(ge=1, le=MAX_TRIALS)]
    """The number of arms to try, without the baseline; each takes all seeds."""
    parameters: Annotated[dict[str, Parameter], Field(min_length=1)]
    """Dotted path -> the range to search."""
    objectives: tuple[Objective, ...] = ()
    """The objectives of the sampler; by default the metric that `select` maximizes."""
    constraints: tuple[Text, ...] = ()
    """The constraints that the sampler knows; by default `select.subject_to`."""
    parallel: Annotated[int, Field(ge=1, le=1000)] = 1
    """The number of arms that may be open at once: they are proposed before the scores of the others are known."""
    seed: Annotated[int, Field(ge=0)] = 0
    """The seed of the sampler, not of the trials."""
    prune: Pruning | None = None


class Budget(StrictModel):
    """The most that a study may cost. It is refused if its plan exceeds a limit, and paused once a limit is reached."""

    hours: Annotated[float, Field(gt=0)] | None = None
    """The total time of all attempts, in hours."""
    gpu_hours: Annotated[float, Field(gt=0)] | None = None
    """The total time of all attempts, times the GPUs that each holds, in hours."""
    wall_hours: Annotated[float, Field(gt=0)] | None = None
    """The hours since the submission; checked only while the study runs."""
    flops: Annotated[float, Field(gt=0)] | None = None
    """The FLOPs of all attempts by formula; of an attempt that did not finish, those of its steps."""
    checkpoint_gb: Annotated[float, Field(gt=0)] | None = None
    """The size of the checkpoints that training stages publish, in GB (10**9 bytes)."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.model_fields_set:
            raise ValueError(f"allowed: at least one of {', '.join(type(self).model_fields)}")
        return self


class Prediction(StrictModel):
    """The score that a mixture surrogate predicted for an arm that it proposed."""

    metric: Name
    predicted: float
    form: Literal["log_linear", "quadratic", "gp"]
    """The form of the surrogate."""
    correlation: Annotated[float, Field(ge=-1, le=1)]
    """The leave-one-out rank correlation of the surrogate over the arms that it was fitted to."""
    num_arms: Annotated[int, Field(ge=1)]
    """The number of arms that it was fitted to."""
    source: Text
    """The study that these arms belong to."""


class Study(Document):
    """A study: one question, the arms that answer it, and the rule that reads the answer."""

    kind: Literal["study"] = "study"
    question: Text
    source: Text | None = None
    recipe: NameOrFile
    """Of the library, or a file beside this one: `./ours.yaml`."""
    set: Changes = {}
    vary: Annotated[dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]], Field(min_length=1)] | None = None
    arms: Annotated[dict[ArmName, Changes], Field(min_length=1)] | None = None
    search: Search | None = None
    seeds: (Annotated[int, Field(ge=1, le=1000)] | Annotated[tuple[int, ...], Field(min_length=1, max_length=1000)]
            | AddedSeeds | VariedSeeds) = 1
    """The number of seeds, the seeds themselves, an adaptive number, or seeds that vary the data or the initial weights
    alone."""
    seed_from: TrainingKind | None = None
    """The first training stage that uses the trial's seed; by default it is derived from the arms (see `plan`)."""
    evaluate: Evaluate = Evaluate()
    select: Select = Select()
    effect: Annotated[float, Field(gt=0, le=100)] = 0.5
    """The smallest difference of interest, in points."""
    budget: Budget | None = None
    fail_fast: bool = False
    """Whether the first stage that fails for good pauses the study; without it the others go on."""
    predictions: dict[ArmName, Prediction] = {}
    """Arm -> the score that a surrogate predicted; it is shown beside the measured one and decides nothing."""
    published: Name | None = None
    note: Text | None = None

    @property
    def seed_list(self) -> tuple[int, ...]:
        """The seeds that every arm starts with: 3 means 0, 1, 2."""
        if isinstance(self.seeds, AddedSeeds):
            return tuple(range(self.seeds.first))
        seeds = self.seeds.number if isinstance(self.seeds, VariedSeeds) else self.seeds
        return tuple(range(seeds)) if isinstance(seeds, int) else seeds

    @property
    def seed_varies(self) -> SeedVaries:
        """What the seeds change: the draw of data, the initial weights, or both."""
        return self.seeds.vary if isinstance(self.seeds, AddedSeeds | VariedSeeds) else "both"

    @property
    def most_seeds(self) -> int:
        """The largest number of seeds of an arm."""
        return self.seeds.most if isinstance(self.seeds, AddedSeeds) else len(self.seed_list)

    @property
    def looks(self) -> tuple[int, ...]:
        """The numbers of seeds at which the rule looks at the scores; none if the number of seeds is fixed."""
        return self.seeds.rounds if isinstance(self.seeds, AddedSeeds) else ()

    @property
    def objectives(self) -> tuple[tuple[str, str], ...]:
        """The objectives of a search as (metric, `maximize` or `minimize`); by default what `select` maximizes."""
        named = self.search.objectives if self.search else ()
        objectives = tuple((each.maximize or each.minimize or "", "maximize" if each.maximize else "minimize")
                           for each in named)
        return objectives or ((self.select.maximize or "", "maximize"),)

    @property
    def grows(self) -> bool:
        """Whether the study is adaptive: trials are added while it runs."""
        return self.search is not None or isinstance(self.seeds, AddedSeeds)

    @property
    def num_arms(self) -> int:
        """The number of arms, for a search the largest number; it is computed without enumerating them."""
        if self.search:
            return self.search.trials + (self.select.baseline is not None)
        return len(self.arms) if self.arms else math.prod(len(levels) for levels in (self.vary or {}).values())


class Campaign(Document):
    """A list of studies, some of which take values from the verdicts of others."""

    kind: Literal["campaign"]
    question: Text
    studies: Annotated[tuple[Text, ...], Field(min_length=1)]
    """Names of the library, or paths: relative to the campaign's own file."""

    def load_studies(self) -> list[Study]:
        """Read its studies, in the order of the file.

        Raises:
            StudyError: a study that is not there or cannot be used.
        """
        folder = Path(self.path).parent
        return [load_study(folder / each if library.is_path(each) else each) for each in self.studies]


def load_study(name_or_path: str | Path) -> Study:
    """Read a study by its name in the library or by its file.

    Raises:
        StudyError: the study cannot be used; the message names file and line.
    """
    document = library.find("study", name_or_path)
    if document.values.get("kind", "study") != "study":
        raise document.error(("kind",), f"{document.values['kind']!r}; allowed here: study")
    study = read(Study, document)
    for_each(lambda check: check(study), (_check_design, _check_select))
    if study.published and study.published not in library.names("published"):
        hint = did_you_mean(study.published, library.names("published"))
        raise study.error(("published",), f"no published results {study.published!r}", hint)
    return study


def load_campaign(name_or_path: str | Path) -> Campaign:
    """Read a campaign by its name in the library or by its file."""
    return read(Campaign, library.find("campaign", name_or_path))


def _check_design(study: Study) -> None:
    designs = [name for name in ("vary", "arms", "search") if getattr(study, name) is not None]
    if len(designs) != 1:
        where = (designs[1],) if designs else ()
        raise study.error(where, f"{' and '.join(designs) or 'none'} given; allowed: exactly one of vary, arms, search")
    _check_paths(study, designs[0])
    if study.grows and library.is_path(study.recipe):
        raise study.error(
            ("recipe",),
            f"{study.recipe!r} is a file, and this study is planned again while it runs; allowed: a name",
            "put the recipe into the folder of ABLATE_LIBRARY",
        )
    num_trials = study.num_arms * study.most_seeds
    if num_trials > MAX_TRIALS:
        size = f"{study.num_arms:,} arms x {study.most_seeds} seeds = {num_trials:,} trials"
        raise study.error((designs[0],), f"{size}; allowed: {MAX_TRIALS:,}", "use search, or fewer levels")
    if len(set(study.seed_list)) < len(study.seed_list) or min(study.seed_list) < 0:
        raise study.error(("seeds",), f"{list(study.seed_list)}; allowed: different whole numbers >= 0")


def _check_paths(study: Study, design: str) -> None:
    """Refuse factors whose paths contain one another: their order would decide which value an arm gets."""
    factors = study.search.parameters if study.search else study.vary or {}
    location = ("search", "parameters") if study.search else (design,)
    for path in factors:
        for other in factors:
            if path.startswith(f"{other}."):
                raise study.error((*location, path),
                                  f"it lies inside {other}, which is a factor too; allowed: one of them",
                                  f"write {other} by the fields below it, or leave one of the two out")


def _check_select(study: Study) -> None:
    select = study.select
    if select.maximize is None and (study.grows or select.subject_to or select.prefer != "first"):
        needs = "a study that grows" if study.grows else "subject_to" if select.subject_to else "prefer"
        raise study.error(("select",), f"{needs} needs select.maximize", "what decides between arms, such as mmbase")
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
        raise study.error(location, f"{text!r} refers to the baseline, but select.baseline is missing")
