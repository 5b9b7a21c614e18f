"""Read YAML as plain data and record the line of every value. Only this module parses YAML.

- Values are built from the parser's event stream by the core rules of YAML 1.2: PyYAML's own resolver reads `1e-5` as
  text, `no` as False and `1:30` as 90.
- Refused are aliases, anchors, tags, merge keys, duplicate keys, keys that are not text, a second document, numbers
  with a leading zero, non-finite numbers, and controls that turn the writing direction, with which a name would be
  shown as another one. An alias bomb is refused at its first anchor, and deep nesting at the
  first level that is too deep, before anything large is built.
- Every problem is raised as a `StudyError` with file, line and column.
"""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml

from orchestrator.errors import StudyError

MAX_BYTES = 256 * 1024
MAX_DEPTH = 20
MAX_NODES = 20_000
MAX_NUMBER = 40
"""The most characters of a number; Python refuses to read integers of thousands of digits."""

Location = tuple[str | int, ...]
"""The keys and list positions that lead from the top of the document to a value."""

_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "Null": None, "NULL": None, "true": True,
                                  "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]")
_TURNING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The parser, used only for its events. The C parser is some 20 times faster, so that 256 KiB cannot stall a server."""


@dataclass(frozen=True, slots=True)
class ParsedYaml:
    """The plain values of a file, with the line and column of each."""

    path: str
    values: dict[str, Any]
    lines: dict[Location, tuple[int, int]]
    """Location -> line and column, both from 1: those of the key in a mapping, of the value itself in a list."""

    def error(self, location: Location, problem: str, hint: str = "") -> StudyError:
        """Return an error that points to `location`, or to its nearest ancestor in the file."""
        known = location
        while known and known not in self.lines:
            known = known[:-1]
        line, column = self.lines.get(known, (1, 1))
        where = dotted(location)
        return StudyError(self.path, line, f"{where}: {problem}" if where else problem, hint, column=column)


def dotted(location: Location) -> str:
    """Format a location as `vary.sft.images.grid[2]`."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def load(path: Path) -> ParsedYaml:
    """Read a YAML file.

    Raises:
        StudyError: the file cannot be read, is too large, or breaks a rule of this module.
    """
    try:
        data = _read(path)
    except (OSError, ValueError) as error:
        raise StudyError(str(path), 0, f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return parse(data, str(path))


def _read(path: Path) -> bytes:
    """Read at most one byte more than is allowed, and from a regular file only: a pipe would block for ever."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("not a regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(MAX_BYTES + 1)
    finally:
        os.close(descriptor)


def parse(data: bytes, path: str) -> ParsedYaml:
    """Read YAML from bytes; `path` is used in messages only.

    Raises:
        StudyError: the text breaks a rule of this module.
    """
    if len(data) > MAX_BYTES:
        raise StudyError(path, 0, f"the file is larger than {MAX_BYTES // 1024} KiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise StudyError(path, line, f"byte {error.start} is not UTF-8") from error
    try:
        return _TreeBuilder(path, yaml.parse(text, Loader=_PARSER)).document()
    except yaml.YAMLError as error:
        raise _syntax_error(path, error) from error
    except (ValueError, OverflowError) as error:
        if isinstance(error, StudyError):
            raise
        raise StudyError(path, 0, f"unreadable: {error}") from error


def dump(plain: dict[str, Any]) -> str:
    """Format plain values as YAML, in their order and without aliases."""
    return yaml.dump(plain, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=120)


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_short_list(self, values: list[Any]) -> yaml.Node:
        scalars = all(not isinstance(value, dict | list) for value in values)
        return self.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=scalars)

    def represent_text(self, text: str) -> yaml.Node:
        """Quote a text that `load` would read as a number: PyYAML only quotes the numbers of YAML 1.1."""
        is_number = bool(_FLOAT.fullmatch(text) or _INTEGER.fullmatch(text))
        return self.represent_scalar("tag:yaml.org,2002:str", text, style="'" if is_number else None)


_Plain.add_representer(list, _Plain.represent_short_list)
_Plain.add_representer(str, _Plain.represent_text)


class _TreeBuilder:
    """Builds values from parser events; nesting deeper than `MAX_DEPTH` is refused."""

    def __init__(self, path: str, events: Iterator[Any]) -> None:
        self._path, self._events, self._num_nodes = path, events, 0
        self._lines: dict[Location, tuple[int, int]] = {}

    def document(self) -> ParsedYaml:
        start = self._skip_to_content()
        values = self._node(start, ())
        self._expect_end()
        if not isinstance(values, dict):
            self._refuse(start, "the document is not a mapping; allowed: fields such as `name: ...`")
        return ParsedYaml(self._path, values, self._lines)

    def _skip_to_content(self) -> Any:
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent) and (event.version or event.tags):
                self._refuse(event, "directives (%YAML, %TAG) are not allowed")
            if not isinstance(event, yaml.StreamStartEvent | yaml.DocumentStartEvent):
                break
        if isinstance(event, yaml.StreamEndEvent):
            self._refuse(event, "the file is empty")
        return event

    def _expect_end(self) -> None:
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._refuse(event, "a second document begins here; allowed: one")

    def _node(self, event: Any, location: Location) -> Any:
        self._check(event, location)
        self._lines.setdefault(location, _place(event))
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, location)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(location)
        return self._mapping(location)

    def _check(self, event: Any, location: Location) -> None:
        self._num_nodes += 1
        if self._num_nodes > MAX_NODES:
            self._refuse(event, f"more than {MAX_NODES} values; allowed: {MAX_NODES}")
        if len(location) > MAX_DEPTH:
            self._refuse(event, f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent):
            self._refuse(event, f"alias *{event.anchor}; aliases are not allowed", "write the value out")
        if event.anchor is not None:
            self._refuse(event, f"anchor &{event.anchor}; anchors are not allowed", "write the value out")
        if event.tag is not None:
            self._refuse(event, f"tag {event.tag}; tags are not allowed", "quoted values are text, plain 1 is a number")

    def _sequence(self, location: Location) -> list[Any]:
        values: list[Any] = []
        for event in self._events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            values.append(self._node(event, (*location, len(values))))
        return values

    def _mapping(self, location: Location) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._key(event, location)
            if key in values:
                first = self._lines[*location, key][0]
                self._refuse(event, f"{dotted((*location, key))}: the key is here twice, first in line {first}")
            self._lines[*location, key] = _place(event)
            values[key] = self._node(next(self._events), (*location, key))
        return values

    def _key(self, event: Any, location: Location) -> str:
        self._check(event, location)
        if not isinstance(event, yaml.ScalarEvent):
            self._refuse(event, "a list or mapping as key; allowed: text")
        key = self._scalar(event, location)
        if not isinstance(key, str):
            self._refuse(event, f"key {event.value!r} is not text; allowed: text", f'quote it: "{event.value}"')
        if key == "<<" and not event.style:
            self._refuse(event, "merge key <<; merging is not allowed", "write the values out")
        return key

    def _scalar(self, event: Any, location: Location) -> Any:
        text: str = event.value
        if turning := _TURNING.search(text):
            self._refuse(event, f"{_named(location)}U+{ord(turning[0]):04X} turns the writing direction; allowed: text without it")
        if event.style:
            if any("\ud800" <= character <= "\udfff" for character in text):
                self._refuse(event, "half a surrogate pair is not text")
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _FLOAT.fullmatch(text) or _INTEGER.fullmatch(text):
            return self._number(event, text, location)
        if _NOT_FINITE.fullmatch(text):
            self._refuse(event, f"{_named(location)}{text}; allowed: finite numbers")
        return text

    def _number(self, event: Any, text: str, location: Location) -> int | float:
        if len(text) > MAX_NUMBER:
            self._refuse(event, f"{_named(location)}a number of {len(text)} characters; allowed: {MAX_NUMBER}")
        if _LEADING_ZERO.match(text):
            self._refuse(event, f"{_named(location)}{text} has a leading zero", "drop the zero, or quote text")
        if _INTEGER.fullmatch(text):
            return int(text, 16) if text.startswith("0x") else int(text)
        value = float(text)
        if not math.isfinite(value):
            self._refuse(event, f"{_named(location)}{text} is too large; allowed: finite numbers")
        return value

    def _refuse(self, event: Any, problem: str, hint: str = "") -> NoReturn:
        line, column = _place(event)
        raise StudyError(self._path, line, problem, hint, column=column)


def _named(location: Location) -> str:
    return f"{dotted(location)}: " if location else ""


def _place(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _syntax_error(path: str, error: yaml.YAMLError) -> StudyError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    return StudyError(path, line, f"not YAML: {problem}", column=column)
