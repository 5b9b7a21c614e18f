"""Short-text metrics: exact match, ANLS, relaxed accuracy. Torch-free."""

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
    """Return 1 if a reference stands in the prediction as whole words, else 0: the lenient form of `exact`."""
    text = normalised(prediction)
    return float(any(re.search(rf"(?<!\w){re.escape(normalised(reference))}(?!\w)", text) for reference in references))


def anls(prediction: str, references: Sequence[str]) -> float:
    """Return the normalised Levenshtein similarity to the best reference, 0 below a half.

    Source: the robust-reading challenge's form (ST-VQA, arXiv:1905.13648): the distance is taken on stripped, lower-cased text
    with collapsed white space, the length on the original strings, and 0.5 itself is kept.
    """
    best = max(_similarity(prediction, reference) for reference in references)
    return best if best >= ANLS_THRESHOLD else 0.0


def _similarity(prediction: str, reference: str) -> float:
    a, b = (" ".join(text.strip().lower().split()) for text in (prediction, reference))
    length = max(len(prediction), len(reference))
    return 1.0 if length == 0 else 1 - Levenshtein.distance(a, b) / length


def relaxed(prediction: str, references: Sequence[str]) -> float:
    """Return 1 if a number is within 5 % of a reference, or a text equals it up to case; else 0.

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


def has_number(text: str) -> bool:
    """Say whether the text can be read as a finite number."""
    found = _number(text.strip())
    return found is not None and math.isfinite(found)
