"""Boxes as other data sets write them, to ours: `[x1, y1, x2, y2]`, thousandths of the whole image. Torch-free.

- `fractions` are 0 to 1 of width and height; `fractions_of_square` of the image padded to a square around its middle, as LLaVA 1.5
  sees it; `pixels` are corners, `pixels_xywh` corner and size as in COCO; `qwen` is `<box>(x1,y1),(x2,y2)</box>` in thousandths.
- A box that leaves the image by more than `SLACK` of its side is broken data, not something to cut in silence; less is rounding.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from model.config.catalogue import BoxForm
from model.images.placement import THOUSANDTHS

SLACK = 0.005
"""Share of a side by which rounding may put a corner outside."""

_NUMBER = r"\s*(-?\d+(?:\.\d+)?)\s*"
_BRACKETS = re.compile(rf"\[{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}\]")
_QWEN = re.compile(rf"<box>\s*\({_NUMBER},{_NUMBER}\)\s*,\s*\({_NUMBER},{_NUMBER}\)\s*</box>")
_REFERENCE = re.compile(r"</?ref>")

Numbers = tuple[float, float, float, float]
Size = tuple[int, int]
"""Width and height in px."""


def convert(text: str, form: BoxForm, size: Size | None) -> str:
    """Return the text with every box in our form.

    Args:
        text: a question or an answer.
        form: how its boxes are written.
        size: of the image they refer to; None where the sample has not exactly one.

    Raises:
        ValueError: a box leaves the image, is empty the wrong way round, or cannot be placed without the size of one image.
    """
    if form == "none":
        return text
    if form == "qwen":
        text = _REFERENCE.sub("", text)
    pattern = _QWEN if form == "qwen" else _BRACKETS
    return pattern.sub(lambda match: _written(match, form, size), text)


def _written(match: re.Match[str], form: BoxForm, size: Size | None) -> str:
    numbers = tuple(float(group) for group in match.groups())
    to_fractions, needs_size = _FORMS[form]
    if needs_size and size is None:
        raise ValueError(f"box {match[0]} in {form} needs exactly one image in its sample")
    fractions = to_fractions(numbers, size or (1, 1))  # type: ignore[arg-type]
    left, top, right, bottom = fractions
    is_outside = min(fractions) < -SLACK or max(fractions) > 1 + SLACK
    if is_outside or left > right or top > bottom:
        raise ValueError(f"box {match[0]} in {form} is not inside the image"
                         + (f" of {size[0]} x {size[1]} px" if size and needs_size else ""))
    # The epsilon keeps a thousandth that went through floats from falling to the one below.
    return f"[{', '.join(str(int(min(max(part, 0), 1) * THOUSANDTHS + 1e-6)) for part in fractions)}]"


def _of_square(box: Numbers, size: Size) -> Numbers:
    """Undo the padding to a square: the image lies in its middle."""
    side = max(size)
    x_pad, y_pad = ((side - length) / 2 for length in size)
    width, height = size
    x1, y1, x2, y2 = (part * side for part in box)
    return (x1 - x_pad) / width, (y1 - y_pad) / height, (x2 - x_pad) / width, (y2 - y_pad) / height


def _of_corners(box: Numbers, size: Size) -> Numbers:
    width, height = size
    x1, y1, x2, y2 = box
    return x1 / width, y1 / height, x2 / width, y2 / height


def _of_thousandths(box: Numbers, size: Size) -> Numbers:
    x1, y1, x2, y2 = (part / THOUSANDTHS for part in box)
    return x1, y1, x2, y2


_FORMS: dict[BoxForm, tuple[Callable[[Numbers, Size], Numbers], bool]] = {
    "thousandths": (_of_thousandths, False),
    "qwen": (_of_thousandths, False),
    "fractions": (lambda box, size: box, False),
    "fractions_of_square": (_of_square, True),
    "pixels": (_of_corners, True),
    "pixels_xywh": (lambda box, size: _of_corners((box[0], box[1], box[0] + box[2], box[1] + box[3]), size), True),
}
"""Form to fractions of the image, and whether that needs its size."""
