"""Open questions for a judge: about scenes, about regions of them, and sums and figures whose answer must be extracted.

- They resemble LLaVA-Bench, MM-Vet, Ferret-Bench and MathVista; `meta` has the same fields as theirs.
- A judge sees no image: `context` describes it, with boxes as fractions of the image, as Ferret-Bench's judge takes
  them.
- Held out: the shape-colour pairs of the scenes, the sums and figures of the test split, and the wordings.
"""

from __future__ import annotations

from model.images.placement import box_text
from model.samples import Item, Turn
from model.seeds import stream
from model.workbench.build import ask_item
from model.workbench.geometry import geometry_choice_item
from model.workbench.scenes import NUMBERS, Scene, Thing, ask
from model.workbench.spatial import draw_layout
from model.workbench.sums import RESULT_FORMS, draw_sum

TALKS = ("conv", "detail", "complex")
"""LLaVA-Bench's kinds of questions."""
REGIONS = ("refer_desc", "refer_reason", "ground_conv")
"""Ferret-Bench's kinds of questions."""


def scene_talk_item(index: int, *, seed: int) -> Item:
    """Ask about a scene, for a description of it, or what would remain after a change; answers are sentences."""
    rng, kind = stream("scene-talk", seed, "test", index), TALKS[index % len(TALKS)]
    scene, _, thing = draw_layout(rng, "test")
    rest = [phrase(each, scene) for each in scene.things if each is not thing]
    turn = {
        "conv": Turn(ask("colour", "test", rng, shape=thing.shape), f"The {thing.shape} is {thing.colour}."),
        "detail": Turn(
            "What is in this image, in detail?", f"There are {NUMBERS[len(scene.things)]} shapes: {listed(scene)}."
        ),
        "complex": Turn(
            f"What would be left without the {thing.shape}?", f"Without it, {' and '.join(rest)} would be left."
        ),
    }[kind]
    return ask_item("scene-talk", index, seed, scene.image, turn, meta={"category": kind, "context": context(scene)})


def scene_skills_item(index: int, *, seed: int) -> Item:
    """Ask for what needs several abilities: recognition and place, reading and sums, or a complete list.

    The reference joins the parts by <AND>.
    """
    rng = stream("scene-skills", seed, "test", index)
    if index % 3 == 1:
        image, a, b = draw_sum(rng, "test")
        turn = Turn("What does it say, and what is the result?", f"{a} + {b}<AND>{a + b}")
        return ask_item("scene-skills", index, seed, image, turn, meta={"capability": "ocr,math"})
    scene, side, thing = draw_layout(rng, "test")
    turn, needs = (
        Turn(f"Which shape is furthest to the {side}, and which colour is it?", f"{thing.shape}<AND>{thing.colour}"),
        "rec,spat",
    )
    if index % 3 == 2:
        turn, needs = (
            Turn("What is in this image?", "<AND>".join(f"{each.colour} {each.shape}" for each in scene.things)),
            "rec,gen",
        )
    return ask_item("scene-skills", index, seed, scene.image, turn, meta={"capability": needs})


def region_talk_item(index: int, *, seed: int) -> Item:
    """Ask for a description of a region, its place relative to another object, or a description with boxes."""
    rng, kind = stream("region-talk", seed, "test", index), REGIONS[index % len(REGIONS)]
    scene, side, thing = draw_layout(rng, "test")
    region = box_text(thing.box, width=scene.image.width, height=scene.image.height)
    turn = {"refer_desc": Turn(f"Describe what is in {region}.", f"There is {phrase(thing, scene)}."),
            "refer_reason": Turn(f"Is anything further to the {side} than the shape in {region}?",
                                 f"No, the {thing.shape} is the shape that is furthest to the {side}."),
            "ground_conv": Turn("Describe the image with the box of each shape.",
                                "; ".join(f"{named(each)} {fractions(each, scene)}" for each in scene.things))}[kind]
    return ask_item("region-talk", index, seed, scene.image, turn, meta={"category": kind, "context": context(scene)})


def maths_read_item(index: int, *, seed: int) -> Item:
    """Ask for the result of a drawn sum, or about a figure with options, where the answer is the option's text."""
    if index % 2:
        plain = geometry_choice_item(index // 2, seed=seed)
        right = plain.options["ABCD".index(plain.references[0])]
        meta = {"question_type": "multi_choice", "answer_type": "text"}
        turn, images, options = Turn(plain.question.removeprefix("<image>"), right), plain.images, plain.options
    else:
        image, a, b = draw_sum(stream("maths-read", seed, "test", index), "test")
        meta = {"question_type": "free_form", "answer_type": "integer"}
        turn, images, options = Turn(RESULT_FORMS["test"][0], str(a + b)), (image,), ()
    return ask_item("maths-read", index, seed, images, turn, options=options, meta={**meta, "precision": "0", "query": turn.question})


def context(scene: Scene) -> str:
    """Describe a scene for a judge: its objects with places and boxes, and how boxes are written."""
    lines = [f"{phrase(thing, scene)}: {fractions(thing, scene)}" for thing in scene.things]
    return "\n".join(
        (
            f"The image shows {NUMBERS[len(scene.things)]} shapes.",
            *lines,
            "Boxes are [left, top, right, bottom] as fractions of the image; in the question they are thousandths.",
        )
    )


def phrase(thing: Thing, scene: Scene) -> str:
    """Return a description of an object: colour, shape and place."""
    return f"{named(thing)} at the {thing.place(*scene.image.size)}"


def named(thing: Thing) -> str:
    """Return a description of an object: colour and shape."""
    return f"{'an' if thing.colour[0] in 'aeiou' else 'a'} {thing.colour} {thing.shape}"


def listed(scene: Scene) -> str:
    """Return a description of all objects of a scene."""
    return ", ".join(phrase(thing, scene) for thing in scene.things)


def fractions(thing: Thing, scene: Scene) -> str:
    """Return an object's box as fractions of the image, with three decimals."""
    x1, y1, x2, y2 = thing.box
    width, height = scene.image.size
    return f"[{x1 / width:.3f}, {y1 / height:.3f}, {x2 / width:.3f}, {y2 / height:.3f}]"
