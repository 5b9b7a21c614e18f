"""Screens of an application: coloured buttons with words, and switches that are on or off.

Held out: the word-colour pairs of `held_out`, one in eight, which occur only on test buttons, and the wording of the
questions.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from PIL import Image, ImageDraw

from model.images.placement import Box
from model.samples import IMAGE, Item, Sample, Turn
from model.seeds import stream
from model.workbench.build import dense
from model.workbench.documents import font
from model.workbench.scenes import COLOURS

WORDS = ("save", "open", "stop", "play", "back", "next", "send", "help")
BUTTON_COLOURS = ("red", "green", "blue", "purple", "black", "orange")
PEOPLE = 10
"""Reference answers to each question, as in TextVQA; here all of them agree."""
SWITCHES = ("mail", "lock", "sync")
WORD_FORMS = {
    "train": ("What does the {} button say?", "What word is on the {} button?"),
    "test": ("Which word is on the {} button?",),
}
COLOUR_FORMS = {
    "train": ("What colour is {}?", "What is the colour of the button {}?"),
    "test": ("Which colour is the button {}?",),
}
SWITCH_FORMS = {"train": ("Is {} on?", "Is {} switched on now?"), "test": ("Is {} switched on?",)}


@dataclass(frozen=True, slots=True)
class Screen:
    """An image, its buttons (word -> colour), their boxes in px, and its switches (word -> whether it is on)."""

    image: Image.Image
    buttons: dict[str, str]
    boxes: dict[str, Box]
    switches: dict[str, bool]


def held_out(word: str, colour: str) -> bool:
    """Return whether a button of this word and colour belongs to the test split."""
    return (WORDS.index(word) + BUTTON_COLOURS.index(colour)) % 8 == 5


def draw_screen(rng: random.Random, split: str) -> Screen:
    """Draw a window about 60 px wide with one or two buttons and at most one switch.

    In test the first button is held out.
    """
    buttons = _buttons(rng, split, rng.choice((1, 2, 2)))
    switches = {rng.choice(SWITCHES): rng.random() < 0.5} if rng.random() < 0.6 else {}
    rows: list[tuple[str, bool]] = [(word, True) for word in buttons] + [(word, False) for word in switches]
    rng.shuffle(rows)
    width = rng.randint(54, 66)
    image = Image.new("RGB", (width, 10 + 20 * max(2, len(rows))), tuple(rng.randint(228, 250) for _ in range(3)))
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 0, width, 6), fill=(120, 125, 140))
    boxes = {}
    for row, (word, is_button) in enumerate(rows):
        y = 10 + 20 * row
        if is_button:
            boxes[word] = (float(rng.randint(2, 8)), float(y), float(width - rng.randint(3, 9)), float(y + 17))
            pen.rectangle(boxes[word], fill=COLOURS[buttons[word]])
            pen.text((boxes[word][0] + 6, y), word, font=font(13), fill=(255, 255, 255))
        else:
            pen.text((4, y), word, font=font(13), fill=(20, 20, 20))
            light = (30, 150, 60) if switches[word] else (255, 255, 255)
            pen.rectangle((width - 18, y + 3, width - 6, y + 15), outline=(20, 20, 20), fill=light)
    return Screen(image, buttons, boxes, switches)


def _buttons(rng: random.Random, split: str, count: int) -> dict[str, str]:
    while True:
        found = dict(zip(rng.sample(WORDS, count), rng.sample(BUTTON_COLOURS, count), strict=True))
        held = [held_out(word, colour) for word, colour in found.items()]
        if sum(held) == held[0] == (split == "test"):
            return found


def screen_turns(screen: Screen, split: str, rng: random.Random) -> list[Turn]:
    """Ask for the word and the colour of every button and the state of every switch."""
    turns = []
    for word, colour in screen.buttons.items():
        turns += [
            Turn(rng.choice(WORD_FORMS[split]).format(colour), word),
            Turn(rng.choice(COLOUR_FORMS[split]).format(word), colour),
        ]
    turns += [
        Turn(rng.choice(SWITCH_FORMS[split]).format(word), "yes" if is_on else "no")
        for word, is_on in screen.switches.items()
    ]
    rng.shuffle(turns)
    return turns


def screen_sample(sample_id: str, category: str, split: str, rng: random.Random) -> Sample:
    """Make a conversation about a screen."""
    screen = draw_screen(rng, split)
    return dense(sample_id, category, screen.image, screen_turns(screen, split, rng))


def screen_words_item(index: int, *, seed: int) -> Item:
    """Ask for a word, a colour or a state on a screen."""
    rng = stream("screen-words", seed, "test", index)
    screen = draw_screen(rng, "test")
    turn = rng.choice(screen_turns(screen, "test", rng))
    return Item(
        item_id=f"screen-words/{seed}/{index}",
        benchmark="screen-words",
        question=IMAGE + turn.question,
        images=(screen.image,),
        references=(turn.answer,) * PEOPLE,
    )
