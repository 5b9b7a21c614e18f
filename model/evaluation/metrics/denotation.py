"""WikiTableQuestions: an answer is right if it denotes the same set of values (arXiv:1508.00305). Torch-free.

- Values are separated by bars and are numbers, dates (y-m-d, `xx` for unknown parts) or texts.
- Two values match if their normal forms are equal, or as numbers within a millionth, or as dates.
- The rules are those of the official script. A number that is not finite makes that script fail; here it matches
  nothing, not even itself.
"""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

TOLERANCE = 1e-6
UNKNOWN = -1
NOTHING = "nothing"
"""The kind of a number that is not finite."""

_FOLDED = str.maketrans({**dict.fromkeys("‘’´`", "'"), **dict.fromkeys("“”", '"'), **dict.fromkeys("‐‑‒–—−", "-")})
_CITATIONS = re.compile(r"((?<!^)\[[^\]]*\]|\[\d+\]|[•♦†‡*#+])*$")
_DETAILS = re.compile(r"(?<!^)( \([^)]*\))*$")
_QUOTED = re.compile(r'^"([^"]*)"$')

Key = tuple[str, object]


@dataclass(frozen=True, slots=True)
class Value:
    """One typed value: what it denotes, and the normal form of its text."""

    key: Key
    """("number", amount), ("date", (year, month, day)), ("text", normal form) or (NOTHING, text). Values with equal
    keys are the same value.
    """
    text: str

    def matches(self, other: Value) -> bool:
        """Return whether both denote the same."""
        if NOTHING in (self.key[0], other.key[0]):
            return False
        if self.text == other.text or self.key == other.key:
            return True
        a, b = self.key[1], other.key[1]
        return isinstance(a, int | float) and isinstance(b, int | float) and abs(a - b) < TOLERANCE


def denotes(prediction: str, gold: str) -> float:
    """Return 1 if the prediction denotes the set of values of the gold answer, else 0.

    Args:
        prediction: values separated by `|` or `||`.
        gold: values separated by `|`, with newline, bar and backslash escaped as in the official files.
    """
    wanted, said = values(gold), values(prediction.replace("||", "|"))
    return float(len(wanted) == len(said) and all(any(value.matches(other) for other in said) for value in wanted))


@lru_cache(maxsize=8192)
def values(text: str) -> tuple[Value, ...]:
    """Return the distinct values between bars."""
    found: dict[Key, Value] = {}
    for part in text.split("|"):
        value = _value(part.replace("\\n", "\n").replace("\\p", "|").replace("\\\\", "\\"))
        found.setdefault(value.key, value)
    return tuple(found.values())


@lru_cache(maxsize=8192)
def normal_form(text: str) -> str:
    """Return a text in normal form.

    Accents, trailing citations and parentheses, outer quotes and a final dot are dropped, letters are lower-cased, and
    words are separated by one space.
    """
    text = "".join(
        mark for mark in unicodedata.normalize("NFKD", text) if unicodedata.category(mark) != "Mn"
    ).translate(_FOLDED)
    before = None
    while before != text:
        before = text
        text = _CITATIONS.sub("", text.strip())
        text = _DETAILS.sub("", text.strip())
        text = _QUOTED.sub(r"\1", text.strip())
    return re.sub(r"\s+", " ", text.removesuffix(".")).lower().strip()


def _value(text: str) -> Value:
    amount = _number(text)
    date = None if amount is not None else _date(text)
    if date is not None and date[1:] == (UNKNOWN, UNKNOWN):
        amount, date = date[0], None
    if amount is not None:
        return Value(("number", amount) if math.isfinite(amount) else (NOTHING, text), normal_form(text))
    return Value(("date", date) if date else ("text", normal_form(text)), normal_form(text))


def _number(text: str) -> float | int | None:
    try:
        amount = float(text)
    except ValueError:
        return None
    if not math.isfinite(amount):
        return amount
    try:
        return int(text)
    except ValueError:
        return int(amount) if abs(amount - round(amount)) < TOLERANCE else amount  # truncated, as in the official script


def _date(text: str) -> tuple[int, int, int] | None:
    fields = text.lower().split("-")
    if len(fields) != 3:
        return None
    try:
        year, month, day = (UNKNOWN if field in blank else int(field)
                            for field, blank in zip(fields, (("xx", "xxxx"), ("xx",), ("xx",)), strict=True))
    except ValueError:
        return None
    is_valid = _is_within(month, 12) and _is_within(day, 31) and not year == month == day == UNKNOWN
    return (year, month, day) if is_valid else None


def _is_within(field: int, most: int) -> bool:
    return field == UNKNOWN or 1 <= field <= most


def said_values(text: str) -> str | None:
    """Return the normal forms of the values as text, None if there are none."""
    return " | ".join(value.text for value in values(text.replace("||", "|")) if value.text) or None
