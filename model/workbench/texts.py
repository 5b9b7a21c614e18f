"""Text without images: sums, instructions about words, and real English.

Held out: the sums of `sums.held_out`, every tenth emoji name and English paragraph, and the wording of the questions.
"""

from __future__ import annotations

import random

from model.samples import Item, Sample, Turn
from model.seeds import stream
from model.workbench import assets
from model.workbench.build import ask_item
from model.workbench.scenes import COLOURS, SHAPES
from model.workbench.sums import sum_turn

FORMS = {"train": {"repeat": "Repeat: {}", "first": "First word: {}", "last": "Last word: {}", "reverse": "Backwards: {}"},
         "test": {"repeat": "Repeat this: {}", "first": "First word of: {}", "last": "Last word of: {}", "reverse": "Backwards please: {}"}}


def word_turn(rng: random.Random, split: str) -> Turn:
    """Ask to process two or three words: shapes and colours, or the name of an emoji."""
    kind = rng.choice(list(FORMS[split]))
    words = (
        rng.sample([*SHAPES, *COLOURS], rng.randint(2, 3))
        if rng.random() < 0.7
        else rng.choice(assets.emoji_names(split)).split()
    )
    answer = {"repeat": words, "first": words[:1], "last": words[-1:], "reverse": words[::-1]}[kind]
    return Turn(FORMS[split][kind].format(" ".join(words)), " ".join(answer))


def text_only_sample(split: str, index: int, *, seed: int) -> Sample:
    """Make a conversation without images, about sums and words, or a paragraph of English to continue."""
    rng = stream("text_only", seed, split, index)
    if rng.random() < 0.3:
        turns = [Turn("", rng.choice(assets.english(split)))]
    else:
        turns = [*[sum_turn(rng, split) for _ in range(4)], *[word_turn(rng, split) for _ in range(3)]]
        rng.shuffle(turns)
    return Sample(sample_id=f"text_only/{split}/{seed}/{index}", category="text_only", turns=tuple(turns))


def words_text_item(index: int, *, seed: int) -> Item:
    """Ask to process two or three words."""
    return ask_item("words-text", index, seed, (), word_turn(stream("words-text", seed, "test", index), "test"))
