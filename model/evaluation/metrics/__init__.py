"""Metrics by name: from a prediction and its item to a score of 0 to 1, strict and lenient, and what was read.

- Strict is the benchmark's own rule; lenient forgives the form. Strict never exceeds lenient.
- An answer that cannot be read is wrong by the strict rule, and counted; nothing is guessed.
- Where the papers leave a rule open, `ScoringConfig` chooses it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from model.config.scoring import ScoringConfig
from model.evaluation.metrics import boxes, choices, denotation, grounding, likelihood, loss, mmmu, text, vqa, yes_no
from model.images.placement import Box
from model.samples import Item

MAX_OPTIONS = 26
REALWORLDQA_LETTERS = ("A", "B", "C", "D")
DEFAULT = ScoringConfig()


@dataclass(frozen=True, slots=True)
class ItemScore:
    """The scores of one answer, 0 to 1."""

    strict: float
    lenient: float
    parsed: str | None
    """What the strict rule read, None if it could read nothing."""
    pair: tuple[float, float] | None = None
    """A judge's marks for (reference, model)."""
    is_dropped: bool = False
    """The judge failed on it: the item does not count, and the benchmark is incomplete."""
    record: dict[str, Any] = field(default_factory=dict)
    """What the judge was asked and what it replied."""

    @property
    def is_parsed(self) -> bool:
        """Whether the strict rule could read the answer."""
        return self.parsed is not None


def score_item(metric: str, prediction: str, item: Item, scoring: ScoringConfig = DEFAULT) -> ItemScore:
    """Score an answer.

    Raises:
        ValueError: the item cannot be scored: a reference is missing or empty, or there are too many or too few
            options.
    """
    if not item.references or not all(reference.strip() for reference in item.references):
        raise ValueError(
            f"{item.item_id}: references are {list(item.references)}; allowed: one or more that are not empty"
        )
    found = METRICS[metric](prediction, item, scoring)
    strict = found.strict if found.is_parsed else 0.0
    return ItemScore(strict, max(strict, found.lenient), found.parsed)


def _exact(prediction: str, item: Item, _: ScoringConfig) -> ItemScore:
    return ItemScore(
        text.exact(prediction, item.references), text.contains(prediction, item.references), _words(prediction)
    )


def _anls(prediction: str, item: Item, scoring: ScoringConfig) -> ItemScore:
    strict = text.anls(prediction, item.references, scoring.anls_form)
    return ItemScore(strict, text.contains(prediction, item.references), _words(prediction))


def _relaxed(prediction: str, item: Item, _: ScoringConfig) -> ItemScore:
    bare = prediction.strip().rstrip(".")
    lenient = text.relaxed(text.only_number(prediction) or bare, item.references)
    is_number = any(map(text.is_number, item.references))
    parsed = prediction.strip() if not is_number or text.is_number(prediction) else None
    return ItemScore(text.relaxed(prediction, item.references), lenient, parsed or None)


def _contains(prediction: str, item: Item, _: ScoringConfig) -> ItemScore:
    found = text.ocr_contains(prediction, item.references, is_formula=item.meta.get("dataset") == "HME100k")
    return ItemScore(found, found, _words(prediction))


def _lvis(prediction: str, item: Item, _: ScoringConfig) -> ItemScore:
    found = text.names_thing(prediction, item.references)
    return ItemScore(found, found, _words(prediction))


def _yes_no(prediction: str, item: Item, _: ScoringConfig) -> ItemScore:
    word, label = yes_no.pope(prediction), item.references[0].lower()
    return ItemScore(float(word == label), float(yes_no.plain_word(prediction) == label), word)


def _mme(prediction: str, item: Item, _: ScoringConfig) -> ItemScore:
    word, label = yes_no.mme(prediction), item.references[0].lower()
    return ItemScore(float(word == label), float(yes_no.plain_word(prediction) == label), word)


def _tabfact(prediction: str, item: Item, scoring: ScoringConfig) -> ItemScore:
    contained = yes_no.tabfact(prediction)
    label = yes_no.tabfact_exact(prediction) if scoring.tabfact_rule == "exact" else contained
    return ItemScore(float(label == item.references[0]), float(contained == item.references[0]), label)


def _choice(prediction: str, item: Item, _: ScoringConfig = DEFAULT, *, rule: str, gold: str = "") -> ItemScore:
    if not 2 <= len(item.options) <= MAX_OPTIONS:
        raise ValueError(f"{item.item_id}: {len(item.options)} options; allowed: 2 to {MAX_OPTIONS}")
    letter, lenient = choices.STRICT[rule](prediction, item.options), choices.lenient_letter(prediction, item.options)
    right = gold or item.references[0].strip("() ")
    return ItemScore(float(letter == right), float(lenient == right), letter)


def _realworldqa(prediction: str, item: Item, _: ScoringConfig) -> ItemScore:
    right = item.references[0].strip()
    if right.upper() in REALWORLDQA_LETTERS:
        right = right.upper()
        options = item.options or REALWORLDQA_LETTERS
        letter, lenient = choices.ranked(prediction, options), choices.lenient_letter(prediction, options)
        return ItemScore(float(letter == right), float(lenient == right), letter)
    is_same = text.same_without_dots(prediction, right)
    return ItemScore(float(is_same), text.contains(prediction, item.references), _words(prediction))


def _mantis(prediction: str, item: Item, _: ScoringConfig) -> ItemScore:
    if item.options:
        return _choice(prediction, item, rule="mantis", gold=choices.gold_letter(item.references[0]).strip("() "))
    said = choices.after_final_answer(prediction)
    is_same = said.lower() == item.references[0].strip("()\n ").lower()
    return ItemScore(float(is_same), text.contains(prediction, item.references), _words(said))


def _mmmu(prediction: str, item: Item, _: ScoringConfig) -> ItemScore:
    if item.options:
        return _choice(prediction, item, rule="mmmu")
    found = mmmu.is_right(prediction, item.references)
    return ItemScore(found, max(found, text.contains(prediction, item.references)), _words(prediction))


def _vqa(prediction: str, item: Item, scoring: ScoringConfig) -> ItemScore:
    said = vqa.cut_generation(prediction)
    strict = vqa.accuracy(said, item.references, scoring.textvqa_form)
    others = (form for form in vqa.FORMS if form != scoring.textvqa_form and strict < 1)
    return ItemScore(
        strict, max(strict, *(vqa.accuracy(said, item.references, form) for form in others), 0.0), _words(said)
    )


def _denotation(prediction: str, item: Item, scoring: ScoringConfig) -> ItemScore:
    gold = item.references[0]
    found = denotation.denotes(prediction, gold)
    strict = float(prediction.strip() == gold.strip()) if scoring.wtq_rule == "exact" else found
    return ItemScore(strict, max(found, text.contains(prediction, item.references)), denotation.said_values(prediction))


def _box(prediction: str, item: Item, scoring: ScoringConfig) -> ItemScore:
    truths = [box for box in map(boxes.strict_box, item.references) if box is not None]
    if len(truths) < len(item.references):
        raise ValueError(
            f"{item.item_id}: references are {list(item.references)}; allowed: [x1, y1, x2, y2] in thousandths"
        )
    return _overlap(boxes.strict_box(prediction), boxes.lenient_box(prediction), truths, scoring)


def _refcoco(prediction: str, item: Item, scoring: ScoringConfig) -> ItemScore:
    size, truths = _px(item)
    strict = boxes.px_box(prediction, scale=scoring.box_scale, size=size)
    return _overlap(strict, boxes.px_box_loose(prediction, scale=scoring.box_scale, size=size), truths, scoring)


def _phrase(prediction: str, item: Item, scoring: ScoringConfig) -> ItemScore:
    """Score the first box that stands alone or after the phrase."""
    size, truths = _px(item)
    truths = [boxes.enclosing(truths)] if scoring.flickr_protocol == "merged" else truths
    if scoring.box_scale == "thousandths":
        strict = grounding.first_of_phrase(prediction, item.meta["phrase"], width=size[0], height=size[1])
    else:
        strict = boxes.px_box(prediction, scale=scoring.box_scale, size=size)
    return _overlap(strict, boxes.px_box_loose(prediction, scale=scoring.box_scale, size=size), truths, scoring)


def _px(item: Item) -> tuple[tuple[float, float], list[Box]]:
    return (float(item.meta["width"]), float(item.meta["height"])), [
        tuple(box) for box in json.loads(item.meta["boxes"])
    ]


def _overlap(strict: Box | None, lenient: Box | None, truths: list[Box], scoring: ScoringConfig) -> ItemScore:
    is_above = scoring.iou_threshold == "above"
    return ItemScore(boxes.found(strict, truths, is_above=is_above), boxes.found(lenient, truths, is_above=is_above),
                     str(list(strict)) if strict else None)


def _likelihood(prediction: str, item: Item, _: ScoringConfig) -> ItemScore:
    """Score the number of bits that the model needs for the text; the prediction is that number."""
    saved = likelihood.saved(float(prediction), len(item.references[0].encode()))
    return ItemScore(saved, saved, prediction)


def _loss(prediction: str, item: Item, _: ScoringConfig) -> ItemScore:
    """Score the nats of an item's answers by the probability of a token; the benchmark's loss is made of the nats."""
    probability = loss.probability(*loss.read(prediction))
    return ItemScore(probability, probability, prediction)


def _words(prediction: str) -> str | None:
    return text.normalised(prediction) or None


Metric = Callable[[str, Item, ScoringConfig], ItemScore]
METRICS: dict[str, Metric] = {
    "exact": _exact, "anls": _anls, "relaxed": _relaxed, "contains": _contains, "lvis": _lvis, "vqa": _vqa, "denotation": _denotation,
    "yes_no": _yes_no, "mme": _mme, "tabfact": _tabfact, "mmmu": _mmmu, "mantis": _mantis, "realworldqa": _realworldqa,
    "likelihood": _likelihood, "loss": _loss, "iou": _box, "refcoco": _refcoco, "phrase": _phrase,
    "choice": partial(_choice, rule="seed"),
    **{f"choice_{rule}": partial(_choice, rule=rule) for rule in ("ai2d", "scienceqa", "mmmu", "qbench2", "blink", "mvbench", "nlvr2")},
}
