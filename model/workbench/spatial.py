"""Questions about the places of objects in a scene, open or with options, as RealWorldQA asks them.

Held out: the shape-colour pairs and the wordings of the scenes. Training never asks which object is furthest to a side.
"""

from __future__ import annotations

import random

from model.samples import Item, Turn
from model.seeds import stream
from model.workbench.build import ask_item, choice
from model.workbench.scenes import PLACES, SHAPES, Scene, Thing, ask, draw_scene

SIDES = {"left": (0, -1), "right": (0, 1), "top": (1, -1), "bottom": (1, 1)}
"""Axis of a box's centre, and whether the furthest object has the smallest (-1) or the largest (1) coordinate."""
CLEAR = 0.12
"""By how much the furthest object leads, as a fraction of the image's length."""
ALL_PLACES = tuple(word for row in PLACES for word in row)
KINDS = ("where", "where with options", "furthest")


def scene_layout_item(index: int, *, seed: int) -> Item:
    """Ask in turn where an object is, the same with options, and which object is furthest to a side, with options."""
    rng = stream("scene-layout", seed, "test", index)
    scene, side, thing = draw_layout(rng, "test")
    if KINDS[index % len(KINDS)] == "furthest":
        others = [shape for shape in SHAPES if shape != thing.shape]
        turn, options = choice(rng, f"Which shape is furthest to the {side}?", thing.shape, others)
        return ask_item("scene-layout", index, seed, scene.image, turn, options=options)
    place, question = thing.place(*scene.image.size), ask("where", "test", rng, shape=thing.shape)
    if KINDS[index % len(KINDS)] == "where":
        return ask_item("scene-layout", index, seed, scene.image, Turn(question, place))
    turn, options = choice(rng, question, place, [word for word in ALL_PLACES if word != place])
    return ask_item("scene-layout", index, seed, scene.image, turn, options=options)


def draw_layout(rng: random.Random, split: str) -> tuple[Scene, str, Thing]:
    """Draw a scene of two or three objects, one of which is clearly furthest to a side.

    Return scene, side and object.
    """
    while True:
        scene = draw_scene(rng, split, counts=(2, 3))
        for side in rng.sample(sorted(SIDES), len(SIDES)):
            if len(scene.things) > 1 and (thing := furthest(scene, side)) is not None:
                return scene, side, thing


def furthest(scene: Scene, side: str) -> Thing | None:
    """Return the object whose centre is furthest to a side, None if another one is nearly as far."""
    axis, sign = SIDES[side]
    length = scene.image.size[axis]
    first, second = sorted(scene.things, key=lambda thing: -sign * _centre(thing, axis))[:2]
    return first if abs(_centre(first, axis) - _centre(second, axis)) >= CLEAR * length else None


def _centre(thing: Thing, axis: int) -> float:
    return (thing.box[axis] + thing.box[axis + 2]) / 2
