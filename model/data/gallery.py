"""A page of examples: samples of a category, with every box in the text drawn on the image. Torch-free.

The page is one file without scripts and without links: images are embedded, and all text is escaped.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from PIL import Image, ImageDraw

from model.images.placement import Box, box_px, parse_box
from model.samples import IMAGE, Item, Sample

BOX_COLOUR = (225, 0, 120)
SMALLEST = 200
"""Images are enlarged by a whole number until their longer side has at least this many px, so no pixel is interpolated.
"""
_BOX = re.compile(r"\[[^\[\]]*\]")
_TEMPLATE = Path(__file__).with_suffix(".html")


def gallery(title: str, sections: Sequence[tuple[str, Sequence[Sample | Item]]]) -> str:
    """Return the page as HTML.

    Args:
        title: the page's heading.
        sections: heading and examples of each section, in order.
    """
    body = "".join(
        f'<h2>{escape(name)}</h2><div class="examples">{"".join(map(_example, each))}</div>' for name, each in sections
    )
    return _TEMPLATE.read_text(encoding="utf-8").replace("{title}", escape(title)).replace("{body}", body)


def with_boxes(image: Image.Image, boxes: Sequence[Box]) -> Image.Image:
    """Return the enlarged image with boxes drawn on it; boxes are in thousandths of the image."""
    factor = max(1, -(-SMALLEST // max(image.size)))
    large = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    pen = ImageDraw.Draw(large)
    for box in boxes:
        pen.rectangle(box_px(box, width=large.width, height=large.height), outline=BOX_COLOUR, width=3)
    return large


def boxes_in(texts: Sequence[str]) -> list[Box]:
    """Return the distinct boxes in the texts, in order."""
    found = [parse_box(match) for text in texts for match in _BOX.findall(text)]
    return list(dict.fromkeys(box for box in found if box is not None))


def _example(example: Sample | Item) -> str:
    pairs = _exchanges(example)
    # A box refers to one image; with several images, the text does not say to which.
    boxes = boxes_in([text for pair in pairs for text in pair]) if len(example.images) == 1 else []
    pictures = "".join(_picture(image, boxes, number) for number, image in enumerate(example.images, start=1))
    name = example.sample_id if isinstance(example, Sample) else example.item_id
    rows = "".join(
        f"<dt>{escape(question.replace(IMAGE, '▣'))}</dt><dd>{escape(answer)}</dd>" for question, answer in pairs
    )
    return f'<article><div class="images">{pictures}</div><dl>{rows}</dl><p>{escape(name)}</p></article>'


def _exchanges(example: Sample | Item) -> list[tuple[str, str]]:
    if isinstance(example, Sample):
        return [(turn.question, turn.answer) for turn in example.turns]
    return [(example.question, " or ".join(example.references))]


def _picture(image: Image.Image, boxes: Sequence[Box], number: int) -> str:
    buffer = io.BytesIO()
    with_boxes(image, boxes).save(buffer, "PNG")
    data = base64.b64encode(buffer.getvalue()).decode()
    size = f"{image.width} × {image.height} px"
    return f'<figure><img alt="image {number} of the example" src="data:image/png;base64,{data}"><figcaption>{size}</figcaption></figure>'
