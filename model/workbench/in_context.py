"""In-context learning: only the worked examples before a question give its meaning; training does not.

- `bound-words`: the examples bind two made-up words to two shapes (like open MiniImageNet).
- `operators`: the examples show which of three operations a `?` between two digits stands for (operator induction).
- Any other benchmark can be asked after examples from the train split of its category, which contain nothing of the
  test split.
- Fewer examples are the first ones of more, so that numbers of shots can be compared.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from itertools import count

from PIL import Image, ImageDraw

from model.samples import IMAGE, Item, Sample, Turn
from model.seeds import stream
from model.workbench.documents import font
from model.workbench.scenes import SHAPES, Scene, draw_scene

WORDS = ("dax", "wug", "blick", "toma", "fep", "ziv", "lorp", "mib", "kiki", "bouba", "gazzer", "sot")
OPERATIONS: dict[str, Callable[[int, int], int]] = {"plus": int.__add__, "minus": int.__sub__, "times": int.__mul__}
MOST_SHOTS = 8
WORD_QUESTION, SUM_QUESTION = "What is this?", "What is the result?"

Example = tuple[Image.Image, Turn]
MakeSample = Callable[..., Sample]
MakeItem = Callable[..., Item]


def bound_words_item(index: int, *, seed: int, shots: int) -> Item:
    """Ask for the word of a shape.

    The examples alternate between both shapes, so that four examples show everything.
    """
    rng = stream("bound-words", seed, "test", index)
    shapes, words = rng.sample(SHAPES, 2), rng.sample(WORDS, 2)
    examples = [_named(rng, shapes[place % 2], words[place % 2]) for place in range(MOST_SHOTS)]
    asked = rng.randrange(2)
    return _item("bound-words", index, seed, examples[:shots], _named(rng, shapes[asked], words[asked]))


def operators_item(index: int, *, seed: int, shots: int) -> Item:
    """Ask for the result of two digits around a `?`, whose meaning the examples show."""
    rng = stream("operators", seed, "test", index)
    operation = OPERATIONS[rng.choice(list(OPERATIONS))]
    pairs = rng.sample([(a, b) for a in range(1, 10) for b in range(1, a + 1)], MOST_SHOTS + 1)
    examples = [(_drawn(rng, a, b), Turn(IMAGE + SUM_QUESTION, str(operation(a, b)))) for a, b in pairs]
    return _item("operators", index, seed, examples[:shots], examples[-1])


def with_examples(item: Item, index: int, *, seed: int, shots: int, category: str, make_sample: MakeSample) -> Item:
    """Put worked examples of the train split before a question: one question about each of several samples.

    Args:
        item: the question.
        index: its number, which determines the examples.
        seed: the seed of the corpus.
        shots: the number of examples.
        category: the category of the training samples.
        make_sample: makes a sample.
    """
    rng = stream("examples", item.benchmark, seed, index)
    examples = [_example(make_sample(category, "train", rng.randrange(2**31), seed=seed), rng) for _ in range(shots)]
    images = tuple(image for images, _ in examples for image in images)
    return replace(item, images=(*images, *item.images), shots=tuple(turn for _, turn in examples))


def plain_text_item(index: int, *, seed: int, num_texts: int, make_sample: MakeSample) -> Item:
    """Make an item of real English text that no training sample contains, whose likelihood is measured."""
    text = _plain_texts(seed, num_texts, make_sample)[index]
    return Item(
        item_id=f"english-bits/{seed}/{index}", benchmark="english-bits", question="", images=(), references=(text,)
    )


@lru_cache(maxsize=8)
def _plain_texts(seed: int, num_texts: int, make_sample: MakeSample) -> tuple[str, ...]:
    """Return the first `num_texts` distinct texts of the text-only test split, without questions and answers."""
    found: dict[str, None] = {}
    for index in count():
        turns = make_sample("text_only", "test", index, seed=seed).turns
        found |= {turns[0].answer: None} if not turns[0].question else {}
        if len(found) == num_texts:
            return tuple(found)
    raise AssertionError("the stream of samples has no end")


def _example(sample: Sample, rng: random.Random) -> tuple[tuple[Image.Image, ...], Turn]:
    """Return one exchange of a dense conversation, with the images it refers to."""
    turn = rng.choice(sample.turns)
    bare = turn.question.replace(IMAGE, "")
    return sample.images, Turn(IMAGE * len(sample.images) + bare, turn.answer)


def _named(rng: random.Random, shape: str, word: str) -> Example:
    return _scene_of(rng, shape).image, Turn(IMAGE + WORD_QUESTION, word)


def _scene_of(rng: random.Random, shape: str) -> Scene:
    while True:
        scene = draw_scene(rng, "test", counts=(1,))
        if scene.things[0].shape == shape:
            return scene


def _drawn(rng: random.Random, a: int, b: int) -> Image.Image:
    image = Image.new("RGB", (64, rng.randint(32, 64)), tuple(rng.randint(230, 255) for _ in range(3)))
    ImageDraw.Draw(image).text((6, image.height // 2 - 10), f"{a}?{b}", font=font(18), fill=(20, 20, 20))
    return image


def _item(name: str, index: int, seed: int, examples: list[Example], asked: Example) -> Item:
    return Item(
        item_id=f"{name}/{seed}/{index}",
        benchmark=name,
        question=asked[1].question,
        references=(asked[1].answer,),
        images=(*(image for image, _ in examples), asked[0]),
        shots=tuple(turn for _, turn in examples),
    )
