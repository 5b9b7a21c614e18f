"""A page of single answers out of very many: only the lines that it shows are parsed.

- A file has one line for each item, and all evaluations of a benchmark ask the items in the same order. So the other
  arm's answer stands on the same line; where it does not, that is said.
- `worse` and `unread` are decided by two fields that are found in the line without parsing it: 200,000 lines take a
  third of a second.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Literal

from model.evaluation.stored_answers import Answer, parse
from orchestrator.errors import StudyError
from orchestrator.results.stored_scores import ItemScores

Only = Literal["all", "worse", "unread", "wrong"]
_SCORE = re.compile(r'"score": ([-+0-9.eE]+)')
_UNREAD = '"parsed": null'


@dataclass(frozen=True, slots=True)
class Pair:
    """An item as one arm answered it, and as another one did."""

    answer: Answer
    other: Answer | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemPage:
    """Some items of a benchmark."""

    pairs: tuple[Pair, ...]
    num_matching: int
    """Of all items, those that the filter keeps."""
    num_items: int


def item_page(mine: Path, theirs: Path | None, benchmark: str, *, only: Only = "all", start: int = 0,
              limit: int = 20) -> ItemPage:
    """Read one page.

    Args:
        mine: file of the answers.
        theirs: file of another arm's answers to the same items, or None.
        benchmark: its name.
        only: which items: all; those answered worse than by the other arm; those that could not be read; those with a
            score below 1.
        start: matching items to pass over.
        limit: items on the page.

    Raises:
        StudyError: a line is not an answer, or the two files hold different items.
    """
    lines, others = _lines(mine), _lines(theirs) if theirs else []
    if theirs and len(others) != len(lines):
        raise StudyError(benchmark, 0, f"the arms answered {len(lines)} and {len(others)} items",
                         "only answers to the same items can be set side by side")
    places = [i for i, (line, other) in enumerate(zip_longest(lines, others)) if _is_wanted(only, line, other)]
    pairs = tuple(_pairs(lines, others, places[start:start + limit], benchmark))
    return ItemPage(pairs=pairs, num_matching=len(places), num_items=len(lines))


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredPage:
    """Some items of a benchmark of which only the scores are known, as of an imported record."""

    pairs: tuple[tuple[ItemScores, ItemScores | None], ...]
    num_matching: int
    num_items: int


def scored_page(mine: Sequence[ItemScores], theirs: Sequence[ItemScores] | None, *, only: Only = "all", start: int = 0,
                limit: int = 20) -> ScoredPage:
    """Return one page of items with their scores; arguments as of `item_page`. Items are paired by their id."""
    others = {each.item_id: each for each in theirs or ()}
    wanted: dict[Only, Callable[[ItemScores, ItemScores | None], bool]] = {
        "all": lambda own, other: True, "unread": lambda own, other: not own.is_read, "wrong": lambda own, other: own.strict < 1,
        "worse": lambda own, other: other is not None and own.strict < other.strict}
    found = [(each, others.get(each.item_id)) for each in mine if wanted[only](each, others.get(each.item_id))]
    return ScoredPage(pairs=tuple(found[start:start + limit]), num_matching=len(found), num_items=len(mine))


def _lines(path: Path) -> list[str]:
    # Not splitlines: an answer may hold what Unicode calls a line separator.
    text = path.read_text(encoding="utf-8").removesuffix("\n")
    return text.split("\n") if text else []


def _is_wanted(only: Only, line: str, other: str | None) -> bool:
    if only == "unread":
        return _UNREAD in line
    if only == "worse":
        return other is not None and _score(line) < _score(other)
    return only == "all" or _score(line) < 1


def _score(line: str) -> float:
    match = _SCORE.search(line)
    return float(match[1]) if match else 0.0


def _pairs(lines: Sequence[str], others: Sequence[str], places: Sequence[int], benchmark: str) -> Iterator[Pair]:
    for i in places:
        try:
            answer, other = parse(lines[i], benchmark), parse(others[i], benchmark) if others else None
        except ValueError as error:
            raise StudyError(benchmark, i + 1, f"its stored answers cannot be read: {error}") from error
        if other is not None and other.item.item_id != answer.item.item_id:
            raise StudyError(
                benchmark, i + 1, f"the arms answered different items: {answer.item.item_id} and {other.item.item_id}"
            )
        yield Pair(answer, other)
