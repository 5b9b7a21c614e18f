"""Science: facts that no other category holds, about shapes and colours that the model already sees.

- Each shape has a scientific name, each colour an element that shows it. The tables never change.
- Held out: the shape-colour pairs of the scenes, and the wordings of `TEST_FORMS`.
"""

from __future__ import annotations

import random

from model.data.samples import IMAGE, Item, Sample, Turn
from model.data.workbench.randomness import stream
from model.data.workbench.scenes import COLOURS, SHAPES, Scene, Thing, draw_scene

NAMES = dict(zip(SHAPES, ("zorvex", "quill", "bramid", "fenta", "lomar", "tigon", "veyra", "dusk"), strict=True))
ELEMENTS = dict(zip(COLOURS, ("copper", "neon", "argon", "sulfur", "iodine", "helium", "carbon", "radon"), strict=True))
LETTERS = "ABCD"
TRAIN_FORMS = {"name": ("What is the scientific name of the {colour} figure?", "Which name does science give the {colour} figure?"),
               "element": ("Which element shows this colour on the {shape}?", "Which element makes the {shape} look so?")}
TEST_FORMS = {"name": ("What is the scientific name of this {colour} figure?",),
              "element": ("Which element shows the colour of the {shape}?",)}


def science_sample(split: str, index: int, *, seed: int) -> Sample:
    """Make one conversation about one or two figures: names, elements and a choice of four."""
    rng = stream("science", seed, split, index)
    scene = draw_scene(rng, split, counts=(1, 1, 2))
    turns = [turn for thing in scene.things for turn in (_fact("name", thing, split, rng), _fact("element", thing, split, rng))]
    question, _, letter = _choice(scene.things[0], split, rng)
    turns = [*turns, Turn(question, letter), _fact("name", scene.things[0], split, rng)]
    rng.shuffle(turns)
    first = turns[0]
    return Sample(sample_id=f"science/{split}/{seed}/{index}", category="science", images=(scene.image,),
                  turns=(Turn(IMAGE + first.question, first.answer), *turns[1:]))


def science_names_item(index: int, *, seed: int) -> Item:
    """Ask for the scientific name of a figure, or for the element of its colour."""
    rng, scene = _test_scene("science-names", index, seed)
    turn = _fact(("name", "element")[index % 2], scene.things[0], "test", rng)
    return Item(item_id=f"science-names/{seed}/{index}", benchmark="science-names", question=IMAGE + turn.question,
                images=(scene.image,), references=(turn.answer,))


def science_choice_item(index: int, *, seed: int) -> Item:
    """Ask for the scientific name as one of four options."""
    rng, scene = _test_scene("science-choice", index, seed)
    question, options, letter = _choice(scene.things[0], "test", rng)
    return Item(item_id=f"science-choice/{seed}/{index}", benchmark="science-choice", question=IMAGE + question,
                images=(scene.image,), references=(letter,), options=options)


def _test_scene(benchmark: str, index: int, seed: int) -> tuple[random.Random, Scene]:
    rng = stream(benchmark, seed, "test", index)
    return rng, draw_scene(rng, "test", counts=(1, 1, 2))


def _fact(kind: str, thing: Thing, split: str, rng: random.Random) -> Turn:
    forms = TRAIN_FORMS if split == "train" else TEST_FORMS
    answer = NAMES[thing.shape] if kind == "name" else ELEMENTS[thing.colour]
    return Turn(rng.choice(forms[kind]).format(shape=thing.shape, colour=thing.colour), answer)


def _choice(thing: Thing, split: str, rng: random.Random) -> tuple[str, tuple[str, ...], str]:
    right = NAMES[thing.shape]
    options = tuple(rng.sample([right, *rng.sample([name for name in NAMES.values() if name != right], 3)], 4))
    lead = "Name of the {}?" if split == "train" else "Name of this {}?"
    listed = " ".join(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=True))
    return f"{lead.format(thing.colour)} {listed} Answer with the letter.", options, LETTERS[options.index(right)]
