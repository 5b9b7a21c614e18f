"""Handwritten numbers from real digits of many writers: one digit, or two in a third of the samples.

Held out: every tenth picture of a digit (`assets.digits`), and the wording of the question.
"""

from __future__ import annotations

import random

from PIL import Image

from model.samples import Item, Sample, Turn
from model.seeds import stream
from model.workbench import assets
from model.workbench.build import ask_item, dense

FORMS = {
    "train": ("Which number is written by hand?", "What number was written here?"),
    "test": ("What number was written by hand?",),
}


def draw_number(rng: random.Random, split: str) -> tuple[Image.Image, str]:
    """Draw a number of one or two handwritten digits, 24 to 32 px high, dark on light."""
    side, values = rng.randint(24, 32), [rng.randrange(10) for _ in range(rng.choice((1, 1, 2)))]
    image = Image.new("L", (rng.randint(60, 72), rng.randint(40, 56)), rng.randint(225, 255))
    x, y = (
        rng.randint(1, image.width - side * len(values) - 1) if len(values) == 1 else 2,
        rng.randint(2, image.height - side - 2),
    )
    for value in values:
        levels = rng.choice(assets.digits(split)[value])
        digit = Image.frombytes("L", (assets.DIGIT_SIDE,) * 2, bytes(level * 15 for level in levels)).resize(
            (side, side)
        )
        image.paste(rng.randint(0, 60), (x, y), digit)
        x += side
    return image.convert("RGB"), "".join(map(str, values))


def handwriting_sample(sample_id: str, category: str, split: str, rng: random.Random) -> Sample:
    """Make a conversation about a handwritten number."""
    image, number = draw_number(rng, split)
    return dense(sample_id, category, image, [Turn(rng.choice(FORMS[split]), number)])


def handwriting_item(index: int, *, seed: int) -> Item:
    """Ask for a handwritten number."""
    image, number = draw_number(stream("handwriting", seed, "test", index), "test")
    return ask_item("handwriting", index, seed, image, Turn(FORMS["test"][0], number))
