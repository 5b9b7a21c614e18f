"""Metrics by name: from a prediction and its item to a score of 0 to 1, strict and lenient, and whether it could be read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from model.data.samples import Item
from model.evaluation.metrics import boxes, choices, text
from model.images.layout import parse_box


@dataclass(frozen=True, slots=True)
class ItemScore:
    """One answer judged; what cannot be parsed is wrong, and counted."""

    strict: float
    lenient: float
    is_parsed: bool


def _exact(prediction: str, item: Item) -> ItemScore:
    return ItemScore(text.exact(prediction, item.references), text.contains(prediction, item.references), bool(prediction.strip()))


def _anls(prediction: str, item: Item) -> ItemScore:
    score = text.anls(prediction, item.references)
    return ItemScore(score, max(score, text.contains(prediction, item.references)), bool(prediction.strip()))


def _relaxed(prediction: str, item: Item) -> ItemScore:
    score = text.relaxed(prediction, item.references)
    return ItemScore(score, max(score, text.relaxed(prediction.strip().rstrip("."), item.references)), text.has_number(prediction))


def _yes_no(prediction: str, item: Item) -> ItemScore:
    word, (label, *_) = choices.yes_no_word(prediction), item.references
    return ItemScore(float(word is not None and choices.yes_no(prediction) == label), float(word == label), word is not None)


def _choice(prediction: str, item: Item) -> ItemScore:
    letter, (right, *_) = choices.first_letter(prediction, len(item.options)), item.references
    lenient = choices.lenient_letter(prediction, item.options)
    return ItemScore(float(letter == right), float(lenient == right), letter is not None)


def _box(prediction: str, item: Item) -> ItemScore:
    score = max(boxes.found(prediction, reference) for reference in item.references)
    return ItemScore(score, score, parse_box(prediction) is not None)


METRICS: dict[str, Callable[[str, Item], ItemScore]] = {
    "exact": _exact, "anls": _anls, "relaxed": _relaxed, "yes_no": _yes_no, "choice": _choice, "iou": _box,
}
