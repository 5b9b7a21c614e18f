"""Pre-training sources: dense conversations in place of captions, interleaved documents, text, and OCR.

- `caption` is what packaged checkpoints learn from: images of every kind but science, few of them small print; most
  scenes hold a single object (those are learned first), and few are asked for boxes, so that fine-tuning on boxes has
  something to teach. Each scene is asked several questions with options.
- `interleaved` documents describe one image after the other, compare images, or show a task by examples.
- `text_mm1` and `text_hq` are what `text_only` makes and, for a half, questions with options about words: which letter
  stands before the right option is learned there, and pictures can then be asked so.
- `ocr` is print that one tile cannot resolve; `recap` and `sharegpt4v` stand for the two synthetic caption sets.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from model.samples import IMAGE, Sample, Turn
from model.seeds import stream
from model.workbench import assets
from model.workbench.build import choice, dense
from model.workbench.charts import bars_sample, line_sample
from model.workbench.documents import form_sample, small_print_sample
from model.workbench.general import labelled_sample, scene_sample
from model.workbench.geometry import figure_sample
from model.workbench.handwriting import handwriting_sample
from model.workbench.markup import page_sample
from model.workbench.multi import comparison_sample, shown_sample
from model.workbench.scenes import COLOURS, NUMBERS, SHAPES, Scene, draw_scene
from model.workbench.screens import screen_sample
from model.workbench.sums import drawn_sum_sample
from model.workbench.tables import table_sample
from model.workbench.text_rich import Maker
from model.workbench.texts import text_only_sample

BOXES = 0.1
"""Share of captioned scenes that are also asked for boxes."""
CHOICES = 3
"""Questions with options about a captioned scene."""
KINDS_OF_WORDS = {"shape": SHAPES, "colour": tuple(COLOURS), "number": NUMBERS}


def _captioned_scene(sample_id: str, category: str, split: str, rng: random.Random) -> Sample:
    scene = draw_scene(rng, split, counts=(1, 1, 1, 2, 2, 3))
    return scene_sample(sample_id, category, split, rng, scene, boxes=BOXES, choices=CHOICES)


CAPTIONED: tuple[tuple[Maker, int], ...] = (
    (_captioned_scene, 28), (labelled_sample, 5), (form_sample, 12), (small_print_sample, 6), (table_sample, 8), (screen_sample, 8),
    (bars_sample, 5), (line_sample, 5), (handwriting_sample, 6), (drawn_sum_sample, 8), (figure_sample, 6), (page_sample, 4))
"""Each kind of captioned image and its parts of the source."""


def caption_sample(split: str, index: int, *, seed: int) -> Sample:
    """Make an image of one of the kinds, with everything one can ask about it."""
    rng = stream("caption", seed, split, index)
    make = rng.choices([kind for kind, _ in CAPTIONED], [part for _, part in CAPTIONED])[0]
    return make(f"caption/{split}/{seed}/{index}", "caption", split, rng)


def ocr_sample(split: str, index: int, *, seed: int) -> Sample:
    """Make a receipt, a wide form or a sheet, read line by line."""
    return small_print_sample(f"ocr/{split}/{seed}/{index}", "ocr", split, stream("ocr", seed, split, index))


def interleaved_sample(split: str, index: int, *, seed: int) -> Sample:
    """Make a document of two to five images: described one by one, compared, or answered alike."""
    rng = stream("interleaved", seed, split, index)
    name, kind = f"interleaved/{split}/{seed}/{index}", rng.random()
    if kind < 0.7:
        return (comparison_sample if kind < 0.5 else shown_sample)(name, "interleaved", split, rng)
    scenes = [draw_scene(rng, split, counts=(1, 2)) for _ in range(rng.randint(2, 3))]
    return Sample(sample_id=name, category="interleaved", images=tuple(scene.image for scene in scenes),
                  turns=tuple(Turn(IMAGE, described(scene)) for scene in scenes))


def described_sample(source: str) -> Callable[..., Sample]:
    """Return a maker of images with one long description, as a synthetic caption set has."""

    def make(split: str, index: int, *, seed: int) -> Sample:
        rng = stream(source, seed, split, index)
        scene = draw_scene(rng, split)
        question = "Describe the image." if source == "recap" else "Describe the image in detail."
        return dense(f"{source}/{split}/{seed}/{index}", source, scene.image, [Turn(question, described(scene))])

    return make


def text_sample(source: str) -> Callable[..., Sample]:
    """Return a maker of text without images, half of it choices between words; the higher-quality corpus has its own stream."""

    def make(split: str, index: int, *, seed: int) -> Sample:
        rng = stream(source, seed, split, index)
        turns = (word_choices(rng, split) if rng.random() < 0.5
                 else text_only_sample(split, 2 * index + (source == "text_hq"), seed=seed).turns)
        return Sample(sample_id=f"{source}/{split}/{seed}/{index}", category=source, turns=turns)

    return make


def word_choices(rng: random.Random, split: str) -> tuple[Turn, ...]:
    """Ask eight times which of two to four options is a given word, or a word of a given kind."""
    paragraph = rng.choice(assets.english(split))
    words = sorted({word for word in paragraph.split() if word.isalpha() and len(word) > 2} | {*SHAPES, *COLOURS})
    return tuple(_copied(rng, words) if rng.random() < 0.6 else _of_a_kind(rng) for _ in range(8))


def _copied(rng: random.Random, words: Sequence[str]) -> Turn:
    right = rng.choice(words)
    wrong = [word for word in words if word != right]
    return choice(rng, f"Which word is {right}?", right, rng.sample(wrong, rng.randint(1, 3)))[0]


def _of_a_kind(rng: random.Random) -> Turn:
    kind = rng.choice(list(KINDS_OF_WORDS))
    others = [word for name, words in KINDS_OF_WORDS.items() if name != kind for word in words]
    return choice(rng, f"Which is a {kind}?", rng.choice(KINDS_OF_WORDS[kind]), rng.sample(others, rng.randint(1, 3)))[0]


def described(scene: Scene) -> str:
    """Write one sentence of every object, its colour and its place."""
    parts = [f"a {thing.colour} {thing.shape} at the {thing.place(*scene.image.size)}" for thing in scene.things]
    return f"{NUMBERS[len(scene.things)]}: " + ", ".join(parts)
