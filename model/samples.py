"""Training samples and evaluation items: images with a conversation or a question about them. Torch-free.

- The marker `IMAGE` in a question is the place of an image; there must be as many markers as images.
- Boxes in texts are `[x1, y1, x2, y2]`, integers from 0 to 1000 relative to the whole image, as in Ferret
  (arXiv:2310.07704).
- Samples do not contain tiles or tokens, since both depend on settings that are ablated.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from PIL import Image

IMAGE = "<image>"
"""Marker in a question at the place of an image."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and its answer. The loss is taken on the answer only."""

    question: str
    """Text of the question, with `IMAGE` markers; if it is empty, the answer continues the text before it."""
    answer: str
    """Text of the answer."""


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
    """Data set of the sample; empty if it has no name besides the category."""
    replaces: tuple[str, ...] = ()
    """File and index of the broken samples that this sample replaces."""

    def __post_init__(self) -> None:
        markers = sum(turn.question.count(IMAGE) for turn in self.turns)
        if markers != len(self.images):
            raise ValueError(f"sample {self.sample_id}: {markers} image markers but {len(self.images)} images")


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One evaluation question with all that its metric needs."""

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

    @property
    def num_markers(self) -> int:
        """The number of image markers in examples and question."""
        return sum(text.count(IMAGE) for text in (*(shot.question for shot in self.shots), self.question))
