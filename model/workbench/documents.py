"""Text-rich images: forms with two-digit fields, receipts, and the mixture of all text-rich kinds.

- Held out: for each label the values that end in one digit (`held_out`), which only test documents hold; the wording of the
  questions. Every label and every digit is seen in training: no word of the test is new, what it is said of is.
- A form fits one tile of 64 px; a receipt or a wide form is print that one tile cannot resolve.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from model.samples import Item, Sample, Turn
from model.seeds import stream
from model.workbench.build import ask_item, dense

LABELS = ("age", "tax", "sum", "day", "fee", "row", "lot", "bed", "bus", "gas", "tea", "oil")


@lru_cache(maxsize=32)
def font(size: int) -> ImageFont.FreeTypeFont:
    """Return Pillow's own font; no system font is needed."""
    return ImageFont.load_default(size)  # type: ignore[return-value]


def held_out(label: str, value: int) -> bool:
    """Say whether a label with this value belongs to the test split: a tenth of all pairs."""
    return (value + 7 * LABELS.index(label)) % 10 == 3


def fill(rng: random.Random, split: str, names: Sequence[str], numbers: Sequence[int]) -> dict[str, int]:
    """Give each label a value; in test one label, drawn at random, has a held-out value if one exists, in train none has."""
    chosen = rng.choice(names) if split == "test" else ""
    found = {}
    for name in names:
        allowed = [number for number in numbers if held_out(name, number) == (name == chosen)]
        found[name] = rng.choice(allowed or numbers)
    return found


def draw_form(rng: random.Random, split: str, *, fields: int, wide: bool = False) -> tuple[Image.Image, dict[str, str]]:
    """Draw a form of `label number` lines; print is 12 to 14 px high on about 64 px, or on 160 px when `wide`."""
    values = fill(rng, split, rng.sample(LABELS, fields), range(10, 100))
    width, height = (rng.randint(120, 160) if wide else rng.randint(56, 68)), 8 + 18 * fields
    image = Image.new("RGB", (width, max(height, 40)), tuple(rng.randint(235, 255) for _ in range(3)))
    pen = ImageDraw.Draw(image)
    for row, (name, value) in enumerate(values.items()):
        y = 4 + 18 * row
        pen.text((4, y), name, font=font(rng.randint(12, 13)), fill=(20, 20, 20))
        pen.text((width - 22, y), str(value), font=font(14), fill=(10, 10, 90))
    return image, {name: str(value) for name, value in values.items()}


def draw_receipt(rng: random.Random, split: str) -> tuple[Image.Image, dict[str, str]]:
    """Draw a long receipt: 6 to 10 lines of 12 px on a strip of about 96 px, a total at its foot."""
    prices = fill(rng, split, rng.sample(LABELS, rng.randint(6, 10)), range(1, 10))
    lines = {**{name: str(price) for name, price in prices.items()}, "total": str(sum(prices.values()))}
    image = Image.new("RGB", (rng.randint(88, 104), 20 + 22 * len(lines)), (250, 250, 246))
    pen = ImageDraw.Draw(image)
    for row, (name, value) in enumerate(lines.items()):
        pen.text((6, 8 + 22 * row), name, font=font(12), fill=(20, 20, 20))
        pen.text((image.width - 24, 8 + 22 * row), value, font=font(12), fill=(20, 20, 20))
    return image, lines


def field_turns(fields: dict[str, str], split: str) -> list[Turn]:
    """Ask for every field."""
    form = "What is the {}?" if split == "train" else "What number is the {}?"
    return [Turn(form.format(name), value) for name, value in fields.items()]


def form_sample(sample_id: str, category: str, split: str, rng: random.Random, *, wide: bool = False) -> Sample:
    """Make a conversation over a form."""
    image, fields = draw_form(rng, split, fields=rng.randint(1, 2 + wide), wide=wide)
    return dense(sample_id, category, image, field_turns(fields, split))


def receipt_sample(sample_id: str, category: str, split: str, rng: random.Random) -> Sample:
    """Make a conversation over a receipt."""
    image, fields = draw_receipt(rng, split)
    return dense(sample_id, category, image, field_turns(fields, split))


def form_fields_item(index: int, *, seed: int) -> Item:
    """Ask for one field of a form that one tile resolves."""
    rng = stream("form-fields", seed, "test", index)
    image, fields = draw_form(rng, "test", fields=rng.randint(1, 2))
    return ask_item("form-fields", index, seed, image, rng.choice(field_turns(fields, "test")))


def small_print_item(index: int, *, seed: int) -> Item:
    """Ask for one field of a wide form or a receipt: print that one tile of 64 px cannot resolve."""
    rng = stream("small-print", seed, "test", index)
    image, fields = draw_receipt(rng, "test") if index % 2 else draw_form(rng, "test", fields=rng.randint(1, 2), wide=True)
    return ask_item("small-print", index, seed, image, rng.choice(field_turns(fields, "test")))
