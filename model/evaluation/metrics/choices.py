"""Yes/no and multiple choice: what the answer says, before whether it is right. Torch-free.

Nothing is guessed at random: what cannot be read is None, and wrong.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from model.evaluation.metrics.text import normalised


def yes_no(prediction: str) -> str:
    """Read `yes` or `no`: text before the first dot, `no` if it holds No, not or no as a word, else `yes`.

    Source: LLaVA's evaluation of POPE (arXiv:2305.10355). It calls everything without a negation a yes.
    """
    words = prediction.split(".")[0].replace(",", "").split(" ")
    return "no" if {"No", "not", "no"} & set(words) else "yes"


def yes_no_word(prediction: str) -> str | None:
    """Read `yes` or `no` where exactly one of them stands as a word, else None."""
    words = set(re.findall(r"[a-z]+", prediction.lower()))
    found = words & {"yes", "no"}
    return found.pop() if len(found) == 1 else None


@dataclass(frozen=True, slots=True)
class YesNoSummary:
    """Accuracy, precision, recall and F1, 0 to 1, with yes as the positive class; ratios over nothing are 0."""

    accuracy: float
    precision: float
    recall: float
    f1: float
    yes_ratio: float


def summarise_yes_no(predictions: Sequence[str], labels: Sequence[str]) -> YesNoSummary:
    """Compare answers (`yes` or `no`) with labels."""
    pairs = list(zip(predictions, labels, strict=True))
    hits = sum(p == label == "yes" for p, label in pairs)
    said, real = sum(p == "yes" for p, _ in pairs), sum(label == "yes" for _, label in pairs)
    precision, recall = hits / said if said else 0.0, hits / real if real else 0.0
    f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
    return YesNoSummary(sum(p == label for p, label in pairs) / len(pairs), precision, recall, f1, said / len(pairs))


def first_letter(prediction: str, num_options: int) -> str | None:
    """Read the first character as the option's letter (SEED-Bench's rule, arXiv:2307.16125), else None."""
    letter = prediction.strip()[:1].upper()
    return letter if letter and letter in _letters(num_options) else None


def lenient_letter(prediction: str, options: Sequence[str]) -> str | None:
    """Read the option's letter as generously as can be done without guessing, else None.

    In this order: after "answer is", "answer:", "option" or in a box; the last "(X)"; a leading letter; the only stand-alone
    capital; the text of exactly one option.
    """
    valid = _letters(len(options))
    said = rf"(?:answer\s+is|answer\s*:|option)\s*\(?([{valid}])\b|\\boxed\{{\s*([{valid}])\s*\}}"
    phrased = re.search(said, prediction, re.IGNORECASE)
    if phrased:
        return (phrased.group(1) or phrased.group(2)).upper()
    bracketed = re.findall(rf"\(([{valid}])\)", prediction)
    if bracketed:
        return str(bracketed[-1])
    leading = re.match(rf"([{valid}])(?=$|[\s.):,])", prediction.strip())
    if leading:
        return leading.group(1)
    alone = set(re.findall(rf"\b([{valid}])\b", prediction))
    if len(alone) == 1:
        return str(alone.pop())
    equal = [letter for letter, option in zip(valid, options, strict=True) if normalised(option) == normalised(prediction)]
    return equal[0] if len(equal) == 1 else None


def _letters(count: int) -> str:
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[:count]
