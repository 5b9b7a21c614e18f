"""Charts drawn with Pillow, with values 1 to 9: bars with their values printed above, and lines.

Held out: one height for each colour of a bar, every sixth series of a line chart, and the wording of the questions.
"""

from __future__ import annotations

import random

from PIL import Image, ImageDraw

from model.samples import Item, Sample, Turn
from model.seeds import stream
from model.workbench.build import ask_item, dense
from model.workbench.documents import font
from model.workbench.scenes import COLOURS

CHART_COLOURS = ("red", "green", "blue", "orange", "purple", "black")
BAR_FORMS = {
    "train": ("How high is the {} bar?", "What value has the {} bar?"),
    "test": ("What is the value of the {} bar?",),
}
LINE_FORMS = {"train": ("How high is the line at {}?", "What value has the line at {}?"),
              "test": ("What is the value of the line at {}?",)}
TICKS = "1234"
"""Labels below the points of a line chart."""


def held_out_bar(colour: str, value: int) -> bool:
    """Return whether a bar of this colour and height belongs to the test split: one height in nine."""
    return (value + 2 * CHART_COLOURS.index(colour)) % 9 == 4


def held_out_series(values: tuple[int, ...]) -> bool:
    """Return whether a series belongs to the test split: one in six."""
    return sum((place + 1) * value for place, value in enumerate(values)) % 6 == 1


def draw_bars(rng: random.Random, split: str) -> tuple[Image.Image, dict[str, int]]:
    """Draw a chart of 2 to 4 coloured bars of 1 to 9, with the value above each; in test one bar is a held-out one."""
    colours = rng.sample(CHART_COLOURS, rng.randint(2, 4))
    chosen = rng.choice(colours) if split == "test" else ""
    values = {colour: rng.choice([value for value in range(1, 10) if held_out_bar(colour, value) == (colour == chosen)])
              for colour in colours}
    width, height, unit = rng.randint(60, 96), 64, 5
    image = Image.new("RGB", (width, height), (252, 252, 252))
    pen = ImageDraw.Draw(image)
    step = (width - 4) / len(values)
    for place, (colour, value) in enumerate(values.items()):
        left, top = 2 + step * (place + 0.15), height - 3 - unit * value
        pen.rectangle((left, top, left + step * 0.7, height - 3), fill=COLOURS[colour])
        pen.text((left + step * 0.35, top - 2), str(value), font=font(12), fill=(20, 20, 20), anchor="ms")
    return image, values


def draw_line(rng: random.Random, split: str) -> tuple[Image.Image, tuple[int, ...]]:
    """Draw a line through 3 or 4 points of value 1 to 5 above numbered ticks; neighbours always differ."""
    while True:
        values = tuple(rng.randint(1, 5) for _ in range(rng.randint(3, 4)))
        is_moving = all(a != b for a, b in zip(values, values[1:], strict=False))
        if is_moving and held_out_series(values) == (split == "test"):
            break
    width, height = rng.randint(64, 84), 68
    image = Image.new("RGB", (width, height), (252, 252, 252))
    pen = ImageDraw.Draw(image)
    unit, foot = (height - 20) / 5, height - 15
    for level in range(6):
        pen.line((0, foot - unit * level, width, foot - unit * level), fill=(205, 205, 205))
    step = width / len(values)
    points = [(step * (place + 0.5), foot - unit * value) for place, value in enumerate(values)]
    colour = COLOURS[rng.choice(CHART_COLOURS)]
    pen.line(points, fill=colour, width=2)
    for (x, y), tick in zip(points, TICKS, strict=False):
        pen.ellipse((x - 3, y - 3, x + 3, y + 3), fill=colour)
        pen.text((x - 3, foot + 1), tick, font=font(11), fill=(20, 20, 20))
    return image, values


def bar_turns(bars: dict[str, int], split: str, rng: random.Random) -> list[Turn]:
    """Ask for every bar, then for the highest unless two are equally high."""
    turns = [Turn(rng.choice(BAR_FORMS[split]).format(colour), str(value)) for colour, value in bars.items()]
    rng.shuffle(turns)
    highest = [colour for colour, value in bars.items() if value == max(bars.values())]
    return [*turns, Turn("Which bar is highest?", highest[0])] if len(highest) == 1 else turns


def line_turns(values: tuple[int, ...], split: str, rng: random.Random) -> list[Turn]:
    """Ask for every point, then whether the line ends going up or down."""
    turns = [
        Turn(rng.choice(LINE_FORMS[split]).format(tick), str(value)) for tick, value in zip(TICKS, values, strict=False)
    ]
    rng.shuffle(turns)
    return [
        *turns,
        Turn(
            "Does the line end up or down?" if split == "train" else "Does the line go up or down at its end?",
            "up" if values[-1] > values[-2] else "down",
        ),
    ]


def bars_sample(sample_id: str, category: str, split: str, rng: random.Random) -> Sample:
    """Make a conversation about a bar chart."""
    image, bars = draw_bars(rng, split)
    return dense(sample_id, category, image, bar_turns(bars, split, rng))


def line_sample(sample_id: str, category: str, split: str, rng: random.Random) -> Sample:
    """Make a conversation about a line chart."""
    image, values = draw_line(rng, split)
    return dense(sample_id, category, image, line_turns(values, split, rng))


def chart_values_item(index: int, *, seed: int) -> Item:
    """Ask for the value of one bar."""
    rng = stream("chart-values", seed, "test", index)
    image, bars = draw_bars(rng, "test")
    return ask_item("chart-values", index, seed, image, bar_turns(bars, "test", rng)[0])


def line_values_item(index: int, *, seed: int) -> Item:
    """Ask for the value of one point of a line."""
    rng = stream("line-values", seed, "test", index)
    image, values = draw_line(rng, "test")
    return ask_item("line-values", index, seed, image, line_turns(values, "test", rng)[0])
