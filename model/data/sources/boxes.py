"""Convert boxes as other data sets write them to ours: `[x1, y1, x2, y2]`, thousandths of the whole image. Torch-free.

- `fractions` are 0 to 1 of width and height. `fractions_of_square` refer to the image padded to a square around its
  middle, as LLaVA 1.5 sees it. `pixels` are corners; `pixels_xywh` are corner and size as in COCO. `qwen` and
  `thousandths` are thousandths.
- The catalogue declares the unit. The spelling is read from the text, whatever the unit: brackets, parentheses, two
  corners in parentheses, the tags of Qwen-VL, Qwen2-VL, InternVL and Ferret, JSON with `bbox_2d`. A model would learn a
  data set with mixed units as noise.
- A box that leaves the image by more than rounding is broken data; it is not clipped silently. The same holds for a
  unit that cannot be right.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from model.config.catalogue import BoxForm
from model.images.placement import THOUSANDTHS

SLACK = 0.005
"""The share of a side by which rounding may put a corner outside; for a padded square, of its side (two decimals)."""
MAX_FRACTION = 1.5
"""Numbers declared as pixels whose largest coordinate is at most this are really fractions."""

_NUMBER = r"\s*(-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*"
_FOUR = ",".join([_NUMBER] * 4)
_CORNERS = rf"\({_NUMBER},{_NUMBER}\)\s*,?\s*\({_NUMBER},{_NUMBER}\)"
_BEGIN, _END = r"(?:<box>|<\|box_start\|>|<bbox>)", r"(?:</box>|<\|box_end\|>|</bbox>)"
_OURS = r"\[\d+, \d+, \d+, \d+\]"
_BOX = re.compile(rf"{_BEGIN}\s*{_FOUR}\s*{_END}|\[{_FOUR}\]|{_CORNERS}|\({_FOUR}\)")
_ENCLOSED = re.compile(rf"{_BEGIN}\s*\[?\s*({_OURS}(?:\s*,\s*{_OURS})*)\s*\]?\s*{_END}")
"""One box or several between tags, after each box was converted."""
_REFERENCE = re.compile(r"</?ref>|<\|object_ref_(?:start|end)\|>")
_QWEN_JSON = re.compile(r"['\"]bbox_2d['\"]\s*:")
_LEFT_OVER = re.compile(f"{_BEGIN}|{_END}")

Numbers = tuple[float, float, float, float]
Size = tuple[int, int]
"""Width and height in px."""


def convert(text: str, form: BoxForm, size: Size | None) -> str:
    """Return the text with every box in our form.

    Args:
        text: a question or an answer.
        form: the unit of its boxes.
        size: the size of the image they refer to; None if the sample does not have exactly one.

    Raises:
        ValueError: a box leaves the image, has its corners in the wrong order, has another unit than declared, has an
            unknown spelling, or needs the size of one image and there is none.
    """
    if form == "none":
        return text
    if form == "qwen" and _QWEN_JSON.search(text):
        raise ValueError("`bbox_2d` holds pixels in Qwen2.5-VL's data and thousandths in Qwen3-VL's\n"
                         "hint: boxes: pixels, or thousandths")
    converted = _ENCLOSED.sub(r"\1", _BOX.sub(lambda match: _written(match, form, size), _REFERENCE.sub("", text)))
    tag = _LEFT_OVER.search(converted)
    if tag:
        raise ValueError(
            f"{tag[0]} encloses no box in a known spelling, in {text[:60]!r}; allowed: four numbers, or two corners"
        )
    return converted


def boxes_in(text: str) -> int:
    """Return the number of boxes in a text, in any spelling and unit."""
    return sum(1 for _ in _BOX.finditer(text))


def _written(match: re.Match[str], form: BoxForm, size: Size | None) -> str:
    x1, y1, x2, y2 = (float(group) for group in match.groups() if group is not None)
    to_fractions, needs_size = _FORMS[form]
    if needs_size and size is None:
        raise ValueError(f"box {match[0]} in {form} needs exactly one image in its sample")
    _check_unit(match[0], max(x1, y1, x2, y2), form)
    left, top, right, bottom = fractions = to_fractions((x1, y1, x2, y2), size or (1, 1))
    x_slack, y_slack = _slack(form, size or (1, 1))
    is_inside = -x_slack <= left <= right <= 1 + x_slack and -y_slack <= top <= bottom <= 1 + y_slack
    if not is_inside:
        raise ValueError(f"box {match[0]} in {form} is not inside the image"
                         + (f" of {size[0]} x {size[1]} px" if size and needs_size else ""))
    # The epsilon keeps a whole thousandth from being truncated to the one below it by float rounding.
    return f"[{', '.join(str(int(min(max(part, 0), 1) * THOUSANDTHS + 1e-6)) for part in fractions)}]"


def _check_unit(written: str, largest: float, form: BoxForm) -> None:
    """Refuse pixels and thousandths that are really fractions: all their corners would fall into the first pixel."""
    if not form.startswith("fractions") and 0 < largest <= MAX_FRACTION and "." in written:
        raise ValueError(f"box {written} in {form} looks like fractions of the image; allowed: what `boxes` declares\n"
                         "hint: boxes: fractions, or fractions_of_square")


def _slack(form: BoxForm, size: Size) -> tuple[float, float]:
    """Return the tolerance of x and y as shares of the image.

    For a padded square it is larger along the side that was padded.
    """
    if form != "fractions_of_square":
        return SLACK, SLACK
    width, height = size
    return SLACK * max(size) / width + 1e-9, SLACK * max(size) / height + 1e-9


def _of_square(box: Numbers, size: Size) -> Numbers:
    """Undo the padding to a square, in whose middle the image lies."""
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
"""Form -> the conversion to fractions of the image, and whether it needs the image's size."""
