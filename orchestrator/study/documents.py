"""The schemas of recipes, scales and published results. Errors name file, line and the most similar known name.

- A recipe describes the training stages in terms that hold at every size; a scale says what they mean at one size.
- Values are not converted: `1.0`, `true` or `"1"` is not a whole number. An unknown field is an error.
- Values are passed to pydantic as JSON: in strict mode it refuses a Python list for a tuple, but accepts a JSON list.
"""

from __future__ import annotations

import json
import re
import types
import typing
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, StringConstraints, ValidationError

from model.config.fields import did_you_mean
from model.config.stages import TrainingKind
from orchestrator.errors import StudyError, together
from orchestrator.study import library
from orchestrator.study.strict_yaml import Location, ParsedYaml

NAME = r"^[a-z0-9][a-z0-9._-]{0,62}$"
START = r"^(noise|(packaged|operator):[a-z0-9][a-z0-9._-]{0,62})$"
FILE = r"^\./[A-Za-z0-9][A-Za-z0-9._/-]{0,200}\.ya?ml$"
Name = Annotated[str, StringConstraints(pattern=NAME)]
NameOrFile = Annotated[str, StringConstraints(pattern=f"{NAME}|{FILE}")]
"""A document of the library, or a file beside the one that names it."""
_PATTERNS = {f"{NAME}|{FILE}": "a name of a-z, 0-9, '.', '_' and '-', or a file beside this one as ./ours.yaml",
             NAME: "a name of a-z, 0-9, '.', '_' and '-', at most 63 characters",
             START: "noise, packaged:NAME or operator:NAME"}
Text = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
ArmName = Annotated[str, StringConstraints(min_length=1, max_length=80)]
Changes = dict[str, Any]
"""Dotted path -> value; a mapping as the value stands for the paths below it."""
DEFAULT_SCALE = "tiny"
"""What a study runs on where no scale is named."""
K = TypeVar("K", bound="Document")


class StrictModel(BaseModel):
    """The base class of all parts of a document: unknown fields and conversions are refused, values are frozen."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Document(StrictModel):
    """The base class of the documents: study, recipe, scale, published results, campaign."""

    name: Name
    _document: ParsedYaml = PrivateAttr()

    @property
    def path(self) -> str:
        """The file that the document was read from."""
        return self._document.path

    def error(self, location: Location, problem: str, hint: str = "") -> StudyError:
        """Return an error that names file, line and column of a location in the document."""
        return self._document.error(location, problem, hint)

    @property
    def document(self) -> ParsedYaml:
        """The file's values and where each of them stands."""
        return self._document

    def plain(self) -> dict[str, Any]:
        """Return the plain values of the file."""
        return self._document.values


# ---- recipe, scale, published --------------------------------------------------------------------------------------


class Recipe(Document):
    """The training stages, in order, described in terms that hold at every scale."""

    kind: Literal["recipe"]
    about: Text
    source: Text | None = None
    start: Literal["pretrained", "noise"]
    pretrain: Changes | None = None
    continual: Changes | None = None
    sft: Changes | None = None
    evaluate: Changes = {}


class ScaleModel(StrictModel):
    """A model of a scale, and the origin of its weights."""

    preset: Name
    """The name of a preset of shapes, or `checkpoint` for the shapes of the start checkpoint."""
    until_then: Name | None = None
    """The preset that plans count with while the checkpoint that gives the shapes is not there."""
    start: Annotated[str, StringConstraints(pattern=START)]
    """`noise`, `packaged:NAME` from model/checkpoints, or `operator:NAME` from the operator's folder of checkpoints."""


class Resources(StrictModel):
    """The resources and the speed of one stage; they are never part of a result."""

    workers: Annotated[int, Field(ge=1)] = 1
    """The number of workers of each training stage, each in a slot of its own; an evaluation takes one slot."""
    gpus: Annotated[int, Field(ge=0)] = 0
    """The number of GPUs of all workers of a training stage together."""
    memory_gib: Annotated[float, Field(gt=0)] | None = None
    """The memory of each worker's GPU in GiB (without one, of its share of the machine). A study that needs more, by
    formula, is refused."""
    cpus: Annotated[int, Field(ge=1)] = 1
    flops_per_s: Annotated[float, Field(gt=0)]
    """The assumed speed of a stage in FLOPs per second, for estimates until one was measured."""


class Scale(Document):
    """A size to run recipes at: models, data, benchmarks, and the meaning of symbolic levels."""

    kind: Literal["scale"]
    about: Text
    models: dict[Literal["base", "larger"], ScaleModel]
    levels: dict[Literal["tile", "tokens", "pretrain.steps", "continual.steps"], dict[str, int]]
    """Image setting or number of steps -> symbolic level -> its value."""
    suite: Name
    """The suite of benchmarks, unless the study names its own."""
    data: Changes
    train: Changes = {}
    """Values for all training stages."""
    pretrain: Changes = {}
    continual: Changes = {}
    sft: Changes = {}
    evaluate: Changes = {}
    recipes: dict[Name, dict[TrainingKind | Literal["evaluate"], Changes]] = {}
    """Recipe -> stage -> values that differ for this recipe."""
    resources: Resources


Trust = Literal["deck", "secondary", "computed", "not verified"]


class PublishedRow(StrictModel):
    """The scores that the paper published for one arm."""

    arm: ArmName
    id: Text
    trust: Trust
    scores: dict[Name, float]
    flags: tuple[Text, ...] = ()


class ClaimedComparison(StrictModel):
    """A comparison of two arms: `a` is expected above (`>`), below (`<`) or within `tolerance` of (`~`) `b`."""

    metric: Name
    a: ArmName
    expect: Literal[">", "<", "~"]
    b: ArmName
    published: float | None = None
    """The difference a - b that the paper prints, in points."""
    tolerance: float | None = None
    """For `~`: the largest difference that counts as equal, in points."""


class Gain(StrictModel):
    """A comparison of two gains: that of `larger` is expected above that of `smaller`; both are pairs [high, low]."""

    metric: Name
    larger: tuple[ArmName, ArmName]
    smaller: tuple[ArmName, ArmName]


class Optimum(StrictModel):
    """A statement that an arm is the best one by a metric."""

    metric: Name
    arm: ArmName


class PublishedClaim(StrictModel):
    """A statement of the paper, and the comparisons that test it."""

    id: Text
    kind: Literal["ordering", "sign", "optimum", "flat"]
    trust: Trust
    statement: Text
    compare: tuple[ClaimedComparison, ...] = ()
    gains: tuple[Gain, ...] = ()
    optimum: Optimum | None = None
    table_support: Literal["holds", "partly", "contradicted", "not_testable_from_published_rows"]
    note: Text | None = None
    beyond: dict[Name, Text] = {}
    """Benchmark -> why a study that asks it cannot test the statement; the statement is then undecided, and says so."""


class Published(Document):
    """The numbers and statements that the paper published for one study."""

    kind: Literal["published"]
    title: Text
    source: Text
    trust: Trust
    note: Text | None = None
    chosen: ArmName | None = None
    rows: tuple[PublishedRow, ...] = ()
    claims: tuple[PublishedClaim, ...] = ()


# ---- reading -------------------------------------------------------------------------------------------------------


def load_recipe(name: str | Path) -> Recipe:
    """Read a recipe by its name in the library or by its file."""
    return read(Recipe, library.find("recipe", name))


def recipe_named(name: object, file: ParsedYaml, location: Location) -> Recipe:
    """Read the recipe that a document names: one of the library, or a file below that document's folder.

    Raises:
        StudyError: there is no such recipe; with the place where it is named.
    """
    if isinstance(name, str) and re.fullmatch(FILE, name):
        path = Path(file.path).parent / name
        if ".." in path.relative_to(Path(file.path).parent).parts or not path.is_file():
            raise file.error(location, f"{name!r}: no such file beside this one")
        return load_recipe(path)
    if not isinstance(name, str) or name not in library.names("recipe"):
        raise file.error(location, f"{name!r} is no recipe", did_you_mean(str(name), library.names("recipe")))
    return load_recipe(name)


def load_scale(name: str) -> Scale:
    """Read a scale by its name in the library or by its file."""
    return read(Scale, library.find("scale", name))


def load_published(name: str) -> Published:
    """Read published results by their name in the library or by their file."""
    return read(Published, library.find("published", name))


def read(cls: type[K], document: ParsedYaml) -> K:
    """Check a document against its schema and return it.

    Raises:
        StudyError: values do not fit; the message names each with its line. Unknown fields are reported first, because
            they often explain the others.
    """
    try:
        value = cls.model_validate_json(json.dumps(document.values))
    except ValidationError as error:
        problems = sorted(error.errors(include_url=False), key=lambda each: each["type"] != "extra_forbidden")
        found = [_as_study_error(cls, document, problem) for problem in problems]
        places: dict[tuple[int, str], StudyError] = {}
        for each in found:  # a value that fits none of several types has an error for each type: one is enough
            places.setdefault((each.line, each.message.partition(":")[0]), each)
        raise together(places.values()) from error
    value._document = document
    return value


_PLAIN_WORDS = {
    "int_type": "allowed: a whole number", "float_type": "allowed: a number", "string_type": "allowed: text",
    "bool_type": "allowed: true or false", "dict_type": "allowed: a mapping", "model_type": "allowed: a mapping",
    "tuple_type": "allowed: a list",
}


def _as_study_error(cls: type[Document], document: ParsedYaml, problem: Any) -> StudyError:
    location = _in_document(document, problem["loc"])
    if problem["type"] == "missing":
        return document.error((*location, problem["loc"][-1]), "missing; it is required")
    if problem["type"] == "extra_forbidden":
        return document.error(location, "unknown field", did_you_mean(str(location[-1]), _fields(cls, location[:-1])))
    value = problem["input"]
    shown = "" if isinstance(value, dict | list) else f"{value!r}; "
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "string_pattern_mismatch":
        message = f"allowed: {_PATTERNS.get(problem['ctx']['pattern'], problem['ctx']['pattern'])}"
    if problem["type"] == "literal_error":
        allowed = re.findall(r"'([^']*)'", problem["ctx"]["expected"])
        near = did_you_mean(str(value), allowed)
        return document.error(location, f"{shown}allowed: {', '.join(allowed)}", near if "mean" in near else "")
    if problem["type"] == "too_short":
        fewest, has = (problem["ctx"][name] for name in ("min_length", "actual_length"))
        message = f"holds {has or 'nothing'}; allowed: at least {fewest}"
    return document.error(location, shown + _PLAIN_WORDS.get(problem["type"], message))


def _in_document(document: ParsedYaml, loc: tuple[str | int, ...]) -> Location:
    """Return a location of pydantic without the parts that it adds for unions, which are not in the document."""
    location: Location = ()
    for part in loc:
        if (*location, part) in document.lines:
            location = (*location, part)
    return location


def _fields(cls: type[BaseModel], location: Location) -> list[str]:
    kind: Any = cls
    for part in location:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = {field.alias or name: field.annotation for name, field in kind.model_fields.items()}[str(part)]
        else:
            kind = typing.get_args(kind)[1 if typing.get_origin(kind) is dict else 0]
        kind = _without_none(kind)
    return [field.alias or name for name, field in kind.model_fields.items()]


def _without_none(kind: Any) -> Any:
    while typing.get_origin(kind) is Annotated or isinstance(kind, types.UnionType):
        kind = typing.get_args(kind)[0]
    return kind
