"""Read boxes, and compute intersection over union. Torch-free.

Our models write thousandths of the image. That scale is fixed and never guessed: `strict_box` accepts the model's own
form; `lenient_box` also accepts other separators, swapped corners and values outside the image. Two readers of
reference implementations are here for comparison.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from model.images.placement import THOUSANDTHS, Box, parse_box

THRESHOLD = 0.5
"""Overlap that counts as found. The reference implementations compare with >=, although the papers write >."""

_DECIMAL = r"(-?\d+(?:\.\d+)?)"
_PLAIN = re.compile(rf"\[\s*{_DECIMAL},\s*{_DECIMAL},\s*{_DECIMAL},\s*{_DECIMAL}\s*\]")
_NUMBER = r"[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?"
_LOOSE = re.compile(r"\[\s*" + r"(?:\s*,\s*|\s+)".join([f"({_NUMBER})"] * 4) + r"\s*\]")


def iou(a: Box, b: Box) -> float:
    """Return the intersection over union of two boxes, 0 to 1; a box without area overlaps nothing."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0.0, width) * max(0.0, height)
    union = _area(a) + _area(b) - shared
    return shared / union if union > 0 else 0.0


def found(guess: Box | None, truths: Sequence[Box], *, is_above: bool = False) -> float:
    """Return 1 if the box overlaps a true one by at least a half (more, if `is_above`), else 0 (precision at 1)."""
    if guess is None:
        return 0.0
    best = max((iou(guess, truth) for truth in truths), default=0.0)
    return float(best > THRESHOLD or (best == THRESHOLD and not is_above))


def enclosing(boxes: Sequence[Box]) -> Box:
    """Return the smallest box around all boxes: the `merged` protocol of Flickr30k's phrase grounding."""
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left), min(top), max(right), max(bottom)


def strict_box(prediction: str) -> Box | None:
    """Return the first `[x1, y1, x2, y2]` of whole thousandths, or None."""
    return parse_box(prediction)


def lenient_box(prediction: str) -> Box | None:
    """Return the first four numbers as thousandths, clipped to the image, with ordered corners.

    None if there are fewer.
    """
    numbers = _four_numbers(prediction)
    return _ordered(tuple(min(max(0.0, each), float(THOUSANDTHS)) for each in numbers)) if numbers else None


def px_box(prediction: str, *, scale: str, size: tuple[float, float]) -> Box | None:
    """Return the first bracket of four numbers in px, or None.

    Args:
        prediction: the answer.
        scale: the unit of coordinates: `thousandths` (whole numbers), `fractions` or `pixels`.
        size: width and height of the image in px.
    """
    box = strict_box(prediction) if scale == "thousandths" else lmms_box(prediction)
    return None if box is None else _scaled(box, scale, size)


def px_box_loose(prediction: str, *, scale: str, size: tuple[float, float]) -> Box | None:
    """Return the first four numbers in px, clipped to the image, with ordered corners; None if there are fewer."""
    numbers = _four_numbers(prediction)
    if numbers is None:
        return None
    return _ordered(
        tuple(min(max(0.0, each), side) for each, side in zip(_scaled(numbers, scale, size), size * 2, strict=True))
    )


def _scaled(box: Box, scale: str, size: tuple[float, float]) -> Box:
    unit = {"thousandths": THOUSANDTHS, "fractions": 1}.get(scale)
    across, down = (1.0, 1.0) if unit is None else (size[0] / unit, size[1] / unit)
    return box[0] * across, box[1] * down, box[2] * across, box[3] * down


def lmms_box(prediction: str) -> Box | None:
    """Read the first bracket of four plain decimals, without clipping or swapping (lmms-eval's RefCOCO)."""
    match = _PLAIN.search(prediction)
    return _box(match.groups()) if match else None


def vlmevalkit_box(prediction: str, *, width: float, height: float) -> Box | None:
    """Read the first four numbers as px of an image; their scale is guessed from their size (VLMEvalKit's RefCOCO)."""
    numbers = _four_numbers(prediction)
    if numbers is None:
        return None
    largest = max(map(abs, numbers))
    sides = (width, height) * 2
    scales = [side if largest <= 1.5 else side / THOUSANDTHS if largest <= THOUSANDTHS else 1.0 for side in sides]
    return _ordered(
        tuple(min(max(0.0, each * scale), side) for each, scale, side in zip(numbers, scales, sides, strict=True))
    )


def _four_numbers(prediction: str) -> Box | None:
    bracketed = _LOOSE.search(prediction)
    numbers = bracketed.groups() if bracketed else re.findall(_NUMBER, prediction)[:4]
    return _box(numbers) if len(numbers) == 4 else None


def _box(numbers: Sequence[str]) -> Box:
    x1, y1, x2, y2 = map(float, numbers)
    return x1, y1, x2, y2


def _ordered(box: tuple[float, ...]) -> Box:
    x1, y1, x2, y2 = box
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def _area(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])
