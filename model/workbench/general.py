"""General: conversations about scenes; refer-and-ground: boxes of the things in them.

The wordings and the shape-colour pairs that are held out are those of the scenes.
"""

from __future__ import annotations

import json
import random

from PIL import ImageDraw

from model.images.placement import box_text
from model.samples import Item, Sample, Turn
from model.seeds import stream
from model.workbench.build import LETTERS, ask_item, choice, dense
from model.workbench.documents import font
from model.workbench.scenes import COLOURS, NUMBERS, SHAPES, Scene, ask, draw_scene

LABELLED = (0.35, 0.5)
"""Range of the sides of objects that a letter is written into, as a share of the image's shorter side."""
LETTER_FORMS = {"train": ("Which letter marks the {}?", "Which shape has the letter {}?"),
                "test": ("What letter marks the {}?", "What shape has the letter {}?")}


def scene_turns(scene: Scene, split: str, rng: random.Random) -> list[Turn]:
    """Ask everything there is to ask about a scene: shape, colour, place, number, and two yes/no probes."""
    turns = [Turn(ask("count", split, rng), NUMBERS[len(scene.things)])]
    if len(scene.things) == 1:
        turns.append(Turn(ask("what", split, rng), scene.things[0].shape))
    for thing in scene.things:
        turns.append(Turn(ask("colour", split, rng, shape=thing.shape), thing.colour))
        turns.append(Turn(ask("shape", split, rng, colour=thing.colour), thing.shape))
        turns.append(Turn(ask("where", split, rng, shape=thing.shape), thing.place(*scene.image.size)))
    turns += [probe(scene, split, rng, wanted) for wanted in (True, False)]
    rng.shuffle(turns)
    return turns


def probe(scene: Scene, split: str, rng: random.Random, present: bool) -> Turn:
    """Ask whether something is there; absent things share a shape or a colour with a present one."""
    thing = rng.choice(scene.things)
    shape, colour = thing.shape, thing.colour
    pairs = {(each.shape, each.colour) for each in scene.things}
    while not present and (shape, colour) in pairs:
        shape, colour = (rng.choice(SHAPES), colour) if rng.random() < 0.5 else (shape, rng.choice(list(COLOURS)))
    return Turn(ask("probe", split, rng, shape=shape, colour=colour), "yes" if present else "no")


def general_sample(split: str, index: int, *, seed: int) -> Sample:
    """Make a dense conversation about one to three objects."""
    rng = stream("general", seed, split, index)
    scene = draw_scene(rng, split, sides=(48, 160) if rng.random() < 0.2 else None)
    return scene_sample(f"general/{split}/{seed}/{index}", "general", split, rng, scene)


def scene_sample(
    sample_id: str, category: str, split: str, rng: random.Random, scene: Scene, *, boxes: float = 0.0, choices: int = 1
) -> Sample:
    """Make the dense conversation about a scene, and `choices` questions with options; a share `boxes` also asks for boxes."""
    turns = [*scene_turns(scene, split, rng), *(scene_choice(scene, split, rng)[0] for _ in range(choices))]
    if rng.random() < boxes:
        turns += box_turns(scene, split)
    rng.shuffle(turns)
    return dense(sample_id, category, scene.image, turns)


def scene_choice(scene: Scene, split: str, rng: random.Random) -> tuple[Turn, tuple[str, ...]]:
    """Ask for a colour or a shape with four options."""
    thing = rng.choice(scene.things)
    if rng.random() < 0.5:
        return choice(
            rng,
            ask("colour", split, rng, shape=thing.shape),
            thing.colour,
            [each for each in COLOURS if each != thing.colour],
        )
    return choice(
        rng,
        ask("shape", split, rng, colour=thing.colour),
        thing.shape,
        [each for each in SHAPES if each != thing.shape],
    )


def labelled_sample(sample_id: str, category: str, split: str, rng: random.Random) -> Sample:
    """Make a diagram of two or three objects with a letter in each, asked both ways."""
    scene, letters = label_scene(draw_scene(rng, split, counts=(2, 3), sides=(60, 80), sizes=LABELLED), rng)
    which, shape = LETTER_FORMS[split]
    turns = [turn for thing, letter in zip(scene.things, letters, strict=True)
             for turn in (Turn(which.format(thing.shape), letter), Turn(shape.format(letter), thing.shape))]
    rng.shuffle(turns)
    return dense(sample_id, category, scene.image, turns)


def label_scene(scene: Scene, rng: random.Random) -> tuple[Scene, tuple[str, ...]]:
    """Write a letter into each object, in any order, and return the letters in the order of the objects."""
    letters = tuple(rng.sample(LETTERS[:3], len(scene.things)))
    pen = ImageDraw.Draw(scene.image)
    for thing, letter in zip(scene.things, letters, strict=True):
        x, y = (thing.box[0] + thing.box[2]) / 2, (thing.box[1] + thing.box[3]) / 2
        pen.rectangle((x - 5, y - 6, x + 5, y + 6), fill=(255, 255, 255))
        pen.text((x, y), letter, font=font(12), fill=(20, 20, 20), anchor="mm")
    return scene, letters


def refer_ground_sample(split: str, index: int, *, seed: int) -> Sample:
    """Make a conversation of boxes to names and names to boxes, in thousandths of the image."""
    rng = stream("refer_ground", seed, split, index)
    scene = draw_scene(rng, split, counts=(1, 2, 3))
    turns = box_turns(scene, split)
    rng.shuffle(turns)
    return dense(f"refer_ground/{split}/{seed}/{index}", "refer_ground", scene.image, turns)


def box_turns(scene: Scene, split: str) -> list[Turn]:
    """Ask for the name in each box and the box of each name."""
    width, height = scene.image.size
    boxes = [(thing, box_text(thing.box, width=width, height=height)) for thing in scene.things]
    train, test = (
        ("What shape is in {}?", "Give the box of the {}."),
        ("Which shape is in {}?", "Give me the box of the {}."),
    )
    name, box = train if split == "train" else test
    return [
        turn
        for thing, text in boxes
        for turn in (Turn(name.format(text), thing.shape), Turn(box.format(thing.shape), text))
    ]


def scene_qa_item(index: int, *, seed: int) -> Item:
    """Ask one open question about a scene."""
    rng, scene = _test_scene("scene-qa", index, seed, counts=(1, 2, 3))
    turn = rng.choice([turn for turn in scene_turns(scene, "test", rng) if turn.answer not in ("yes", "no")])
    return ask_item("scene-qa", index, seed, scene.image, turn)


def scene_probe_item(index: int, *, seed: int) -> Item:
    """Ask yes or no, half and half."""
    rng, scene = _test_scene("scene-probe", index, seed, counts=(1, 2, 3))
    return ask_item("scene-probe", index, seed, scene.image, probe(scene, "test", rng, index % 2 == 0))


def box_name_item(index: int, *, seed: int) -> Item:
    """Ask what is in a box."""
    rng, scene = _test_scene("box-name", index, seed, counts=(2,))
    return ask_item("box-name", index, seed, scene.image, rng.choice(box_turns(scene, "test")[::2]))


def name_box_item(index: int, *, seed: int) -> Item:
    """Ask for the box of a named shape."""
    rng, scene = _test_scene("name-box", index, seed, counts=(1, 2))
    return ask_item("name-box", index, seed, scene.image, rng.choice(box_turns(scene, "test")[1::2]))


def phrase_box_item(index: int, *, seed: int) -> Item:
    """Ask for the box of one of two or three things; the item says phrase and box in px, as Flickr30k's are judged."""
    rng, scene = _test_scene("phrase-box", index, seed, counts=(2, 3))
    place = rng.randrange(len(scene.things))
    thing, turn = scene.things[place], box_turns(scene, "test")[2 * place + 1]
    width, height = scene.image.size
    meta = {"phrase": thing.shape, "width": str(width), "height": str(height), "boxes": json.dumps([thing.box])}
    return ask_item("phrase-box", index, seed, scene.image, turn, meta=meta)


def scene_choice_item(index: int, *, seed: int) -> Item:
    """Ask one question about a scene with options."""
    rng, scene = _test_scene("scene-choice", index, seed, counts=(1, 2, 3))
    turn, options = scene_choice(scene, "test", rng)
    return ask_item("scene-choice", index, seed, scene.image, turn, options=options)


def scene_pairs_item(index: int, *, seed: int) -> Item:
    """Ask yes, then no, about the same scene: items 2 i and 2 i + 1 are MME's pair of one image."""
    rng, scene = _test_scene("scene-pairs", index // 2, seed, counts=(1, 2, 3))
    turn = [probe(scene, "test", rng, is_present) for is_present in (True, False)][index % 2]
    return ask_item(
        "scene-pairs", index, seed, scene.image, turn, meta={"category": "existence", "image": str(index // 2)}
    )


def _test_scene(benchmark: str, index: int, seed: int, counts: tuple[int, ...]) -> tuple[random.Random, Scene]:
    rng = stream(benchmark, seed, "test", index)
    return rng, draw_scene(rng, "test", counts=counts)
