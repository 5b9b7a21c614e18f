"""Phrase grounding: Flickr30k's recall, Ferret's boxes in text, and an upper bound for comparison. Torch-free."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from model.evaluation.metrics.boxes import THRESHOLD, enclosing, iou
from model.images.placement import THOUSANDTHS, Box

ENDS = ".,;!?"
"""After a box, the text up to one of these characters is skipped."""
NO_BOX: Box = (0.0, 0.0, 0.0, 0.0)
BOX_KEYS = ("bbox_2d", "bbox", "box", "coordinates", "coord", "location", "position")

_DECIMAL = r"(-?\d+(?:\.\d+)?)"
_FOUR = re.compile(r"\[?\s*" + r"\s*[,\s]\s*".join([_DECIMAL] * 4) + r"\s*\]?")


def decode(text: str, *, width: float, height: float) -> list[tuple[str, Box]] | None:
    """Read (phrase, box in px) from `phrase [x1, y1, x2, y2]`; coordinates are whole thousandths, px are truncated.

    A phrase that follows a box without one of `ENDS` between them is lost, and its box stands alone.

    Returns:
        None if a bracket has fewer than four numbers or one that is not whole: Ferret's decoder fails on the whole
        answer.

    Source: Ferret (arXiv:2310.07704).
    """
    found: list[tuple[str, Box]] = []
    start, phrase = 0, ""
    for bracket in re.finditer(r"[\[\]]", text):
        at = bracket.start()
        inside, start = text[start:at].strip(), at + 1
        if bracket.group() == "[":
            phrase = inside
            continue
        box = _whole_box(inside, width=width, height=height)
        if box is None:
            return None
        found.append((phrase, box))
        start = next((i for i in range(start, len(text)) if text[i] in ENDS), len(text)) + 1
    return found


def _whole_box(text: str, *, width: float, height: float) -> Box | None:
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        return None
    if len(numbers) < 4:
        return None
    x1, y1, x2, y2 = (
        float(int(number * (side / THOUSANDTHS))) for number, side in zip(numbers[:4], (width, height) * 2, strict=True)
    )
    return x1, y1, x2, y2


def is_same_phrase(a: str, b: str) -> bool:
    """Return whether two phrases are equal up to case, punctuation and white space."""
    return _bare(a) == _bare(b)


def _bare(phrase: str) -> str:
    spaced = re.sub(r"\s*(['\",.;!?|:])\s*", r"\1 ", phrase.lower())
    return " ".join(re.sub(r"[^\w\s]", "", spaced).split())


def first_of_phrase(text: str, phrase: str, *, width: float, height: float) -> Box | None:
    """Return the first box that belongs to a phrase or stands alone, in px; None if there is none."""
    found = decode(text, width=width, height=height) or []
    return next((box for said, box in found if not said or is_same_phrase(said, phrase)), None)


def best_overlap(guesses: Sequence[Box], truths: Sequence[Box], *, k: int = 1) -> float:
    """Return the largest overlap of the first k guesses (-1: all) with any true box, 0 to 1."""
    chosen = guesses if k < 0 else guesses[:k]
    return max((iou(guess, truth) for guess in chosen for truth in truths), default=0.0)


def is_recalled(guesses: Sequence[Box], truths: Sequence[Box], *, k: int = 1, protocol: str = "any") -> bool:
    """Return whether one of the first k guesses overlaps a true box by at least a half.

    Args:
        guesses: in the order of the answer.
        truths: true boxes of the phrase.
        k: how many guesses count; -1 means all.
        protocol: `any` compares with each box, `merged` with the smallest box around all of them.
    """
    return best_overlap(guesses, [enclosing(truths)] if protocol == "merged" else truths, k=k) >= THRESHOLD


# ---- an upper bound: the best box in the best scale, chosen by the true box ----------------------------------------


def all_boxes(text: str) -> list[Box]:
    """Return all boxes of an answer, from its JSON or else from its numbers, unscaled (lmms-eval's refcoco_grounding)."""
    return _of_json(_json(text.strip())) or [_four(match.groups()) for match in _FOUR.finditer(text)]


def oracle_box(text: str, truth: Box, *, width: float, height: float) -> Box:
    """Return the box, read as px or as thousandths, that overlaps the true box most: an upper bound, never a score."""
    sides = (width, height) * 2
    readings = [
        reading
        for box in all_boxes(text)
        for reading in (box, _four([number / THOUSANDTHS * side for number, side in zip(box, sides, strict=True)]))
    ]
    return max(readings, key=lambda box: iou(box, truth), default=NO_BOX)


def _json(text: str) -> Any:
    fenced = re.search(r"```(?:json)?\s*(.*?)\s*```", text, re.DOTALL | re.IGNORECASE)
    spans = [(text.find(opening), text.rfind(closing)) for opening, closing in ("[]", "{}")]
    for part in (fenced.group(1) if fenced else "", text, *(text[a : b + 1] for a, b in spans if 0 <= a < b)):
        try:
            return json.loads(part)
        except ValueError:
            continue
    return None


def _of_json(data: Any) -> list[Box]:
    if isinstance(data, list) and len(data) == 4 and all(isinstance(each, int | float) for each in data):
        return [_four(data)]
    if isinstance(data, dict):
        named = next((box for key in BOX_KEYS if (box := _four_of(data.get(key))) is not None), None)
        return [named] if named is not None else [box for each in data.values() for box in _of_json(each)]
    return [box for each in data for box in _of_json(each)] if isinstance(data, list) else []


def _four_of(value: Any) -> Box | None:
    try:
        return _four(value) if isinstance(value, list) and len(value) == 4 else None
    except (TypeError, ValueError):
        return None


def _four(numbers: Sequence[Any]) -> Box:
    x1, y1, x2, y2 = map(float, numbers)
    return x1, y1, x2, y2
