"""Short-text metrics: exact match, ANLS, relaxed accuracy, containment. Torch-free."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein

ANLS_THRESHOLD = 0.5
RELATIVE_TOLERANCE = 0.05


def normalised(text: str) -> str:
    """Lower-case, collapse white space, drop one final dot."""
    return " ".join(text.lower().split()).removesuffix(".").strip()


def exact(prediction: str, references: Sequence[str]) -> float:
    """Return 1 if the prediction equals a reference up to case, white space and a final dot, else 0."""
    return float(normalised(prediction) in {normalised(reference) for reference in references})


def contains(prediction: str, references: Sequence[str]) -> float:
    """Return 1 if a reference occurs in the prediction as whole words, else 0: the lenient form of `exact`."""
    text = normalised(prediction)
    return float(any(re.search(rf"(?<!\w){re.escape(normalised(reference))}(?!\w)", text) for reference in references))


def anls(prediction: str, references: Sequence[str], form: str = "rrc") -> float:
    """Return the normalised Levenshtein similarity to the best reference, 0 below a half.

    Args:
        prediction: the answer.
        references: accepted answers.
        form: `rrc` is the robust-reading challenge's (ST-VQA, arXiv:1905.13648): the distance is computed on stripped,
            lower-cased text with collapsed white space, the length on the original strings, and 0.5 itself is kept.
            `due` compares raw strings and `pix2struct` lower-cased ones; both drop 0.5.
    """
    if form == "rrc":
        best = max(_similarity(prediction, reference) for reference in references)
        return best if best >= ANLS_THRESHOLD else 0.0
    spell = str.lower if form == "pix2struct" else str
    best = max(_raw_similarity(spell(prediction), spell(reference)) for reference in references)
    return best if best > ANLS_THRESHOLD else 0.0


def _similarity(prediction: str, reference: str) -> float:
    a, b = (" ".join(text.strip().lower().split()) for text in (prediction, reference))
    length = max(len(prediction.upper()), len(reference.upper()))  # as the references count: `ß` is two
    return 1.0 if length == 0 else 1 - Levenshtein.distance(a, b) / length


def _raw_similarity(a: str, b: str) -> float:
    length = max(len(a), len(b))
    return 1.0 if length == 0 else 1 - Levenshtein.distance(a, b) / length


def relaxed(prediction: str, references: Sequence[str]) -> float:
    """Return 1 if a number is within 5 % of a reference, or a text equals it up to case, else 0.

    Source: ChartQA (arXiv:2203.10244): a trailing `%` divides by 100; a reference of 0 needs the same string.
    """
    return float(any(_relaxed(prediction, reference) for reference in references))


def _relaxed(prediction: str, reference: str) -> bool:
    found, target = _number(prediction), _number(reference)
    if found is not None and target:
        return abs(found - target) / abs(target) <= RELATIVE_TOLERANCE
    return prediction.lower() == reference.lower()


def _number(text: str) -> float | None:
    try:
        return float(text.rstrip("%")) / 100 if text.endswith("%") else float(text)
    except ValueError:
        return None


def is_number(text: str) -> bool:
    """Return whether the text is a finite number or percentage."""
    found = _number(text.strip())
    return found is not None and math.isfinite(found)


def only_number(text: str) -> str | None:
    """Return the only number in a sentence, without thousands separators; None if there is none, or several."""
    found = re.findall(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?%?", text, re.ASCII)
    return str(found[0]).replace(",", "") if len(found) == 1 else None


FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}


def ocr_contains(prediction: str, references: Sequence[str], *, is_formula: bool = False) -> float:
    """Return 1 if a reference is contained in the prediction, else 0.

    Case, line breaks and full-width forms of ASCII are ignored; in handwritten formulas only spaces are.

    Raises:
        ValueError: a reference is empty, so every answer would contain it.

    Source: lmms-eval's OCRBench (arXiv:2305.07895).
    """
    spell = _without_spaces if is_formula else _plain
    if not all(spell(reference) for reference in references):
        raise ValueError(f"an empty reference among {list(references)}; every answer would contain it")
    return float(any(spell(reference) in spell(prediction) for reference in references))


def _plain(text: str) -> str:
    return text.translate(FULL_WIDTH).lower().strip().replace("\n", " ")


def _without_spaces(text: str) -> str:
    return text.strip().replace("\n", " ").replace(" ", "")


def without_negations(text: str) -> str:
    """Delete text from ` not` to the next comma or dot, then from ` no` (Ferret's LVIS, arXiv:2310.07704)."""
    for word in ("not", "no"):
        text = re.sub(rf"\s+{word}[^,.]*[,.]", "", text)
    return text


def names_thing(prediction: str, names: Sequence[str]) -> float:
    """Return 1 if a name is contained as it is spelled, outside negations, else 0; `a_(b)` stands for both a and b."""
    spelt = (part.strip() for name in names for part in name.replace("_", " ").replace(")", "").split("("))
    said = without_negations(prediction)
    return float(any(name in said for name in spelt if name))


def same_without_dots(prediction: str, reference: str) -> bool:
    """Return whether an answer equals a reference up to case, outer white space and its trailing dots (RealWorldQA)."""
    return prediction.lower().strip().rstrip(".") == reference.lower().strip()


MAX_DOTS = 32
"""How many dots the VQA challenge's script deletes: it passes a flag as the number of replacements, and all copies do
so.
"""
MARKS = ';/[]"{}()=+\\_-><@`,?!'


def without_punctuation(text: str, *, dot: str = r"\.(?!\d)") -> str:
    """Delete the VQA challenge's punctuation beside a space, or if the text contains 1,000.

    Otherwise replace it by a space.

    Args:
        text: any text.
        dot: pattern of the dots to delete; by default those without a digit after them.
    """
    has_thousands = re.search(r"\d,\d", text) is not None
    result = text
    for mark in MARKS:
        if mark in text:
            is_beside_space = f"{mark} " in text or f" {mark}" in text
            result = result.replace(mark, "" if is_beside_space or has_thousands else " ")
    return re.sub(dot, "", result, count=MAX_DOTS) if "." in result else result
