"""MMMU's open questions (arXiv:2311.16502): the strings and numbers in an answer, and whether one is right. Torch-free.

The rules are those of the official script, in its whole-list form; lmms-eval's keeps one element of an unordered set.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

DECIMALS = 2
INDICATORS = ("could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result ")
TRIVIAL = frozenset(":,.!?;'")
_NUMBERS = (
    re.compile(r"-?\b\d{1,3}(?:,\d{3})+\b"),
    re.compile(r"-?\d+(?:\.\d+)?[eE][+-]?\d+"),
    re.compile(r"-?(?:\d+\.\d+|\.\d+|\d+\b)(?![eE][+-]?\d+)(?![,\d])"),
)
"""Numbers with thousands separators, in scientific notation, and plain."""


def read(prediction: str) -> tuple[str | float, ...]:
    """Return every candidate of an answer.

    These are the shortest text after an indicator in each line, or the whole answer, and all numbers in them.
    """
    tails = _tails(prediction)
    numbers = [number for tail in tails for form in _NUMBERS for number in form.findall(tail)]
    return tuple(dict.fromkeys(candidate for text in (*tails, *numbers) for candidate in candidates(text)))


def is_right(prediction: str, golds: Sequence[str]) -> float:
    """Return 1 if a gold text occurs in a candidate text, or a candidate number is a gold number, else 0."""
    wanted = [candidate for gold in golds for candidate in candidates(gold)]
    texts = [gold for gold in wanted if isinstance(gold, str)]
    return float(
        any(
            any(gold in said for gold in texts) if isinstance(said, str) else said in wanted
            for said in read(prediction)
        )
    )


@lru_cache(maxsize=8192)
def candidates(text: str) -> tuple[str | float, ...]:
    """Return a number rounded to two decimals, else the lower-cased text.

    A single character needs a space beside it.
    """
    text = text.strip()
    try:
        return (round(float(text.replace(",", "")), DECIMALS),)
    except ValueError:
        text = text.lower()
    return (f" {text}", f"{text} ") if len(text) == 1 else (text,)


def pooled(subjects: Mapping[str, tuple[float, int]]) -> float:
    """Return the accuracy over all questions, MMMU's headline, 0 to 1, given (accuracy, questions) of each subject.

    Raises:
        ValueError: there are no questions.
    """
    total = sum(count for _, count in subjects.values())
    if not total:
        raise ValueError("no questions to average; allowed: at least one")
    return sum(accuracy * count for accuracy, count in subjects.values()) / total


def _tails(prediction: str) -> list[str]:
    """Return the shortest text after an indicator, for each line with one; `=` counts in the last line."""
    answer = prediction.strip().strip(".").lower()
    lines = answer.split("\n")  # the official rule also splits at `. ` before a capital, which lower-cased text lacks
    found = [_tail(line, INDICATORS) for line in lines[:-1]] + [_tail(lines[-1], (*INDICATORS, "="))]
    return [tail for tail in found if tail and tail not in TRIVIAL] or [answer]


def _tail(line: str, indicators: Sequence[str]) -> str:
    """Return the shortest text after an indicator, the first one of equals.

    An empty text is replaced by any later one.
    """
    shortest = ""
    for indicator in indicators:
        if indicator in line:
            tail = line.rsplit(indicator, maxsplit=1)[-1].strip()
            if not shortest or len(tail) < len(shortest):
                shortest = tail
    return shortest
