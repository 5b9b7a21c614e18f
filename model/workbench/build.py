"""Putting samples, items and multiple-choice questions together."""

from __future__ import annotations

import random
from collections.abc import Sequence

from PIL import Image

from model.samples import IMAGE, Item, Sample, Turn

LETTERS = "ABCD"


def dense(sample_id: str, category: str, images: Image.Image | Sequence[Image.Image], turns: Sequence[Turn]) -> Sample:
    """Assemble a sample with all of its images before the first question."""
    pictures = (images,) if isinstance(images, Image.Image) else tuple(images)
    first = Turn(IMAGE * len(pictures) + turns[0].question, turns[0].answer)
    return Sample(sample_id=sample_id, category=category, images=pictures, turns=(first, *turns[1:]))


def ask_item(benchmark: str, index: int, seed: int, images: Image.Image | Sequence[Image.Image], turn: Turn, *,
             options: tuple[str, ...] = (), meta: dict[str, str] | None = None) -> Item:
    """Assemble an item with all of its images before the question; the turn's answer is the one reference."""
    pictures = (images,) if isinstance(images, Image.Image) else tuple(images)
    return Item(item_id=f"{benchmark}/{seed}/{index}", benchmark=benchmark, question=IMAGE * len(pictures) + turn.question,
                images=pictures, references=(turn.answer,), options=options, meta=meta or {})


def choice(rng: random.Random, question: str, right: str, wrong: Sequence[str]) -> tuple[Turn, tuple[str, ...]]:
    """Return a multiple-choice turn, whose answer is the letter, and its options in order.

    Args:
        rng: shuffles the options.
        question: what is asked.
        right: the right option.
        wrong: one to three others; more are drawn from.
    """
    options = tuple(rng.sample([right, *rng.sample(list(wrong), min(3, len(wrong)))], min(4, 1 + len(wrong))))
    listed = " ".join(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))
    return Turn(f"{question} {listed} Answer with the letter.", LETTERS[options.index(right)]), options
