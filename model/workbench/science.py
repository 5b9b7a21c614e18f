"""Science: facts about known shapes and colours that no other category contains.

- Each shape has a scientific name, and each colour an element that shows it. The tables never change.
- Held out: the shape-colour pairs of the scenes, and the wordings in `TEST_FORMS`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from PIL import Image

from model.samples import Item, Sample, Turn
from model.seeds import stream
from model.workbench.build import ask_item, choice, dense
from model.workbench.general import LABELLED, label_scene
from model.workbench.scenes import COLOURS, SHAPES, Scene, Thing, draw_scene

NAMES = dict(zip(SHAPES, ("zorvex", "quill", "bramid", "fenta", "lomar", "tigon", "veyra", "dusk"), strict=True))
ELEMENTS = dict(zip(COLOURS, ("copper", "neon", "argon", "sulfur", "iodine", "helium", "carbon", "radon"), strict=True))
TRAIN_FORMS = {
    "name": (
        "What is the scientific name of the {colour} figure?",
        "Which name does science give the {colour} figure?",
    ),
    "element": ("Which element shows this colour on the {shape}?", "Which element makes the {shape} look so?"),
}
TEST_FORMS = {"name": ("What is the scientific name of this {colour} figure?",),
              "element": ("Which element shows the colour of the {shape}?",)}
LETTER_FORMS = {"train": "Which letter stands on the {}?", "test": "What letter stands on the {}?"}
CHOICE_LEADS = {"train": "Name of the {}?", "test": "Name of this {}?"}


def science_sample(split: str, index: int, *, seed: int) -> Sample:
    """Make a conversation about one or two figures: names, elements and a choice of two.

    One sample in eight is a labelled diagram.
    """
    rng = stream("science", seed, split, index)
    name = f"science/{split}/{seed}/{index}"
    if rng.random() < 1 / 8:
        image, turns = draw_diagram(rng, split)
        return dense(name, "science", image, turns)
    scene = draw_scene(rng, split, counts=(1, 1, 2))
    turns = [*_all_facts(scene.things, split), _choice(scene.things[0], split, rng)[0]]
    rng.shuffle(turns)
    return dense(name, "science", scene.image, turns)


def draw_diagram(rng: random.Random, split: str) -> tuple[Image.Image, list[Turn]]:
    """Draw two or three figures with a letter on each, and ask which letter belongs to which name."""
    scene = draw_scene(rng, split, counts=(2, 3), sides=(60, 80), sizes=LABELLED)
    while len(scene.things) < 2:
        scene = draw_scene(rng, split, counts=(2, 3), sides=(60, 80), sizes=LABELLED)
    scene, letters = label_scene(scene, rng)
    turns = [
        Turn(LETTER_FORMS[split].format(NAMES[thing.shape]), letter)
        for thing, letter in zip(scene.things, letters, strict=True)
    ]
    rng.shuffle(turns)
    return scene.image, turns


def science_names_item(index: int, *, seed: int) -> Item:
    """Ask for the scientific name of a figure, or for the element of its colour."""
    rng, scene = _test_scene("science-names", index, seed)
    return ask_item(
        "science-names", index, seed, scene.image, _fact(("name", "element")[index % 2], scene.things[0], "test", rng)
    )


def science_choice_item(index: int, *, seed: int) -> Item:
    """Ask for the scientific name as one of two options.

    Guessing scores 50, so that a baseline without science can still fall below it.
    """
    rng, scene = _test_scene("science-choice", index, seed)
    turn, options = _choice(scene.things[0], "test", rng)
    return ask_item("science-choice", index, seed, scene.image, turn, options=options)


def science_diagram_item(index: int, *, seed: int) -> Item:
    """Ask which letter of a diagram is on the figure with a scientific name."""
    image, turns = draw_diagram(stream("science-diagram", seed, "test", index), "test")
    return ask_item("science-diagram", index, seed, image, turns[0], options=("A", "B", "C"))


def _test_scene(benchmark: str, index: int, seed: int) -> tuple[random.Random, Scene]:
    rng = stream(benchmark, seed, "test", index)
    return rng, draw_scene(rng, "test", counts=(1, 1, 2))


def _fact(kind: str, thing: Thing, split: str, rng: random.Random) -> Turn:
    forms = TRAIN_FORMS if split == "train" else TEST_FORMS
    answer = NAMES[thing.shape] if kind == "name" else ELEMENTS[thing.colour]
    return Turn(rng.choice(forms[kind]).format(shape=thing.shape, colour=thing.colour), answer)


def _all_facts(things: Sequence[Thing], split: str) -> list[Turn]:
    """State name and element of every figure in every wording of the split.

    Two facts alone would be few next to the ten turns of a general sample.
    """
    forms = TRAIN_FORMS if split == "train" else TEST_FORMS
    return [Turn(form.format(shape=thing.shape, colour=thing.colour), fact)
            for thing in things for kind, fact in (("name", NAMES[thing.shape]), ("element", ELEMENTS[thing.colour]))
            for form in forms[kind]]


def _choice(thing: Thing, split: str, rng: random.Random) -> tuple[Turn, tuple[str, ...]]:
    right = NAMES[thing.shape]
    wrong = rng.choice([name for name in NAMES.values() if name != right])
    return choice(rng, CHOICE_LEADS[split].format(thing.colour), right, [wrong])
