"""Metrics by name: from a prediction and its item to a score of 0 to 1, strict and lenient, and what was read.

- Strict is the benchmark's own rule, lenient forgives form; strict never exceeds lenient.
- What cannot be read is wrong by the strict rule, and counted; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from model.data.samples import Item
from model.evaluation.metrics import boxes, choices, text, yes_no

MAX_OPTIONS = 26
REALWORLDQA_LETTERS = ("A", "B", "C", "D")


@dataclass(frozen=True, slots=True)
class ItemScore:
    """One answer judged, 0 to 1."""

    strict: float
    lenient: float
    parsed: str | None
    """What the strict rule read; None where it could read nothing."""

    @property
    def is_parsed(self) -> bool:
        """Whether the strict rule could read the answer."""
        return self.parsed is not None


def score_item(metric: str, prediction: str, item: Item) -> ItemScore:
    """Judge an answer.

    Raises:
        ValueError: the item cannot be judged: no reference, an empty one, or options that no letters name.
    """
    if not item.references or not all(reference.strip() for reference in item.references):
        raise ValueError(f"{item.item_id}: references are {list(item.references)}; allowed: one or more that are not empty")
    found = METRICS[metric](prediction, item)
    strict = found.strict if found.is_parsed else 0.0
    return ItemScore(strict, max(strict, found.lenient), found.parsed)


def _exact(prediction: str, item: Item) -> ItemScore:
    return ItemScore(text.exact(prediction, item.references), text.contains(prediction, item.references), _words(prediction))


def _anls(prediction: str, item: Item) -> ItemScore:
    return ItemScore(text.anls(prediction, item.references), text.contains(prediction, item.references), _words(prediction))


def _relaxed(prediction: str, item: Item) -> ItemScore:
    bare = prediction.strip().rstrip(".")
    lenient = text.relaxed(text.only_number(prediction) or bare, item.references)
    is_number = any(map(text.is_number, item.references))
    parsed = prediction.strip() if not is_number or text.is_number(prediction) else None
    return ItemScore(text.relaxed(prediction, item.references), lenient, parsed or None)


def _contains(prediction: str, item: Item) -> ItemScore:
    found = text.ocr_contains(prediction, item.references, is_formula=item.meta.get("dataset") == "HME100k")
    return ItemScore(found, found, _words(prediction))


def _lvis(prediction: str, item: Item) -> ItemScore:
    found = text.names_thing(prediction, item.references)
    return ItemScore(found, found, _words(prediction))


def _yes_no(prediction: str, item: Item) -> ItemScore:
    word, label = yes_no.pope(prediction), item.references[0].lower()
    return ItemScore(float(word == label), float(yes_no.plain_word(prediction) == label), word)


def _mme(prediction: str, item: Item) -> ItemScore:
    word, label = yes_no.mme(prediction), item.references[0].lower()
    return ItemScore(float(word == label), float(yes_no.plain_word(prediction) == label), word)


def _tabfact(prediction: str, item: Item) -> ItemScore:
    label = yes_no.tabfact(prediction)
    return ItemScore(float(label == item.references[0]), float(label == item.references[0]), label)


def _choice(rule: str) -> Callable[[str, Item], ItemScore]:
    def judge(prediction: str, item: Item) -> ItemScore:
        if not 2 <= len(item.options) <= MAX_OPTIONS:
            raise ValueError(f"{item.item_id}: {len(item.options)} options; allowed: 2 to {MAX_OPTIONS}")
        letter, lenient = choices.STRICT[rule](prediction, item.options), choices.lenient_letter(prediction, item.options)
        right = item.references[0].strip("() ")
        return ItemScore(float(letter == right), float(lenient == right), letter)

    return judge


def _realworldqa(prediction: str, item: Item) -> ItemScore:
    right = item.references[0]
    if right in REALWORLDQA_LETTERS:
        options = item.options or REALWORLDQA_LETTERS
        letter, lenient = choices.ranked(prediction, options), choices.lenient_letter(prediction, options)
        return ItemScore(float(letter == right), float(lenient == right), letter)
    is_same = text.same_without_dots(prediction, right)
    return ItemScore(float(is_same), text.contains(prediction, item.references), _words(prediction))


def _mantis(prediction: str, item: Item) -> ItemScore:
    if item.options:
        return _choice("mantis")(prediction, item)
    said = choices.after_final_answer(prediction)
    is_same = said.lower() == item.references[0].strip().lower()
    return ItemScore(float(is_same), text.contains(prediction, item.references), _words(said))


def _box(prediction: str, item: Item) -> ItemScore:
    truths = [box for box in map(boxes.strict_box, item.references) if box is not None]
    if len(truths) < len(item.references):
        raise ValueError(f"{item.item_id}: references are {list(item.references)}; allowed: [x1, y1, x2, y2] in thousandths")
    read = boxes.strict_box(prediction)
    return ItemScore(boxes.found(read, truths), boxes.found(boxes.lenient_box(prediction), truths), str(list(read)) if read else None)


def _words(prediction: str) -> str | None:
    return text.normalised(prediction) or None


METRICS: dict[str, Callable[[str, Item], ItemScore]] = {
    "exact": _exact, "anls": _anls, "relaxed": _relaxed, "contains": _contains, "lvis": _lvis,
    "yes_no": _yes_no, "mme": _mme, "tabfact": _tabfact,
    "choice": _choice("seed"), "choice_ai2d": _choice("ai2d"), "choice_scienceqa": _choice("scienceqa"),
    "choice_mmmu": _choice("mmmu"), "choice_qbench2": _choice("qbench2"), "choice_blink": _choice("blink"),
    "choice_mvbench": _choice("mvbench"), "choice_nlvr2": _choice("nlvr2"), "mantis": _mantis, "realworldqa": _realworldqa,
    "iou": _box,
}
