"""Recipes, scales and published results; what all documents share; errors with file, line and the nearest known name.

- A recipe says the training stages in terms that hold at every size; a scale says what they mean at one size.
- Nothing is converted: `1.0`, `true` or `"1"` is not a whole number, an unknown field is an error.
- Values reach pydantic as JSON: in strict mode it refuses a YAML list for a tuple, but takes a JSON list.
"""

from __future__ import annotations

import json
import re
import types
import typing
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, StringConstraints, ValidationError

from model.config.fields import did_you_mean
from model.config.stages import TrainingKind
from orchestrator.errors import StudyError
from orchestrator.study import library
from orchestrator.study.strict_yaml import Location, ParsedYaml

NAME = r"^[a-z0-9][a-z0-9._-]{0,62}$"
START = r"^(noise|(packaged|operator):[a-z0-9][a-z0-9._-]{0,62})$"
Name = Annotated[str, StringConstraints(pattern=NAME)]
_PATTERNS = {NAME: "a name of a-z, 0-9, '.', '_' and '-', at most 63 characters",
             START: "noise, packaged:NAME or operator:NAME"}
Text = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
ArmName = Annotated[str, StringConstraints(min_length=1, max_length=80)]
Changes = dict[str, Any]
"""Dotted path -> value; a mapping as value stands for the paths below it."""
K = TypeVar("K", bound="Document")


class StrictModel(BaseModel):
    """What all parts of a document share: nothing unknown, nothing converted, nothing changed later."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Document(StrictModel):
    """A whole document."""

    name: Name
    _document: ParsedYaml = PrivateAttr()

    @property
    def path(self) -> str:
        """The file this was read from."""
        return self._document.path

    def error(self, location: Location, problem: str, hint: str = "") -> StudyError:
        """Return an error that points into the file."""
        return self._document.error(location, problem, hint)

    def plain(self) -> dict[str, Any]:
        """Return the file's values."""
        return self._document.values


# ---- recipe, scale, published --------------------------------------------------------------------------------------


class Recipe(Document):
    """Training stages in order, in terms that hold at every scale."""

    kind: Literal["recipe"]
    about: Text
    source: Text | None = None
    start: Literal["pretrained", "noise"]
    pretrain: Changes | None = None
    continual: Changes | None = None
    sft: Changes | None = None
    evaluate: Changes = {}


class ScaleModel(StrictModel):
    """A model of a scale and where its weights come from."""

    preset: Name
    """Shapes by name, or `checkpoint`: those that the start checkpoint holds."""
    start: Annotated[str, StringConstraints(pattern=START)]
    """`noise`, `packaged:NAME` in model/checkpoints, or `operator:NAME` in the operator's folder of checkpoints."""


class Resources(StrictModel):
    """What one stage needs, and how fast it is there: never part of a result."""

    workers: Annotated[int, Field(ge=1)] = 1
    """Workers of each training stage, one in a slot; evaluations take one slot."""
    gpus: Annotated[int, Field(ge=0)] = 0
    """Of all workers together."""
    cpus: Annotated[int, Field(ge=1)] = 1
    flops_per_s: Annotated[float, Field(gt=0)]


class Scale(Document):
    """What recipes run on, and what their symbolic levels mean there."""

    kind: Literal["scale"]
    about: Text
    models: dict[Literal["base", "larger"], ScaleModel]
    levels: dict[Literal["tile", "tokens"], dict[str, int]]
    suite: Name
    data: Changes
    train: Changes = {}
    """For all training stages."""
    pretrain: Changes = {}
    continual: Changes = {}
    sft: Changes = {}
    evaluate: Changes = {}
    recipes: dict[Name, dict[TrainingKind | Literal["evaluate"], Changes]] = {}
    """What differs for one recipe."""
    resources: Resources


Trust = Literal["deck", "secondary", "computed", "not verified"]


class PublishedRow(StrictModel):
    """What the paper measured for one arm."""

    arm: ArmName
    id: Text
    trust: Trust
    scores: dict[Name, float]
    flags: tuple[Text, ...] = ()


class ClaimedComparison(StrictModel):
    """`a` is expected above (`>`), below (`<`) or within `tolerance` of (`~`) `b`; both are arms."""

    metric: Name
    a: ArmName
    expect: Literal[">", "<", "~"]
    b: ArmName
    published: float | None = None
    """The printed difference a - b."""
    tolerance: float | None = None


class Gain(StrictModel):
    """The gain from `low` to `high` of the first pair is larger than that of the second; pairs are [high, low]."""

    metric: Name
    larger: tuple[ArmName, ArmName]
    smaller: tuple[ArmName, ArmName]


class Optimum(StrictModel):
    """The best arm by a metric."""

    metric: Name
    arm: ArmName


class PublishedClaim(StrictModel):
    """A published statement and the tests that bear on it."""

    id: Text
    kind: Literal["ordering", "sign", "optimum", "flat"]
    trust: Trust
    statement: Text
    compare: tuple[ClaimedComparison, ...] = ()
    gains: tuple[Gain, ...] = ()
    optimum: Optimum | None = None
    table_support: Literal["holds", "partly", "contradicted", "not_testable_from_published_rows"]
    note: Text | None = None


class Published(Document):
    """The paper's numbers and statements for one study."""

    kind: Literal["published"]
    title: Text
    source: Text
    trust: Trust
    note: Text | None = None
    chosen: ArmName | None = None
    rows: tuple[PublishedRow, ...] = ()
    claims: tuple[PublishedClaim, ...] = ()


# ---- reading -------------------------------------------------------------------------------------------------------


def load_recipe(name: str) -> Recipe:
    """Read a recipe of the library."""
    return read(Recipe, library.find("recipe", name))


def load_scale(name: str) -> Scale:
    """Read a scale of the library."""
    return read(Scale, library.find("scale", name))


def load_published(name: str) -> Published:
    """Read published results of the library."""
    return read(Published, library.find("published", name))


def read(cls: type[K], document: ParsedYaml) -> K:
    """Check a document against its schema.

    Raises:
        StudyError: the first thing that does not fit, with its line; unknown fields first, since they explain others.
    """
    try:
        value = cls.model_validate_json(json.dumps(document.values))
    except ValidationError as error:
        problems = sorted(error.errors(include_url=False), key=lambda each: each["type"] != "extra_forbidden")
        raise _as_study_error(cls, document, problems[0]) from error
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
    """Drop the parts that pydantic adds for unions."""
    location: Location = ()
    for part in loc:
        if (*location, part) in document.lines:
            location = (*location, part)
    return location


def _fields(cls: type[BaseModel], location: Location) -> list[str]:
    """Return the names of the fields of the part at `location`."""
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
