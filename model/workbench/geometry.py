"""Geometry: corners of polygons, kinds of angles, parts of a strip; and the mathematics category.

Held out: every sixth degree of rotation or opening, every fifth strip (parts, filled, colour), and the wording of the
questions.
"""

from __future__ import annotations

import math
import random

from PIL import Image, ImageDraw

from model.samples import Item, Sample, Turn
from model.seeds import stream
from model.workbench.build import ask_item, choice, dense
from model.workbench.scenes import COLOURS
from model.workbench.sums import drawn_sum_sample

ANGLES = {"acute": (25, 65), "right": (90, 90), "obtuse": (115, 160)}
"""Kinds of angle and the range of degrees in which they are drawn. For right angles the rotation is held out."""
FORMS = {"train": {"corners": "How many corners are there?", "angle": "Is the angle acute, right or obtuse?",
                   "part": "Which part of the strip is filled?"},
         "test": {"corners": "How many corners does the figure have?", "angle": "Is this angle acute, right or obtuse?",
                  "part": "Which part of this strip is filled?"}}
WRONG = {"corners": ("3", "4", "5", "6"), "angle": tuple(ANGLES),
         "part": tuple(f"{filled}/{parts}" for parts in range(2, 6) for filled in range(1, parts))}
KINDS = tuple(WRONG)
INK = tuple(COLOURS)


def degrees(rng: random.Random, split: str, low: int, high: int) -> int:
    """Draw a whole number of degrees that belongs to the split, both ends included."""
    return rng.choice([each for each in range(low, high + 1) if (each % 6 == 4) == (split == "test")])


def held_out_strip(parts: int, filled: int, colour: str) -> bool:
    """Return whether a strip belongs to the test split."""
    return (parts + 3 * filled + INK.index(colour)) % 5 == 1


def draw_figure(rng: random.Random, split: str, kind: str) -> tuple[Image.Image, str]:
    """Draw a figure of one of `KINDS`, about 60 px wide, and return it with the answer to its question."""
    width, height = rng.randint(52, 68), rng.randint(52, 68)
    image = Image.new("RGB", (width, height), tuple(rng.randint(235, 255) for _ in range(3)))
    return image, {"corners": _polygon, "angle": _angle, "part": _strip}[kind](
        ImageDraw.Draw(image), rng, split, width, height
    )


def _polygon(pen: ImageDraw.ImageDraw, rng: random.Random, split: str, width: int, height: int) -> str:
    corners, turn, radius = rng.randint(3, 6), degrees(rng, split, 0, 119), 0.43 * min(width, height)
    angles = [math.radians(turn + 360 * corner / corners) for corner in range(corners)]
    points = [(width / 2 + radius * math.cos(angle), height / 2 + radius * math.sin(angle)) for angle in angles]
    pen.polygon(points, outline=COLOURS[rng.choice(INK)], width=3)
    return str(corners)


def _angle(pen: ImageDraw.ImageDraw, rng: random.Random, split: str, width: int, height: int) -> str:
    kind = rng.choice(list(ANGLES))
    low, high = ANGLES[kind]
    opening = 90 if kind == "right" else degrees(rng, split, low, high)
    turn = degrees(rng, split, 0, 359)
    length, colour = 0.45 * min(width, height), COLOURS[rng.choice(INK)]
    for angle in (math.radians(turn), math.radians(turn + opening)):
        pen.line(
            (width / 2, height / 2, width / 2 + length * math.cos(angle), height / 2 + length * math.sin(angle)),
            fill=colour,
            width=3,
        )
    return kind


def _strip(pen: ImageDraw.ImageDraw, rng: random.Random, split: str, width: int, height: int) -> str:
    while True:
        parts, colour = rng.randint(2, 5), rng.choice(INK)
        filled = rng.randint(1, parts - 1)
        if held_out_strip(parts, filled, colour) == (split == "test"):
            break
    y, step = height / 2, (width - 6) / parts
    for part in range(parts):
        box = (3 + step * part, y - 10, 3 + step * (part + 1), y + 10)
        pen.rectangle(box, outline=(40, 40, 40), fill=COLOURS[colour] if part < filled else (255, 255, 255))
    return f"{filled}/{parts}"


def figure_sample(sample_id: str, category: str, split: str, rng: random.Random) -> Sample:
    """Make a conversation about a figure: the open question, and the same with options."""
    kind = rng.choice(KINDS)
    image, answer = draw_figure(rng, split, kind)
    turns = [Turn(FORMS[split][kind], answer), _choice_turn(rng, split, kind, answer)[0]]
    rng.shuffle(turns)
    return dense(sample_id, category, image, turns)


def math_sample(split: str, index: int, *, seed: int) -> Sample:
    """Make a conversation about a drawn sum or a figure."""
    rng = stream("math", seed, split, index)
    make = drawn_sum_sample if rng.random() < 0.5 else figure_sample
    return make(f"math/{split}/{seed}/{index}", "math", split, rng)


def _choice_turn(rng: random.Random, split: str, kind: str, answer: str) -> tuple[Turn, tuple[str, ...]]:
    return choice(rng, FORMS[split][kind], answer, [each for each in WRONG[kind] if each != answer])


def geometry_item(index: int, *, seed: int) -> Item:
    """Ask an open question about a figure."""
    rng, kind = stream("geometry", seed, "test", index), KINDS[index % len(KINDS)]
    image, answer = draw_figure(rng, "test", kind)
    return ask_item("geometry", index, seed, image, Turn(FORMS["test"][kind], answer))


def geometry_choice_item(index: int, *, seed: int) -> Item:
    """Ask about a figure, with options."""
    rng, kind = stream("geometry-choice", seed, "test", index), KINDS[index % len(KINDS)]
    image, answer = draw_figure(rng, "test", kind)
    turn, options = _choice_turn(rng, "test", kind, answer)
    return ask_item("geometry-choice", index, seed, image, turn, options=options)
