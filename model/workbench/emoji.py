"""Emoji: pictures from no generator of the workbench. Each item asks for a picture's Unicode name among four.

No training sample shows an emoji. `emoji-pictures` measures how well pictures and names of another kind are understood
without training, so it is in no average. Chance is 25.
"""

from __future__ import annotations

from PIL import Image

from model.samples import Item
from model.seeds import stream
from model.workbench import assets
from model.workbench.build import ask_item, choice

QUESTION = "What does the picture show?"


def emoji_pictures_item(index: int, *, seed: int) -> Item:
    """Ask for the name of an emoji, 32 px wide on white."""
    rng, pictures = stream("emoji-pictures", seed, "test", index), assets.emoji_pictures()
    right = rng.choice(sorted(pictures))
    image = Image.new("RGB", (rng.randint(48, 72), rng.randint(48, 72)), "white")
    image.paste(
        pictures[right],
        (rng.randint(0, image.width - assets.EMOJI_SIDE), rng.randint(0, image.height - assets.EMOJI_SIDE)),
    )
    turn, options = choice(rng, QUESTION, right, [name for name in pictures if name != right])
    return ask_item("emoji-pictures", index, seed, image, turn, options=options)
