"""Pre-training sources: dense conversations in place of captions, interleaved documents, text, and OCR.

- `caption` is what the packaged checkpoint learns from: mostly small images that one 64 px tile resolves, more than half of them
  with a single object (those are learned first), a small share of boxes.
- `ocr` is print that one tile cannot resolve; `recap` and `sharegpt4v` stand for the two synthetic caption sets.
"""

from __future__ import annotations

from collections.abc import Callable

from model.data.samples import IMAGE, Sample, Turn
from model.data.workbench.documents import chart_turns, dense, draw_chart, draw_form, draw_receipt, field_turns
from model.data.workbench.general import box_turns, scene_turns
from model.data.workbench.randomness import stream
from model.data.workbench.scenes import NUMBERS, Scene, draw_scene
from model.data.workbench.symbols import math_sample, text_only_sample


def caption_sample(split: str, index: int, *, seed: int) -> Sample:
    """Make a scene (three quarters), a form, a chart or a drawn sum, with everything one can ask about it."""
    rng = stream("caption", seed, split, index)
    name, draw = f"caption/{split}/{seed}/{index}", rng.random()
    if draw < 0.75:
        scene = draw_scene(rng, split, counts=(1, 1, 1, 1, 2, 2, 3))
        boxes = box_turns(scene, split)[:2] if rng.random() < 0.05 else []
        return dense(name, "caption", scene.image, [*scene_turns(scene, split, rng), *boxes])
    if draw < 0.88:
        image, fields = draw_form(rng, split, fields=rng.randint(1, 2))
        return dense(name, "caption", image, field_turns(fields, split))
    if draw < 0.95:
        image, bars = draw_chart(rng)
        return dense(name, "caption", image, chart_turns(bars, split, rng))
    summed = math_sample(split, index, seed=seed)
    return Sample(sample_id=name, category="caption", images=summed.images, turns=summed.turns)


def ocr_sample(split: str, index: int, *, seed: int) -> Sample:
    """Make a receipt or a wide form, read line by line."""
    rng = stream("ocr", seed, split, index)
    image, fields = draw_receipt(rng, split) if rng.random() < 0.5 else draw_form(rng, split, fields=3, wide=True)
    return dense(f"ocr/{split}/{seed}/{index}", "ocr", image, field_turns(fields, split))


def interleaved_sample(split: str, index: int, *, seed: int) -> Sample:
    """Make a document of two or three images, each followed by its description."""
    rng = stream("interleaved", seed, split, index)
    scenes = [draw_scene(rng, split, counts=(1, 2)) for _ in range(rng.randint(2, 3))]
    return Sample(sample_id=f"interleaved/{split}/{seed}/{index}", category="interleaved", images=tuple(scene.image for scene in scenes),
                  turns=tuple(Turn(IMAGE, described(scene)) for scene in scenes))


def multi_image_sample(split: str, index: int, *, seed: int) -> Sample:
    """Make two scenes and ask which of them holds something, and whether their shapes are the same."""
    rng = stream("multi_image", seed, split, index)
    first, second = (draw_scene(rng, split, counts=(1,)) for _ in range(2))
    shapes = [scene.things[0].shape for scene in (first, second)]
    turns = [Turn(f"{IMAGE}{IMAGE}Are the shapes the same?", "yes" if shapes[0] == shapes[1] else "no")]
    if shapes[0] != shapes[1]:
        wanted = rng.randrange(2)
        turns.append(Turn(f"Which image shows the {shapes[wanted]}?", ("first", "second")[wanted]))
    return Sample(sample_id=f"multi_image/{split}/{seed}/{index}", category="multi_image", images=(first.image, second.image),
                  turns=tuple(turns))


def described_sample(source: str) -> Callable[..., Sample]:
    """Return a maker of images with one long description, as a synthetic caption set has."""

    def make(split: str, index: int, *, seed: int) -> Sample:
        rng = stream(source, seed, split, index)
        scene = draw_scene(rng, split)
        question = "Describe the image." if source == "recap" else "Describe the image in detail."
        return dense(f"{source}/{split}/{seed}/{index}", source, scene.image, [Turn(question, described(scene))])

    return make


def text_sample(source: str) -> Callable[..., Sample]:
    """Return a maker of text without images; the higher-quality corpus has its own stream."""

    def make(split: str, index: int, *, seed: int) -> Sample:
        sample = text_only_sample(split, 2 * index + (source == "text_hq"), seed=seed)
        return Sample(sample_id=f"{source}/{split}/{seed}/{index}", category=source, turns=sample.turns)

    return make


def described(scene: Scene) -> str:
    """Write one sentence of every object, its colour and its place."""
    parts = [f"a {thing.colour} {thing.shape} at the {thing.place(*scene.image.size)}" for thing in scene.things]
    return f"{NUMBERS[len(scene.things)]}: " + ", ".join(parts)
