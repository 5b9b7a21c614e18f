"""Code: rendered markup and its source.

Held out: every seventh page, determined by its colours in order (`held_out`), and the wording of the question.
"""

from __future__ import annotations

import random

from PIL import Image, ImageDraw

from model.samples import Item, Sample, Turn
from model.seeds import stream
from model.workbench.build import ask_item, dense
from model.workbench.scenes import COLOURS

FORMS = {"train": "Write the markup.", "test": "Write its markup."}
NAMES = tuple(COLOURS)


def held_out(rows: list[list[str]]) -> bool:
    """Return whether a page belongs to the test split."""
    cells = [colour for row in rows for colour in row]
    return sum((place + 1) * NAMES.index(colour) for place, colour in enumerate(cells)) % 7 == 3


def draw_page(rng: random.Random, split: str) -> tuple[Image.Image, str]:
    """Draw a table of one or two rows of one to three coloured cells; return it with its source."""
    while True:
        rows = [[rng.choice(NAMES) for _ in range(rng.randint(1, 3))] for _ in range(rng.choice((1, 1, 2)))]
        if held_out(rows) == (split == "test"):
            break
    cell = rng.randint(20, 26)
    image = Image.new("RGB", (cell * 3, cell * 2), (255, 255, 255))
    pen = ImageDraw.Draw(image)
    for y, row in enumerate(rows):
        for x, colour in enumerate(row):
            pen.rectangle((cell * x + 2, cell * y + 2, cell * x + cell - 3, cell * y + cell - 3), fill=COLOURS[colour])
    return image, " <tr> ".join(" ".join(f"<td {colour}>" for colour in row) for row in rows)


def page_sample(sample_id: str, category: str, split: str, rng: random.Random) -> Sample:
    """Make a rendered page and its source."""
    image, source = draw_page(rng, split)
    return dense(sample_id, category, image, [Turn(FORMS[split], source)])


def code_sample(split: str, index: int, *, seed: int) -> Sample:
    """Make a rendered page and its source."""
    return page_sample(f"code/{split}/{seed}/{index}", "code", split, stream("code", seed, split, index))


def markup_source_item(index: int, *, seed: int) -> Item:
    """Ask for the source of a page."""
    image, source = draw_page(stream("markup-source", seed, "test", index), "test")
    return ask_item("markup-source", index, seed, image, Turn(FORMS["test"], source))
