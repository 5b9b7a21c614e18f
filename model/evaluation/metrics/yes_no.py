"""Yes/no benchmarks: POPE and MME, TabFact and NLVR2. Torch-free.

Each rule only reads an answer. What it cannot read is None, which counts as wrong.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from model.evaluation.metrics.text import without_punctuation

PERCEPTION = ("existence", "count", "position", "color", "posters", "celebrity", "scene", "landmark", "artwork", "OCR")
COGNITION = ("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning")
MME_TASKS = PERCEPTION + COGNITION
MME_POINTS = 200
"""Points of each sub-task."""


def pope_llava(prediction: str) -> str:
    """Read `no` if the text before the first dot contains No, not or no as a word, else `yes`.

    Source: LLaVA's evaluation of POPE (arXiv:2305.10355). It counts every answer without a negation as yes.
    """
    words = prediction.split(".")[0].replace(",", "").split(" ")
    return "no" if {"No", "not", "no"} & set(words) else "yes"


def pope(prediction: str) -> str | None:
    """Read as LLaVA does, but return None for an answer that contains neither yes nor a negation."""
    reading = pope_llava(prediction)
    return reading if reading == "no" or re.search(r"\byes\b", prediction.lower()) else None


def plain_word(prediction: str) -> str | None:
    """Read `yes` or `no` if exactly one of them occurs as a word, whatever punctuation surrounds it, else None."""
    found = set(re.findall(r"[a-z]+", prediction.lower())) & {"yes", "no"}
    return found.pop() if len(found) == 1 else None


def pope_vlmevalkit(prediction: str) -> str | None:
    """Read `yes` or `no` if exactly one of them is a word after removing punctuation, else None (VLMEvalKit's POPE)."""
    found = set(without_punctuation(prediction.lower()).split()) & {"yes", "no"}
    return found.pop() if len(found) == 1 else None


def mme(prediction: str) -> str | None:
    """Read `yes` or `no` after removing dots: alone, as a single letter, or in the first four characters, else None.

    Source: lmms-eval's reading of MME (arXiv:2306.13394).
    """
    text = prediction.lower().strip().replace(".", "")
    return {"y": "yes", "n": "no"}.get(text) or _within_four(text)


def mme_official(prediction: str) -> str | None:
    """Read `yes` or `no` as MME's own script does: alone, or in the first four characters, else None."""
    return _within_four(prediction.lower())


def _within_four(text: str) -> str | None:
    return next((word for word in ("yes", "no") if word in text[:4]), None)


@dataclass(frozen=True, slots=True)
class YesNoSummary:
    """Accuracy, precision, recall and F1, 0 to 1, with yes as the positive class; a ratio with denominator 0 is 0."""

    accuracy: float
    precision: float
    recall: float
    f1: float
    yes_ratio: float


def summarise(predictions: Sequence[str | None], labels: Sequence[str], *, is_raw: bool = False) -> YesNoSummary:
    """Compare readings (`yes`, `no`, None) with labels.

    Args:
        predictions: the readings.
        labels: `yes` or `no`.
        is_raw: leave readings of None out of recall, as lmms-eval does, instead of counting them as missed.

    Raises:
        ValueError: there are no answers.
    """
    pairs = list(zip(predictions, labels, strict=True))
    if not pairs:
        raise ValueError("no answers to summarise; allowed: at least one")
    hits = sum(said == label == "yes" for said, label in pairs)
    said_yes, are_yes = sum(said == "yes" for said, _ in pairs), sum(label == "yes" for _, label in pairs)
    if is_raw:
        are_yes = sum(label == "yes" and said in ("yes", "no") for said, label in pairs)
    precision, recall = hits / said_yes if said_yes else 0.0, hits / are_yes if are_yes else 0.0
    f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
    return YesNoSummary(
        sum(said == label for said, label in pairs) / len(pairs), precision, recall, f1, said_yes / len(pairs)
    )


@dataclass(frozen=True, slots=True)
class MmeSummary:
    """Sums over sub-tasks: perception 0 to 2000, cognition 0 to 800, and both as a percentage of all points."""

    perception: float
    cognition: float
    normalised: float


def summarise_mme(pairs: Sequence[tuple[str, str, Sequence[bool]]], tasks: Sequence[str] = MME_TASKS) -> MmeSummary:
    """Compute MME's points: a sub-task is the mean over images of 50 per right answer, plus 100 if both are right.

    Args:
        pairs: (sub-task, image, whether each of its two answers is right).
        tasks: the sub-tasks that exist; MME has fourteen.

    Raises:
        ValueError: an image does not have exactly two answers, or the sub-task is unknown.
    """
    points: dict[str, list[float]] = {}
    for task, image, right in pairs:
        if len(right) != 2 or task not in tasks:
            raise ValueError(f"MME {task} {image}: {len(right)} answers; allowed: 2 of one of {', '.join(tasks)}")
        points.setdefault(task, []).append(50 * sum(right) + 100 * all(right))
    means = {task: sum(each) / len(each) for task, each in points.items()}
    perception, cognition = (sum(means.get(task, 0.0) for task in group) for group in (PERCEPTION, COGNITION))
    return MmeSummary(perception, cognition, 100 * (perception + cognition) / (MME_POINTS * len(tasks)))


def tabfact(prediction: str) -> str | None:
    """Read `1` or `0` if exactly one of `true` and `false` is contained, else None. Negations are not understood.

    Source: VLMEvalKit's reading of TabFact (arXiv:1909.02164).
    """
    has_true, has_false = "true" in prediction.lower(), "false" in prediction.lower()
    return str(int(has_true)) if has_true != has_false else None


def tabfact_exact(prediction: str) -> str | None:
    """Read `1` or `0` from the label's word alone, in either case, else None (DUE, UReader)."""
    return {"true": "1", "1": "1", "false": "0", "0": "0"}.get(prediction.strip().lower())


@dataclass(frozen=True, slots=True)
class PairSummary:
    """NLVR2: share of right answers, and of sentences whose image pairs are all answered right, 0 to 1."""

    accuracy: float
    consistency: float


def summarise_nlvr2(items: Sequence[tuple[str, str, str]]) -> PairSummary:
    """Compute NLVR2's scores from (identifier, prediction, label).

    A sentence is an identifier without its third field between dashes.

    Source: the script published with NLVR2 (arXiv:1811.00491).
    """
    right = [prediction.lower() == label.lower() for _, prediction, label in items]
    sentences: dict[str, bool] = {}
    for (identifier, _, _), is_right in zip(items, right, strict=True):
        fields = identifier.split("-")
        sentence = "-".join((*fields[:2], *fields[3:]))
        sentences[sentence] = sentences.get(sentence, True) and is_right
    return PairSummary(sum(right) / len(right), sum(sentences.values()) / len(sentences))
