"""List all paths that a study may change, with type, default and meaning, taken from the configuration classes."""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import textwrap
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from model.config.fields import to_plain
from model.config.stages import TRAINING, DataConfig, EvaluateConfig, ImageConfig, ModelConfig, Weight


@dataclass(frozen=True, slots=True)
class Factor:
    """A factor: one path of a trial's configuration."""

    path: str
    type: str
    """The allowed values, such as `none | seps | index` or `a number`."""
    default: Any
    """The default as a plain value; None if the recipe, scale or preset must set it."""
    doc: str
    """The meaning, unit and origin."""


_NO_FACTORS = ("evaluate.benchmarks", "evaluate.at_branches", "evaluate.own", "data.catalogue")
_SYMBOLIC = {"tile": "low | high, or px", "tokens": "few | many, or a square number"}
_NAMES: dict[Any, str] = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


def factors() -> tuple[Factor, ...]:
    """Return all factors: those of the trial first, then those of each stage, of evaluation, model and data."""
    trial = (
        Factor("recipe", "a recipe's name", None, "The recipe of the arm; other arms use the study's recipe."),
        Factor("model", "base | larger", "base", "The model size; the scale says which presets these are."),
        Factor("start", "pretrained | noise", None, "The initial weights; the scale says which checkpoint."),
    )
    parts: tuple[tuple[str, type[Any]], ...] = (
        *TRAINING.items(), ("evaluate", EvaluateConfig), ("model", ModelConfig), ("data", DataConfig),
    )
    return (*trial, *(factor for name, cls in parts for factor in _of(cls, name)))


def _of(cls: type[Any], prefix: str) -> Iterator[Factor]:
    hints, docs = typing.get_type_hints(cls), _docs(cls)
    if cls is ImageConfig:
        yield Factor(f"{prefix}.grid", "[n_min, n_max]", None,
                     "n_min and n_max together: the fewest and the most tiles.")
    for field in dataclasses.fields(cls):
        path, kind = f"{prefix}.{field.name}", hints[field.name]
        if path in _NO_FACTORS or field.name == "image_settings":
            continue
        if kind == tuple[Weight, ...]:
            yield Factor(f"{path}.NAME", "a number", None, docs.get(field.name, ""))
        elif (part := next(filter(dataclasses.is_dataclass, (kind, *typing.get_args(kind))), None)) is not None:
            yield from _of(typing.cast(type[Any], part), path)  # of one that may be left out too
        else:
            default = None if field.default is dataclasses.MISSING else to_plain(field.default)
            is_symbolic = cls is ImageConfig and field.name in _SYMBOLIC
            yield Factor(path, _SYMBOLIC[field.name] if is_symbolic else _type(kind), default, docs.get(field.name, ""))


def _type(kind: Any) -> str:
    options = typing.get_args(kind)
    if typing.get_origin(kind) is Literal:
        return " | ".join(options)
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        return " or ".join("empty" if option is types.NoneType else _type(option) for option in options)
    return _NAMES.get(kind, str(kind))


def _docs(cls: type[Any]) -> dict[str, str]:
    """Return field -> docstring, for the fields of a class and its bases."""
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__[:-1]):
        docs |= _class_docs(base)
    return docs


@functools.cache
def _class_docs(cls: type[Any]) -> dict[str, str]:
    """Return field -> docstring, for the fields of one class.

    They are parsed from the source of the class, because Python does not store the docstrings of fields.
    """
    node = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    return dict(_field_docs(typing.cast(ast.ClassDef, node)))


def _field_docs(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for statement, following in zip(node.body, node.body[1:], strict=False):
        if (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
                and isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)):
            yield statement.target.id, " ".join(str(following.value.value).split())
