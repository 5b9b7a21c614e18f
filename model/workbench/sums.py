"""Sums, drawn and in words. Torch-free.

Held out: of sums in words every eleventh pair of operands (`held_out`); where a + b is held out, b + a mostly is not.
Of drawn sums every sixth combination of sum and ink (`held_out_ink`), so that each sum is seen in another ink. Also the
wording of the questions.
"""

from __future__ import annotations

import random

from PIL import Image, ImageDraw

from model.samples import Item, Sample, Turn
from model.seeds import stream
from model.workbench.build import ask_item, dense
from model.workbench.documents import font

READ_FORMS = {"train": "What is written?", "test": "What does it say?"}
RESULT_FORMS = {
    "train": ("What does it make?", "Which result does it make?"),
    "test": ("Which result does that make?",),
}
INKS = {"black": (20, 20, 20), "blue": (20, 20, 150), "green": (10, 100, 30), "red": (160, 20, 20)}
"""Colours of drawn sums."""
TEXT_FORMS = {"train": "What is {} + {}?", "test": "How much is {} + {}?"}


def held_out(a: int, b: int) -> bool:
    """Return whether a + b belongs to the test split."""
    return (3 * a + 5 * b) % 11 == 2


def held_out_ink(a: int, b: int, ink: str) -> bool:
    """Return whether a drawn sum in this ink belongs to the test split."""
    return (a + 2 * b + 5 * list(INKS).index(ink)) % 6 == 2


def operands(rng: random.Random, split: str, largest: int) -> tuple[int, int]:
    """Draw two numbers of 0 to `largest` whose sum belongs to the split."""
    while True:
        a, b = rng.randint(0, largest), rng.randint(0, largest)
        if held_out(a, b) == (split == "test"):
            return a, b


def draw_sum(rng: random.Random, split: str) -> tuple[Image.Image, int, int]:
    """Draw `a+b` with digits up to 5, in print of 18 px on an image 64 px wide."""
    while True:
        a, b, ink = rng.randint(0, 5), rng.randint(0, 5), rng.choice(list(INKS))
        if held_out_ink(a, b, ink) == (split == "test"):
            break
    image = Image.new("RGB", (64, rng.randint(32, 64)), tuple(rng.randint(230, 255) for _ in range(3)))
    ImageDraw.Draw(image).text((6, image.height // 2 - 10), f"{a}+{b}", font=font(18), fill=INKS[ink])
    return image, a, b


def drawn_sum_sample(sample_id: str, category: str, split: str, rng: random.Random) -> Sample:
    """Make a conversation about a drawn sum: what it says and its result, in either order."""
    image, a, b = draw_sum(rng, split)
    turns = [Turn(READ_FORMS[split], f"{a} + {b}"), Turn(rng.choice(RESULT_FORMS[split]), str(a + b))]
    rng.shuffle(turns)
    return dense(sample_id, category, image, turns)


def sum_turn(rng: random.Random, split: str) -> Turn:
    """Ask in words for a sum of the split, of two numbers up to 9 or up to 20."""
    a, b = operands(rng, split, rng.choice((9, 20)))
    return Turn(TEXT_FORMS[split].format(a, b), str(a + b))


def drawn_sums_item(index: int, *, seed: int) -> Item:
    """Ask for the result of a drawn sum."""
    image, a, b = draw_sum(stream("drawn-sums", seed, "test", index), "test")
    return ask_item("drawn-sums", index, seed, image, Turn(RESULT_FORMS["test"][0], str(a + b)))


def sums_text_item(index: int, *, seed: int) -> Item:
    """Ask for a sum in words."""
    return ask_item("sums-text", index, seed, (), sum_turn(stream("sums-text", seed, "test", index), "test"))
