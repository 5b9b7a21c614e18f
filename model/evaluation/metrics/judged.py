"""Read judges' replies and compute scores from them: LLaVA-Bench, Ferret-Bench, MM-Vet. Torch-free.

A reply that cannot be read, or whose marks are outside the scale, gives None: the judge is asked again, then the item
is dropped and counted. The reference implementations average it in as -1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from model.images.placement import THOUSANDTHS

MARKS = (0.0, 10.0)
"""Smallest and largest mark of a pair. Judges are asked for 1 to 10, but a 0 for an empty answer is accepted."""
GRADES = (0.0, 1.0)


def score_pair(reply: str) -> tuple[float, float] | None:
    """Read (reference, model) from the first line: exactly two numbers, separated by a single space or comma.

    Source: LLaVA's parser of reviews (arXiv:2304.08485), the same in Ferret-Bench.
    """
    fields = reply.split("\n")[0].replace(",", " ").split(" ")
    return _pair(fields) if len(fields) == 2 else None


def score_pair_loose(reply: str) -> tuple[float, float] | None:
    """Read the first two numbers of the first line, whatever surrounds them (lmms-eval's parser)."""
    numbers = re.findall(r"-?\d+(?:\.\d+)?", reply.strip().split("\n")[0].replace(",", " ").replace(";", " "))
    return _pair(numbers[:2]) if len(numbers) >= 2 else None


def _pair(fields: Sequence[str]) -> tuple[float, float] | None:
    try:
        pair = (float(fields[0]), float(fields[1]))
    except ValueError:
        return None
    return pair if all(_is_within(mark, MARKS) for mark in pair) else None


def _is_within(number: float, scale: tuple[float, float]) -> bool:
    """Return whether a number is within the scale.

    -1, which the reference implementations use for unread replies, is not.
    """
    return scale[0] <= number <= scale[1]


def relative(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Return 100 x the model's mean / the reference's mean, or None without pairs.

    Both means are rounded to 3 decimals and the ratio to 1. A model that is rated better than the reference answer
    scores above 100.
    """
    if not pairs:
        return None
    reference, model = (round(sum(column) / len(column), 3) for column in zip(*pairs, strict=True))
    return round(model / reference * 100, 1) if reference else None


def correctness(reply: str) -> float | None:
    """Read MM-Vet's grade: the first word as a number of 0 to 1, else None (arXiv:2308.02490)."""
    try:
        grade = float(reply.strip().split(" ")[0].strip())
    except ValueError:
        return None
    return grade if _is_within(grade, GRADES) else None


def correctness_whole(reply: str) -> float | None:
    """Read MM-Vet's grade if the whole reply is one number of 0 to 1, else None (VLMEvalKit)."""
    try:
        grade = float(reply)
    except ValueError:
        return None
    return grade if _is_within(grade, GRADES) else None


def shown_to_judge(answer: str, category: str) -> str | None:
    """Return a Ferret-Bench answer as its judge sees it.

    Without boxes in refer_*, with boxes as fractions in ground_conv.

    Returns:
        None if a bracket has no box of four numbers: the reference implementation fails there.

    Source: Ferret (arXiv:2310.07704), whose judge takes boxes as fractions of the image.
    """
    brackets = re.findall(r"\[.*?\]", answer)
    if category in ("refer_desc", "refer_reason"):
        for bracket in brackets:
            answer = answer.replace(f" {bracket}", "")
        return answer
    for bracket in brackets if category == "ground_conv" else ():
        fractions = _fractions(bracket)
        if fractions is None:
            return None
        answer = answer.replace(bracket, fractions)
    return answer


def _fractions(bracket: str) -> str | None:
    """Return thousandths as fractions; a bracket with more than four numbers is no box and is deleted."""
    try:
        numbers = [float(part) / THOUSANDTHS for part in bracket.replace("[", "").replace("]", "").split(",")]
    except ValueError:
        return None
    if len(numbers) > 4:
        return ""
    return f"[{', '.join(f'{number:.3f}' for number in numbers)}]" if len(numbers) == 4 else None
