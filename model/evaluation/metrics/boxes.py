"""Boxes: intersection over union in thousandths of the image. Torch-free."""

from __future__ import annotations

from model.images.layout import Box, parse_box

THRESHOLD = 0.5
"""Overlap that counts as found; the references compare with >=, though the papers write >."""


def iou(a: Box, b: Box) -> float:
    """Return the overlap of two boxes, 0 to 1; a box without area overlaps nothing."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0.0, width) * max(0.0, height)
    union = _area(a) + _area(b) - shared
    return shared / union if union > 0 else 0.0


def found(prediction: str, reference: str) -> float:
    """Return 1 if the first box of the prediction overlaps the reference by a half, else 0 (precision at 1)."""
    guess, truth = parse_box(prediction), parse_box(reference)
    return float(guess is not None and truth is not None and iou(guess, truth) >= THRESHOLD)


def _area(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])
