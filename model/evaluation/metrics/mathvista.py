"""MathVista (arXiv:2310.02255): convert what a judge extracted to an answer of the question's type. Torch-free."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein


@dataclass(frozen=True, slots=True)
class AnswerKind:
    """The form of a question's answer."""

    question_type: str
    """`multi_choice` or `free_form`."""
    answer_type: str
    """`text`, `integer`, `float` or `list`."""
    precision: int = 0
    """Decimals of a float."""
    choices: tuple[str, ...] = ()


def plain(response: str, kind: AnswerKind) -> str | None:
    """Return the answer if the response is nothing else, None if it must be extracted."""
    if kind.question_type == "multi_choice" and response in kind.choices:
        return response
    try:
        if kind.answer_type == "integer":
            return str(int(response))
        return str(float(response)) if kind.answer_type == "float" else None
    except ValueError:
        return None


def normalise(extraction: str, kind: AnswerKind) -> str | None:
    """Return the extraction in the form of the answer, None if it does not have that form.

    A choice that is no letter becomes the nearest one by edit distance, so a multiple-choice answer can always be read.
    """
    if kind.question_type == "multi_choice":
        return _choice(extraction.strip(), kind.choices)
    if kind.answer_type in ("integer", "float"):
        try:
            number = float(extraction)
            return str(int(number)) if kind.answer_type == "integer" else str(round(number, kind.precision))
        except (ValueError, OverflowError):
            return None
    return extraction


def is_equal(normalised: str | None, answer: str) -> bool:
    """Return whether the normalised extraction equals the answer, up to outer white space."""
    return str(normalised).strip() == answer.strip()


def _choice(extraction: str, choices: Sequence[str]) -> str:
    bracketed = re.search(r"\(([a-zA-Z])\)", extraction)
    letter = bracketed.group(1).upper() if bracketed else extraction
    letters = string.ascii_uppercase[: len(choices)]
    if len(letter) == 1 and letter in letters:
        return choices[letters.index(letter)]
    return min(choices, key=lambda choice: Levenshtein.distance(letter, choice))
