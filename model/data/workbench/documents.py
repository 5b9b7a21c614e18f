"""Text-rich images: forms with two-digit fields, receipts, bar charts.

- Held out: the words `TEST_LABELS` label fields only in test documents, which mix them with labels of training; the wording
  of the questions. Charts hold out their wording alone: any bars may occur in both splits.
- A form fits one tile of 64 px; a receipt or a wide form is print that one tile cannot resolve.
"""

from __future__ import annotations

import random
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from model.data.samples import IMAGE, Item, Sample, Turn
from model.data.workbench.randomness import stream
from model.data.workbench.scenes import COLOURS

TRAIN_LABELS = ("age", "tax", "sum", "day", "fee", "row", "lot", "bed", "bus", "gas")
TEST_LABELS = ("tea", "oil")
CHART_COLOURS = ("red", "green", "blue", "orange", "purple", "black")


@lru_cache(maxsize=32)
def font(size: int) -> ImageFont.FreeTypeFont:
    """Return Pillow's own font; no system font is needed."""
    return ImageFont.load_default(size)  # type: ignore[return-value]


def labels(split: str) -> tuple[str, ...]:
    """Return the words that may label a field: test mixes its own with those of training."""
    return TRAIN_LABELS if split == "train" else (*TEST_LABELS, *TRAIN_LABELS[:4])


def draw_form(rng: random.Random, split: str, *, fields: int, wide: bool = False) -> tuple[Image.Image, dict[str, str]]:
    """Draw a form of `label number` lines; print is 12 to 14 px high on about 64 px, or on 160 px when `wide`."""
    names = rng.sample(labels(split), fields)
    values = {name: str(rng.randint(10, 99)) for name in names}
    width, height = (rng.randint(120, 160) if wide else rng.randint(56, 68)), 8 + 18 * fields
    image = Image.new("RGB", (width, max(height, 40)), tuple(rng.randint(235, 255) for _ in range(3)))
    pen = ImageDraw.Draw(image)
    for row, (name, value) in enumerate(values.items()):
        y = 4 + 18 * row
        pen.text((4, y), name, font=font(rng.randint(12, 13)), fill=(20, 20, 20))
        pen.text((width - 22, y), value, font=font(14), fill=(10, 10, 90))
    return image, values


def draw_receipt(rng: random.Random, split: str) -> tuple[Image.Image, dict[str, str]]:
    """Draw a long receipt: 6 to 10 lines of 12 px on a strip of about 96 px, a total at its foot."""
    count = rng.randint(6, min(10, len(labels(split))))
    names = rng.sample(labels(split), min(count, len(labels(split))))
    prices = {name: rng.randint(1, 9) for name in names}
    lines = {**{name: str(price) for name, price in prices.items()}, "total": str(sum(prices.values()))}
    image = Image.new("RGB", (rng.randint(88, 104), 20 + 22 * len(lines)), (250, 250, 246))
    pen = ImageDraw.Draw(image)
    for row, (name, value) in enumerate(lines.items()):
        pen.text((6, 8 + 22 * row), name, font=font(12), fill=(20, 20, 20))
        pen.text((image.width - 24, 8 + 22 * row), value, font=font(12), fill=(20, 20, 20))
    return image, lines


def draw_chart(rng: random.Random) -> tuple[Image.Image, dict[str, int]]:
    """Draw a bar chart of 2 to 4 coloured bars between 1 and 9, with a grid line at each unit."""
    values = {colour: rng.randint(1, 9) for colour in rng.sample(CHART_COLOURS, rng.randint(2, 4))}
    width, height = rng.randint(60, 96), 64
    image = Image.new("RGB", (width, height), (252, 252, 252))
    pen = ImageDraw.Draw(image)
    unit = (height - 6) / 9
    for level in range(10):
        pen.line((0, height - 3 - unit * level, width, height - 3 - unit * level), fill=(205, 205, 205))
    step = (width - 4) / len(values)
    for place, (colour, value) in enumerate(values.items()):
        left = 2 + step * place + step * 0.15
        pen.rectangle((left, height - 3 - unit * value, left + step * 0.7, height - 3), fill=COLOURS[colour])
    return image, values


def text_rich_sample(split: str, index: int, *, seed: int) -> Sample:
    """Make a conversation over a form, a wide form, a receipt or a chart."""
    rng = stream("text_rich", seed, split, index)
    kind = rng.choice(("form", "form", "wide", "receipt", "chart", "chart"))
    if kind == "chart":
        image, bars = draw_chart(rng)
        turns = chart_turns(bars, split, rng)
    else:
        wide = kind == "wide"
        image, fields = draw_receipt(rng, split) if kind == "receipt" else draw_form(rng, split, fields=rng.randint(1, 2 + wide), wide=wide)
        turns = field_turns(fields, split)
    return dense(f"text_rich/{split}/{seed}/{index}", "text_rich", image, turns)


def field_turns(fields: dict[str, str], split: str) -> list[Turn]:
    """Ask for every field."""
    form = "What is the {}?" if split == "train" else "What number is the {}?"
    return [Turn(form.format(name), value) for name, value in fields.items()]


def chart_turns(bars: dict[str, int], split: str, rng: random.Random) -> list[Turn]:
    """Ask for every bar, then for the highest, unless two share it."""
    form = "How high is the {} bar?" if split == "train" else "What is the value of the {} bar?"
    turns = [Turn(form.format(colour), str(value)) for colour, value in bars.items()]
    rng.shuffle(turns)
    highest = [colour for colour, value in bars.items() if value == max(bars.values())]
    return [*turns, Turn("Which bar is highest?", highest[0])] if len(highest) == 1 else turns


def dense(sample_id: str, category: str, image: Image.Image, turns: list[Turn]) -> Sample:
    """Assemble a sample with its one image before the first question."""
    first = Turn(IMAGE + turns[0].question, turns[0].answer)
    return Sample(sample_id=sample_id, category=category, images=(image,), turns=(first, *turns[1:]))


def form_fields_item(index: int, *, seed: int) -> Item:
    """Ask for one field of a form or a receipt."""
    rng = stream("form-fields", seed, "test", index)
    image, fields = draw_receipt(rng, "test") if index % 8 == 7 else draw_form(rng, "test", fields=rng.randint(1, 2), wide=index % 4 == 3)
    turn = rng.choice(field_turns(fields, "test"))
    return Item(item_id=f"form-fields/{seed}/{index}", benchmark="form-fields", question=IMAGE + turn.question,
                images=(image,), references=(turn.answer,))


def chart_values_item(index: int, *, seed: int) -> Item:
    """Ask for the value of one bar."""
    rng = stream("chart-values", seed, "test", index)
    image, bars = draw_chart(rng)
    turn = chart_turns(bars, "test", rng)[0]
    return Item(item_id=f"chart-values/{seed}/{index}", benchmark="chart-values", question=IMAGE + turn.question,
                images=(image,), references=(turn.answer,))
