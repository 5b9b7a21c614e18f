"""Mathematics, code and text: drawn sums, rendered markup, instructions and real English.

Held out: every tenth pair of operands (`held_out`; a + b and b + a are two pairs), every tenth paragraph of English, and the
wording of the questions. Rendered markup holds nothing out but its wording, and no benchmark asks for it.
"""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw

from model.data.samples import IMAGE, Item, Sample, Turn
from model.data.workbench.documents import dense, font
from model.data.workbench.randomness import stream
from model.data.workbench.scenes import COLOURS, SHAPES

ENGLISH = Path(__file__).with_name("english.txt")
"""Docstrings of Python's standard library, a paragraph a line.

Copyright (c) 2001-2023 Python Software Foundation; used under the PSF License Agreement.
"""


def held_out(a: int, b: int) -> bool:
    """Say whether a + b belongs to the test split: every tenth pair."""
    return (7 * a + 3 * b) % 10 == 0


def _operands(rng: random.Random, split: str, largest: int) -> tuple[int, int]:
    while True:
        a, b = rng.randint(0, largest), rng.randint(0, largest)
        if held_out(a, b) == (split == "test"):
            return a, b


def math_sample(split: str, index: int, *, seed: int) -> Sample:
    """Make a conversation over a drawn sum: what it says and what it makes."""
    rng = stream("math", seed, split, index)
    image, a, b = _drawn_sum(rng, split)
    read = "What is written?" if split == "train" else "What does it say?"
    turns = [Turn(read, f"{a} + {b}"), Turn(_sum_question(split), str(a + b))]
    return dense(f"math/{split}/{seed}/{index}", "math", image, turns)


def drawn_sums_item(index: int, *, seed: int) -> Item:
    """Ask for the result of a drawn sum."""
    image, a, b = _drawn_sum(stream("drawn-sums", seed, "test", index), "test")
    return Item(item_id=f"drawn-sums/{seed}/{index}", benchmark="drawn-sums", question=IMAGE + _sum_question("test"),
                images=(image,), references=(str(a + b),))


def _sum_question(split: str) -> str:
    return "What does it make?" if split == "train" else "What is the result?"


def _drawn_sum(rng: random.Random, split: str) -> tuple[Image.Image, int, int]:
    a, b = _operands(rng, split, 9)
    image = Image.new("RGB", (64, rng.randint(32, 64)), tuple(rng.randint(230, 255) for _ in range(3)))
    ImageDraw.Draw(image).text((6, image.height // 2 - 10), f"{a}+{b}", font=font(18), fill=(20, 20, 20))
    return image, a, b


def code_sample(split: str, index: int, *, seed: int) -> Sample:
    """Make a rendered strip of coloured cells and its markup."""
    rng = stream("code", seed, split, index)
    colours = [rng.choice(list(COLOURS)) for _ in range(rng.randint(2, 4))]
    image = Image.new("RGB", (24 * len(colours), 40), (255, 255, 255))
    for place, colour in enumerate(colours):
        ImageDraw.Draw(image).rectangle((24 * place + 3, 6, 24 * place + 20, 34), fill=COLOURS[colour])
    question = "Write the markup." if split == "train" else "Write its markup."
    return dense(f"code/{split}/{seed}/{index}", "code", image, [Turn(question, " ".join(f"<td {colour}>" for colour in colours))])


def text_only_sample(split: str, index: int, *, seed: int) -> Sample:
    """Make an instruction without an image: a sum, a copy, or a line of English to continue."""
    rng = stream("text_only", seed, split, index)
    turns = [sum_turn(rng, split) for _ in range(3)]
    words = rng.sample([*SHAPES, *COLOURS], 3)
    turns.append(Turn(f"Repeat: {' '.join(words)}", " ".join(words)))
    if rng.random() < 0.3:
        turns = [Turn("", rng.choice(english(split)))]
    return Sample(sample_id=f"text_only/{split}/{seed}/{index}", category="text_only", turns=tuple(turns))


def sum_turn(rng: random.Random, split: str) -> Turn:
    """Ask for a sum of two numbers up to 20 in words of the split."""
    a, b = _operands(rng, split, 20)
    return Turn(f"What is {a} + {b}?" if split == "train" else f"How much is {a} + {b}?", str(a + b))


def sums_text_item(index: int, *, seed: int) -> Item:
    """Ask for a sum in text."""
    turn = sum_turn(stream("sums-text", seed, "test", index), "test")
    return Item(item_id=f"sums-text/{seed}/{index}", benchmark="sums-text", question=turn.question, images=(), references=(turn.answer,))


@cache
def english(split: str) -> tuple[str, ...]:
    """Return the English paragraphs of a split: every tenth is held out for test."""
    lines = ENGLISH.read_text(encoding="utf-8").splitlines()
    return tuple(line for number, line in enumerate(lines) if (number % 10 == 9) == (split == "test"))
