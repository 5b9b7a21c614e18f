"""Training samples and evaluation items: images with a conversation or a question about them. Torch-free.

- The marker `IMAGE` in a question is the place of an image; there must be as many markers as images.
- Boxes in texts are `[x1, y1, x2, y2]`, integers from 0 to 1000 relative to the whole image, as in Ferret
  (arXiv:2310.07704).
- Samples do not contain tiles or tokens, since both depend on settings that are ablated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from PIL import Image

IMAGE = "<image>"
"""Marker in a question at the place of an image."""
FILMS = ("mp4", "avi", "mov", "mkv", "webm", "mpg", "mpeg", "m4v", "flv", "wmv", "3gp")
"""Endings of video files. They are never read: a video is a folder of images, one per frame (`model.images.video`)."""


def check_text(text: str) -> None:
    """Refuse text with surrogates, halves of characters that JSON can express but that no tokenizer accepts.

    Raises:
        ValueError: the text holds a surrogate.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        shown = text[max(0, error.start - 20) : error.start].encode(errors="ignore").decode()
        raise ValueError(f"half of a character (U+{ord(text[error.start]):04X}) at {error.start}, after {shown!r}; "
                         "allowed: whole characters") from error


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and its answer. The loss is taken on the answer only.

    Raises:
        ValueError: a text holds a half of a character (see `check_text`).
    """

    question: str
    """Text of the question, with `IMAGE` markers; if it is empty, the answer continues the text before it."""
    answer: str
    """Text of the answer."""

    def __post_init__(self) -> None:
        check_text(self.question)
        check_text(self.answer)


class Replaced(NamedTuple):
    """A broken sample that was replaced by another one; its place identifies it."""

    where: str
    """Data set, file and index of the sample."""
    reason: str
    """Why it is broken; the text may differ from one pass to the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One training sample.

    Raises:
        ValueError: the number of `IMAGE` markers differs from the number of images.
    """

    sample_id: str
    """Name of the sample, for messages."""
    category: str
    """Category of the mixture (see `config.taxonomy`)."""
    turns: tuple[Turn, ...]
    """The conversation."""
    images: tuple[Image.Image, ...] = ()
    """The images, in the order of their markers."""
    source: str = ""
    """Data set that it comes from; empty where its category is the only name there is."""
    replaces: tuple[Replaced, ...] = ()
    """Broken samples that this one stands in for."""

    def __post_init__(self) -> None:
        markers = sum(turn.question.count(IMAGE) for turn in self.turns)
        if markers != len(self.images):
            raise ValueError(f"sample {self.sample_id}: {markers} image markers but {len(self.images)} images")


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One evaluation question with everything its metric needs.

    Raises:
        ValueError: the text holds halves of characters.
    """

    item_id: str
    """Name of the item within its benchmark."""
    benchmark: str
    """Name of the benchmark."""
    question: str
    """The question with `IMAGE` markers, exactly as the model sees it."""
    images: tuple[Image.Image, ...]
    """Images of examples and question, in the order of their markers."""
    references: tuple[str, ...]
    """Accepted answers; a box is given as text."""
    options: tuple[str, ...] = ()
    """Texts of the options A, B, ... of a multiple-choice question, whose reference is the letter."""
    meta: dict[str, str] = field(default_factory=dict)
    """Values that only some metrics need (image size, sub-task)."""
    shots: tuple[Turn, ...] = ()
    """Examples with answers that precede the question; their images come first in `images`."""
    pictures: tuple[str, ...] = ()
    """Places of the images, for people; empty for what is generated."""

    def __post_init__(self) -> None:
        """Refuse what no tokenizer takes."""
        for text in (self.question, *self.references, *self.options):
            check_text(text)

    @property
    def num_markers(self) -> int:
        """The number of image markers in examples and question."""
        return sum(text.count(IMAGE) for text in (*(shot.question for shot in self.shots), self.question))


def without_pictures(item: Item) -> Item:
    """Return an item that is asked blind: no images, and no markers where they stood, in examples and question."""
    shots = tuple(Turn(_unmarked(shot.question), shot.answer) for shot in item.shots)
    return replace(item, question=_unmarked(item.question), images=(), shots=shots)


def _unmarked(text: str) -> str:
    """Remove the markers with the line breaks after them, which would leave empty lines."""
    return re.sub(rf"(?:{re.escape(IMAGE)})+\n?", "", text)
