"""An item of a local copy before its images are opened, and helpers to make one from a row."""

from __future__ import annotations

import ast
import io
import string
import tokenize
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from model.config.benchmark import Benchmark
from model.config.stages import Orientation
from model.evaluation.local_copies.rows import Picture, Row, plain_text
from model.samples import IMAGE, Item, Turn, check_text

LETTERS = string.ascii_uppercase


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemDraft:
    """An `Item` without its images."""

    item_id: str
    question: str
    references: tuple[str, ...]
    pictures: tuple[Picture, ...] = ()
    options: tuple[str, ...] = ()
    meta: dict[str, str] = field(default_factory=dict)
    shots: tuple[Turn, ...] = ()
    where: str = ""
    """File and row it comes from, for messages."""

    def check(self) -> None:
        """Refuse an item that no model can be asked, as far as that is known without the images.

        Raises:
            ValueError: the numbers of markers and of images differ, or a text contains lone surrogates.
        """
        places = sum(text.count(IMAGE) for text in (*(shot.question for shot in self.shots), self.question))
        if places != len(self.pictures):
            raise ValueError(f"{places} markers {IMAGE} in the question, but {len(self.pictures)} images")
        for text in (self.question, *self.references, *self.options):
            check_text(text)

    def item(self, benchmark: str, orientation: Orientation = "stored") -> Item:
        """Open the images. `meta` gets the size of the last one, which is the one the question is about."""
        images = tuple(picture.open(orientation) for picture in self.pictures)
        size = {"width": str(images[-1].width), "height": str(images[-1].height)} if images else {}
        return Item(item_id=self.item_id, benchmark=benchmark, question=self.question, images=images, references=self.references,
                    options=self.options, meta={**self.meta, **size}, shots=self.shots,
                    pictures=tuple(picture.name for picture in self.pictures))


Maker = Callable[[Row, Benchmark], list[ItemDraft]]


def ask(spec: Benchmark, question: str, *, options: Sequence[str] = (), hint: str = "", images: int = 1) -> str:
    """Return the benchmark's prompt, with a marker for each image before it unless its questions contain the markers.

    Raises:
        ValueError: a text contains the marker where none is allowed: an image would replace the quoted word.
    """
    quoting = [text for text in (question, hint, *options) if IMAGE in text]
    if quoting and not spec.places_images:
        raise ValueError(
            f"a text contains {IMAGE}, {quoting[0][:60]!r}; allowed: none, because the image comes before the question"
        )
    listed = "\n".join(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))
    text = spec.prompt.replace("{options}", listed).replace("{hint}", hint).replace("{question}", question)
    return text if IMAGE in text else IMAGE * images + text


def draft(row: Row, spec: Benchmark, question: str, *, name: str, references: Sequence[str], images: Sequence[str] = ("image",),
          options: Sequence[str] = (), hint: str = "", meta: dict[str, str] | None = None) -> list[ItemDraft]:
    """Make the one draft of a simple row.

    Args:
        row: the row it comes from.
        spec: the benchmark.
        question: the question without the prompt.
        name: identifies the item within the benchmark.
        references: accepted answers.
        images: columns of images; empty for a question of text only.
        options: options of a multiple-choice question.
        hint: text that the prompt shows before the question.
        meta: what else the metric needs.
    """
    pictures = row.pictures(*images) if images else ()
    return [ItemDraft(item_id=f"{spec.name}/{name}", question=ask(spec, question, options=options, hint=hint, images=len(pictures)),
                  references=tuple(references), pictures=pictures, options=tuple(options), meta=meta or {})]


def letter_of(answer: object, options: Sequence[str], row: Row) -> str:
    """Return the letter of the right option, given as a letter, as `(B)`, or as an index from 0.

    Raises:
        ValueError: it is no option.
    """
    text = str(answer).strip().strip("()")
    valid = LETTERS[: len(options)]
    if isinstance(answer, int) and 0 <= answer < len(options):
        return valid[answer]
    if len(text) == 1 and text.upper() in valid:
        return text.upper()
    raise ValueError(f"{row.where}: the answer is {answer!r}; allowed: one of {', '.join(valid)}, or an index from 0")


def list_of(row: Row, column: str, *, may_lack: bool = False) -> list[str]:
    """Return a cell that is a list, or the text of one (`['a', 'b']`, as MMMU writes its options).

    Raises:
        ValueError: it is no list, or a required one is missing.
    """
    cell = row.get(column, []) if may_lack else row[column]
    if isinstance(cell, str):
        cell = _written_list(cell, f"{row.where}: {column}")
    if not isinstance(cell, list | tuple):
        raise ValueError(f"{row.where}: {column} is {type(cell).__name__}; allowed: a list")
    return [plain_text(each, f"{row.where}: {column}[{place}]") for place, each in enumerate(cell)]


def _written_list(text: str, where: str) -> object:
    """Parse the text of a list.

    Raises:
        ValueError: it is no list, or it is what numpy prints (`['a' 'b']`): Python would join neighbours without a
            comma.
    """
    try:
        found = ast.literal_eval(text)
        written = [
            token
            for token in tokenize.generate_tokens(io.StringIO(text.strip()).readline)
            if token.type == tokenize.STRING
        ]
    except (ValueError, SyntaxError, tokenize.TokenError, MemoryError, RecursionError) as error:
        raise ValueError(f"{where} is {text[:60]!r}; allowed: a list") from error
    if isinstance(found, list | tuple) and len(written) > len(found):
        raise ValueError(f"{where} is {text[:60]!r}, the text of a numpy array; allowed: a list, with commas")
    return found
