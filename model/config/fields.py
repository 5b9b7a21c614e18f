"""Conversion of frozen configuration from and to plain values, those that JSON and YAML can express.

- `build` is strict: an unknown field, a missing field or a wrong type is a `FieldError` with the dotted path, the value
  and the allowed values, so that the study loader can add file and line.
- `to_plain` is its inverse. Both need only the standard library, and no YAML.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, TypeVar, Union

T = TypeVar("T")

LARGEST = 1e300
"""Bound of all numbers: near the end of a float's range, sums and squares overflow."""


class FieldError(ValueError):
    """A configuration value cannot be used; the message has its dotted path, the value and what is allowed.

    `path`, `problem` and `hint` are kept apart, so that a loader can add file and line.
    """

    def __init__(self, path: str, problem: str, hint: str = "") -> None:
        super().__init__(f"{path}: {problem}" + (f"\nhint: {hint}" if hint else ""))
        self.path, self.problem, self.hint = path, problem, hint

    def __reduce__(self) -> tuple[type[FieldError], tuple[str, str, str]]:
        # Pickling between processes would otherwise rebuild the exception from its message alone.
        return FieldError, (self.path, self.problem, self.hint)


def not_in_identity(default: T) -> T:
    """Declare a field that cannot change a result, so that it is left out of the stage's identity."""
    return dataclasses.field(default=default, metadata={"identity": False})


def require(condition: bool, path: str, problem: str, hint: str = "") -> None:
    """Refuse a value unless a condition holds.

    Raises:
        FieldError: the condition is false.
    """
    if not condition:
        raise FieldError(path, problem, hint)


def require_least(config: object, least: int, *names: str) -> None:
    """Refuse a configuration if one of the fields `names` is below the minimum `least`.

    Raises:
        FieldError: a field is below the minimum; the message has its name, its value and the minimum.
    """
    for name in names:
        require(getattr(config, name) >= least, name, f"{getattr(config, name):g}; allowed: >= {least}")


def build(cls: type[T], plain: object, path: str = "") -> T:
    """Build the frozen dataclass `cls` from plain values.

    Args:
        cls: a dataclass whose annotations are dataclasses, scalars, Literal, X | None, or tuple[X, ...].
        plain: a mapping of field names to plain values.
        path: dotted path of `plain`, for messages.

    Raises:
        FieldError: a field is unknown or missing, has a wrong type, or is refused by `__post_init__`.
    """
    if not isinstance(plain, Mapping):
        raise FieldError(path, f"{plain!r} is not a mapping; allowed: the fields of {cls.__name__}")
    readers = _readers(cls)  # type: ignore[arg-type]
    for name in plain:
        if name not in readers:
            raise FieldError(_join(path, str(name)), "unknown field", did_you_mean(str(name), readers))
    values = {name: readers[name](value, _join(path, name)) for name, value in plain.items()}
    for name in _required(cls):  # type: ignore[arg-type]
        if name not in values:
            raise FieldError(_join(path, name), f"missing; {cls.__name__} needs it")
    try:
        return cls(**values)
    except FieldError as error:
        raise FieldError(_join(path, error.path), error.problem, error.hint) from error


def to_plain(value: object) -> Any:  # noqa: ANN401 (what JSON can say has no narrower type)
    """Return a value with dataclasses as dicts, tuples as lists and scalars unchanged."""
    if value is None or isinstance(value, str | int | float):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: to_plain(getattr(value, name)) for name in _fields(type(value))}
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    return value


def did_you_mean(name: str, allowed: typing.Iterable[str]) -> str:
    """Return the hint for a misspelt name: the most similar allowed name, or all of them if none is similar."""
    known = sorted(allowed)
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"


@functools.cache
def _fields(cls: type) -> Mapping[str, dataclasses.Field[Any]]:
    """Return the fields of a dataclass by name; cached, since a plan of 1,000 arms asks 20,000 times."""
    return {field.name: field for field in dataclasses.fields(cls)}


@functools.cache
def _required(cls: type) -> list[str]:
    """Return the fields of a dataclass that have no default."""
    missing = dataclasses.MISSING
    return [name for name, field in _fields(cls).items() if field.default is missing and field.default_factory is missing]


Reader = Callable[[object, str], object]
"""A function from a plain value and its dotted path to the value of a field; it refuses what the field's type does not allow."""


@functools.cache
def _readers(cls: type) -> dict[str, Reader]:
    """Return a reader for each field of a dataclass; cached, since to resolve annotations takes longer than to build."""
    hints = typing.get_type_hints(cls)
    return {name: _reader(hints[name]) for name in _fields(cls)}


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path and name else path or name


def _reader(kind: object) -> Reader:
    origin, options = typing.get_origin(kind), typing.get_args(kind)
    if origin in (Union, types.UnionType):
        (other,) = [option for option in options if option is not types.NoneType]
        return partial(_optional, _reader(other))
    if origin is Literal:
        return partial(_literal, options)
    if origin is tuple:
        return partial(_tuple, _reader(options[0]), getattr(options[0], "is_by_name", False))
    if dataclasses.is_dataclass(kind):
        return partial(build, kind)  # type: ignore[arg-type]
    return partial(_scalar, kind)  # type: ignore[arg-type]


def _optional(read: Reader, value: object, path: str) -> object:
    return None if value is None else read(value, path)


def _literal(options: tuple[object, ...], value: object, path: str) -> object:
    if value not in options or isinstance(value, bool):
        allowed = ", ".join(map(str, options))
        hint = did_you_mean(value, map(str, options)) if isinstance(value, str) else ""
        raise FieldError(path, f"{value!r}; allowed: {allowed}", hint if "mean" in hint else "")
    return value


def _tuple(read: Reader, is_by_name: bool, value: object, path: str) -> tuple[object, ...]:
    if isinstance(value, Mapping) and is_by_name:
        return tuple(read({"name": name, "value": item}, f"{path}.{name}") for name, item in sorted(_by_name(value)))
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise FieldError(path, f"{value!r} is not a list")
    return tuple(read(item, f"{path}[{i}]") for i, item in enumerate(value))


def _by_name(value: Mapping[Any, object], above: str = "") -> typing.Iterator[tuple[str, object]]:
    """List names with their numbers; a name with a dot comes as a mapping below a mapping, as every dotted path does."""
    for name, item in value.items():
        if isinstance(item, Mapping):
            yield from _by_name(item, f"{above}{name}.")
        else:
            yield f"{above}{name}", item


def _scalar(kind: type, value: object, path: str) -> object:
    is_number = kind is float and isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number or isinstance(value, kind)) or (isinstance(value, bool) and kind is not bool):
        raise FieldError(path, f"{value!r} is {_NAMES.get(type(value), type(value).__name__)}; "
                               f"allowed: {_NAMES.get(kind, kind.__name__)}")
    if not is_number:
        return value
    if not -LARGEST < value < LARGEST:  # type: ignore[operator]
        raise FieldError(path, f"{value!r:.20}; allowed: a finite number")
    return float(value)  # type: ignore[arg-type]


_NAMES: dict[type, str] = {int: "a whole number", float: "a number", str: "text", bool: "true or false",
                           dict: "a mapping", list: "a list", types.NoneType: "empty"}
