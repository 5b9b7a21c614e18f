"""General: conversations about scenes; refer-and-ground: boxes of the things in them.

The wordings and the shape-colour pairs that are held out are those of the scenes.
"""

from __future__ import annotations

import random

from model.data.samples import IMAGE, Item, Sample, Turn
from model.data.workbench.documents import dense
from model.data.workbench.randomness import stream
from model.data.workbench.scenes import COLOURS, NUMBERS, SHAPES, Scene, ask, draw_scene
from model.images.layout import box_text


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
    scene = draw_scene(rng, split, sides=(48, 160) if rng.random() < 0.2 else (48, 96))
    return dense(f"general/{split}/{seed}/{index}", "general", scene.image, scene_turns(scene, split, rng))


def refer_ground_sample(split: str, index: int, *, seed: int) -> Sample:
    """Make a conversation of boxes to names and names to boxes, in thousandths of the image."""
    rng = stream("refer_ground", seed, split, index)
    scene = draw_scene(rng, split, counts=(1, 2))
    turns = box_turns(scene, split)
    rng.shuffle(turns)
    return dense(f"refer_ground/{split}/{seed}/{index}", "refer_ground", scene.image, turns)


def box_turns(scene: Scene, split: str) -> list[Turn]:
    """Ask for the name in each box and the box of each name."""
    width, height = scene.image.size
    boxes = [(thing, box_text(thing.box, width=width, height=height)) for thing in scene.things]
    train, test = ("What is in {}?", "Give the box of the {}."), ("Which shape is in {}?", "Give me the box of the {}.")
    name, box = train if split == "train" else test
    return [turn for thing, text in boxes for turn in (Turn(name.format(text), thing.shape), Turn(box.format(thing.shape), text))]


def scene_qa_item(index: int, *, seed: int) -> Item:
    """Ask one open question about a scene."""
    rng, scene = _test_scene("scene-qa", index, seed, counts=(1, 2, 3))
    turn = rng.choice([turn for turn in scene_turns(scene, "test", rng) if turn.answer not in ("yes", "no")])
    return _item("scene-qa", index, seed, scene, turn)


def scene_probe_item(index: int, *, seed: int) -> Item:
    """Ask yes or no, half and half."""
    rng, scene = _test_scene("scene-probe", index, seed, counts=(1, 2, 3))
    return _item("scene-probe", index, seed, scene, probe(scene, "test", rng, index % 2 == 0))


def box_name_item(index: int, *, seed: int) -> Item:
    """Ask what is in a box."""
    rng, scene = _test_scene("box-name", index, seed, counts=(2,))
    return _item("box-name", index, seed, scene, rng.choice(box_turns(scene, "test")[::2]))


def name_box_item(index: int, *, seed: int) -> Item:
    """Ask for the box of a named shape."""
    rng, scene = _test_scene("name-box", index, seed, counts=(1, 2))
    return _item("name-box", index, seed, scene, rng.choice(box_turns(scene, "test")[1::2]))


def _test_scene(benchmark: str, index: int, seed: int, counts: tuple[int, ...]) -> tuple[random.Random, Scene]:
    rng = stream(benchmark, seed, "test", index)
    return rng, draw_scene(rng, "test", counts=counts)


def _item(benchmark: str, index: int, seed: int, scene: Scene, turn: Turn) -> Item:
    return Item(item_id=f"{benchmark}/{seed}/{index}", benchmark=benchmark, question=IMAGE + turn.question,
                images=(scene.image,), references=(turn.answer,))
