"""Documents: forms with two-digit fields, and small print.

- Held out: for each label the values that end in one certain digit (`held_out`), which only test documents contain, and
  the wording of the questions. Every label and every digit occurs in training: in test no word is new, only the
  combination.
- Print is 10 to 14 px high. One tile of the `tiny` scale halves a form, so that its digits blur; two tiles by two show
  it at full size. Small print needs more: two by two tiles show a receipt, a wide form or a sheet at a half to a
  quarter of its size.
- Wide forms and narrow receipts have aspect ratios of 4:1 and beyond, for which a row of tiles fits better than a
  square.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from model.samples import Item, Sample, Turn
from model.seeds import stream
from model.workbench.build import ask_item, dense

SMALL_PRINT = ("receipt", "wide form", "sheet")
LABELS = ("age", "tax", "sum", "day", "fee", "row", "lot", "bed", "bus", "gas", "tea", "oil")


@lru_cache(maxsize=32)
def font(size: int) -> ImageFont.FreeTypeFont:
    """Return Pillow's own font, so that no system font is needed."""
    return ImageFont.load_default(size)  # type: ignore[return-value]


def held_out(label: str, value: int) -> bool:
    """Return whether a label with this value belongs to the test split: a tenth of all pairs."""
    return (value + 7 * LABELS.index(label)) % 10 == 3


def fill(rng: random.Random, split: str, names: Sequence[str], numbers: Sequence[int]) -> dict[str, int]:
    """Give each label a value.

    In test one random label gets a held-out value if one exists; in train none does.
    """
    chosen = rng.choice(names) if split == "test" else ""
    found = {}
    for name in names:
        allowed = [number for number in numbers if held_out(name, number) == (name == chosen)]
        found[name] = rng.choice(allowed or numbers)
    return found


def draw_form(rng: random.Random, split: str, *, fields: int, wide: bool = False) -> tuple[Image.Image, dict[str, str]]:
    """Draw a form of `label number` lines, with print of 12 to 14 px, about 64 px wide, or up to 160 px if `wide`."""
    values = fill(rng, split, rng.sample(LABELS, fields), range(10, 100))
    width, height = (rng.randint(116, 160) if wide else rng.randint(56, 68)), 8 + 18 * fields
    image = Image.new(
        "RGB", (width, height if wide else max(height, 40)), tuple(rng.randint(235, 255) for _ in range(3))
    )
    pen = ImageDraw.Draw(image)
    for row, (name, value) in enumerate(values.items()):
        y = 4 + 18 * row
        pen.text((4, y), name, font=font(rng.randint(12, 13)), fill=(20, 20, 20))
        pen.text((width - 22, y), str(value), font=font(14), fill=(10, 10, 90))
    return image, {name: str(value) for name, value in values.items()}


def draw_receipt(rng: random.Random, split: str) -> tuple[Image.Image, dict[str, str]]:
    """Draw a receipt, broad or narrow.

    5 to 12 lines with print of 12 px, 22 or 17 px apart, with a total at the end.
    """
    prices = fill(rng, split, rng.sample(LABELS, rng.randint(4, 11)), range(1, 10))
    lines = {**{name: str(price) for name, price in prices.items()}, "total": str(sum(prices.values()))}
    width, line = rng.choice(((rng.randint(72, 96), 22), (rng.randint(48, 56), 17)))
    image = Image.new("RGB", (width, 8 + line * len(lines)), (250, 250, 246))
    pen = ImageDraw.Draw(image)
    for row, (name, value) in enumerate(lines.items()):
        pen.text((3, 3 + line * row), name, font=font(12), fill=(20, 20, 20))
        pen.text((width - 16, 3 + line * row), value, font=font(12), fill=(20, 20, 20))
    return image, lines


def draw_sheet(rng: random.Random, split: str) -> tuple[Image.Image, dict[str, str]]:
    """Draw a sheet with two columns of two to six `label number` lines, with print of 12 px, about 110 px wide."""
    values = fill(rng, split, rng.sample(LABELS, 2 * rng.randint(2, 6)), range(10, 100))
    rows, column = len(values) // 2, rng.randint(48, 62)
    image = Image.new("RGB", (2 * column + 4, 6 + 18 * rows), tuple(rng.randint(235, 255) for _ in range(3)))
    pen = ImageDraw.Draw(image)
    for place, (name, value) in enumerate(values.items()):
        left, y = 4 + column * (place // rows), 3 + 18 * (place % rows)
        pen.text((left, y), name, font=font(12), fill=(20, 20, 20))
        pen.text((left + column - 20, y), str(value), font=font(12), fill=(10, 10, 90))
    return image, {name: str(value) for name, value in values.items()}


def field_turns(fields: dict[str, str], split: str) -> list[Turn]:
    """Ask for every field."""
    form = "What is the {}?" if split == "train" else "What number is the {}?"
    return [Turn(form.format(name), value) for name, value in fields.items()]


def form_sample(sample_id: str, category: str, split: str, rng: random.Random) -> Sample:
    """Make a conversation about a form."""
    image, fields = draw_form(rng, split, fields=rng.randint(1, 2))
    return dense(sample_id, category, image, field_turns(fields, split))


def small_print_sample(sample_id: str, category: str, split: str, rng: random.Random) -> Sample:
    """Make a conversation about a receipt, a wide form or a sheet."""
    image, fields = draw_small_print(rng, split, rng.choice(SMALL_PRINT))
    return dense(sample_id, category, image, field_turns(fields, split))


def draw_small_print(rng: random.Random, split: str, kind: str) -> tuple[Image.Image, dict[str, str]]:
    """Draw one of the kinds of `SMALL_PRINT`."""
    if kind == "wide form":
        return draw_form(rng, split, fields=rng.randint(1, 2), wide=True)
    return draw_receipt(rng, split) if kind == "receipt" else draw_sheet(rng, split)


def form_fields_item(index: int, *, seed: int) -> Item:
    """Ask for one field of a form that one tile can resolve."""
    rng = stream("form-fields", seed, "test", index)
    image, fields = draw_form(rng, "test", fields=rng.randint(1, 2))
    return ask_item("form-fields", index, seed, image, rng.choice(field_turns(fields, "test")))


def small_print_item(index: int, *, seed: int) -> Item:
    """Ask for one field of a receipt, a wide form or a sheet, whose print two tiles by two can hardly resolve."""
    rng = stream("small-print", seed, "test", index)
    image, fields = draw_small_print(rng, "test", SMALL_PRINT[index % len(SMALL_PRINT)])
    return ask_item("small-print", index, seed, image, rng.choice(field_turns(fields, "test")))
