"""Scenes: coloured shapes on a light ground, and questions about them.

- Held out: the shape-colour pairs of `HELD_OUT` never occur in train scenes, and exactly one occurs in each test scene.
  Each shape and each colour occurs in training. Test questions use the paraphrases in `TEST_FORMS`, one for each kind
  in `TRAIN_FORMS`.
- Objects do not touch each other and lie inside the frame. Their side is a fifth to a half of the image's shorter side;
  in thumbnails at least a third.
- Half of the images are thumbnails, which fit into one tile of the `tiny` scale: a grid of at least four tiles enlarges
  them, a grid of at least one does not. The others are up to 96 px long unless a caller asks for more.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from PIL import Image, ImageDraw

from model.images.placement import Box

SHAPES = ("circle", "square", "triangle", "star", "cross", "diamond", "ring", "heart")
COLOURS = {"red": (214, 40, 40), "green": (46, 150, 60), "blue": (40, 80, 200), "yellow": (235, 200, 30),
           "purple": (130, 50, 160), "orange": (240, 130, 20), "black": (25, 25, 25), "pink": (240, 130, 180)}
HELD_OUT = frozenset({("circle", "purple"), ("square", "orange"), ("triangle", "pink"), ("star", "blue"), ("cross", "red"),
                      ("diamond", "green"), ("ring", "yellow"), ("heart", "black")})
PLACES = (("top left", "top", "top right"), ("left", "middle", "right"), ("bottom left", "bottom", "bottom right"))
NUMBERS = ("zero", "one", "two", "three", "four")

TRAIN_FORMS = {
    "what": ("What is shown?", "Which shape is it?"),
    "colour": ("What colour is the {shape}?",),
    "shape": ("Which shape is {colour}?",),
    "where": ("Where is the {shape}?",),
    "count": ("How many shapes are there?",),
    "probe": ("Is there a {colour} {shape}?",),
}
TEST_FORMS = {
    "what": ("What shape is shown?",),
    "colour": ("Which colour is the {shape}?",),
    "shape": ("What shape is {colour}?",),
    "where": ("Where is the {shape} shown?",),
    "count": ("How many shapes are shown?",),
    "probe": ("Is a {colour} {shape} there?",),
}


@dataclass(frozen=True, slots=True)
class Thing:
    """One drawn object, with its box in px."""

    shape: str
    colour: str
    box: Box

    def place(self, width: int, height: int) -> str:
        """Return the name of the ninth of the image that contains the object's centre."""
        x1, y1, x2, y2 = self.box
        return PLACES[min(2, int((y1 + y2) * 1.5 / height))][min(2, int((x1 + x2) * 1.5 / width))]


@dataclass(frozen=True, slots=True)
class Scene:
    """An image and the objects in it."""

    image: Image.Image
    things: tuple[Thing, ...]


THUMBNAIL = (26, 32)
"""Range of the longer side of a thumbnail, px."""


def draw_scene(
    rng: random.Random,
    split: str,
    *,
    counts: tuple[int, ...] = (1, 2, 3),
    sides: tuple[int, int] | None = None,
    sizes: tuple[float, float] | None = None,
) -> Scene:
    """Draw a scene of distinct shapes in distinct colours.

    Args:
        rng: the sample's random stream.
        split: `train` avoids the held-out pairs, `test` starts with one.
        counts: possible numbers of objects.
        sides: range of the longer side in px; None draws a thumbnail or 48 to 96 px. The shorter side is at least half
            of it.
        sizes: range of an object's side as a fraction of the image's shorter side; None takes the module's range.
    """
    sides = sides or rng.choice((THUMBNAIL, (48, 96)))
    sizes = sizes or ((0.33, 0.5) if sides == THUMBNAIL else (0.2, 0.5))
    longer = rng.randint(*sides)
    shorter = longer if rng.random() < 0.5 else rng.randint(max(sides[0], longer // 2), longer)
    width, height = (longer, shorter) if rng.random() < 0.5 else (shorter, longer)
    ground = tuple(rng.randint(225, 255) for _ in range(3))
    image = Image.new("RGB", (width, height), ground)
    pen = ImageDraw.Draw(image)
    things: list[Thing] = []
    for shape, colour in _pairs(rng, split, rng.choice(counts)):
        box = _free_box(rng, (width, height), sizes, things)
        if box is None:
            continue
        draw_shape(pen, shape, COLOURS[colour], box, ground)
        things.append(Thing(shape, colour, box))
    return Scene(image, tuple(things))


def ask(kind: str, split: str, rng: random.Random, **words: str) -> str:
    """Return a question in one of the split's wordings."""
    forms = TRAIN_FORMS if split == "train" else TEST_FORMS
    return rng.choice(forms[kind]).format(**words)


def _pairs(rng: random.Random, split: str, count: int) -> list[tuple[str, str]]:
    while True:
        pairs = list(zip(rng.sample(SHAPES, count), rng.sample(list(COLOURS), count), strict=True))
        if split == "test":
            held = rng.choice(sorted(HELD_OUT))
            pairs = [held, *[pair for pair in pairs if held[0] != pair[0] and held[1] != pair[1]]][:count]
            rest = pairs[1:]
        else:
            rest = pairs
        if not any(pair in HELD_OUT for pair in rest):
            return pairs


def _free_box(
    rng: random.Random, image: tuple[int, int], sizes: tuple[float, float], things: list[Thing]
) -> Box | None:
    width, height = image
    for _ in range(20):
        side = rng.uniform(*sizes) * min(image)
        x, y = rng.uniform(1, width - side - 1), rng.uniform(1, height - side - 1)
        box = (x, y, x + side, y + side)
        if all(_apart(box, thing.box) for thing in things):
            return box
    return None


def _apart(a: Box, b: Box) -> bool:
    return a[2] + 2 < b[0] or b[2] + 2 < a[0] or a[3] + 2 < b[1] or b[3] + 2 < a[1]


def draw_shape(
    pen: ImageDraw.ImageDraw, shape: str, colour: tuple[int, ...], box: Box, ground: tuple[int, ...]
) -> None:
    """Draw a filled shape into its box; `ground` is the colour inside a ring."""
    x1, y1, x2, y2 = box
    side = x2 - x1
    if shape in ("circle", "ring"):
        pen.ellipse(box, fill=colour)
        if shape == "ring":
            inner = side * 0.28
            pen.ellipse((x1 + inner, y1 + inner, x2 - inner, y2 - inner), fill=ground)
    elif shape == "square":
        pen.rectangle(box, fill=colour)
    elif shape == "cross":
        arm = side * 0.34
        pen.rectangle((x1 + arm, y1, x2 - arm, y2), fill=colour)
        pen.rectangle((x1, y1 + arm, x2, y2 - arm), fill=colour)
    else:
        pen.polygon([(x1 + side * x, y1 + side * y) for x, y in _OUTLINES[shape]], fill=colour)


def _star() -> list[tuple[float, float]]:
    radii = (0.5, 0.2)
    return [
        (0.5 + radii[i % 2] * math.sin(i * math.pi / 5), 0.5 - radii[i % 2] * math.cos(i * math.pi / 5))
        for i in range(10)
    ]


_OUTLINES = {
    "triangle": [(0.5, 0.0), (1.0, 1.0), (0.0, 1.0)],
    "diamond": [(0.5, 0.0), (0.85, 0.5), (0.5, 1.0), (0.15, 0.5)],
    "star": _star(),
    "heart": [(0.5, 1.0), (0.0, 0.4), (0.05, 0.12), (0.27, 0.0), (0.5, 0.2), (0.73, 0.0), (0.95, 0.12), (1.0, 0.4)],
}
