"""An item of a local copy before its pictures are opened, and what the makers of drafts share."""

from __future__ import annotations

import ast
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from model.config.stages import Orientation
from model.evaluation.benchmarks.benchmark import Benchmark
from model.evaluation.local_copies.rows import Picture, Row
from model.samples import IMAGE, Item, Turn

LETTERS = string.ascii_uppercase


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemDraft:
    """Everything of an `Item` but its pictures."""

    item_id: str
    question: str
    references: tuple[str, ...]
    pictures: tuple[Picture, ...] = ()
    options: tuple[str, ...] = ()
    meta: dict[str, str] = field(default_factory=dict)
    shots: tuple[Turn, ...] = ()

    def item(self, benchmark: str, orientation: Orientation = "stored") -> Item:
        """Open the pictures; the size of the last one, which the question is about, goes to `meta`."""
        images = tuple(picture.open(orientation) for picture in self.pictures)
        size = {"width": str(images[-1].width), "height": str(images[-1].height)} if images else {}
        return Item(item_id=self.item_id, benchmark=benchmark, question=self.question, images=images, references=self.references,
                    options=self.options, meta={**self.meta, **size}, shots=self.shots)


Maker = Callable[[Row, Benchmark], list[ItemDraft]]


def ask(spec: Benchmark, question: str, *, options: Sequence[str] = (), hint: str = "", images: int = 1) -> str:
    """Return the benchmark's prompt with a marker for each image before it, unless the question places them itself."""
    listed = "\n".join(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))
    text = spec.prompt.replace("{options}", listed).replace("{hint}", hint).replace("{question}", question)
    return text if IMAGE in text else IMAGE * images + text


def draft(row: Row, spec: Benchmark, question: str, *, name: str, references: Sequence[str], images: Sequence[str] = ("image",),
          options: Sequence[str] = (), hint: str = "", meta: dict[str, str] | None = None) -> list[ItemDraft]:
    """Make the one draft of a plain row.

    Args:
        row: where it comes from.
        spec: of the benchmark.
        question: without prompt.
        name: what identifies the item within the benchmark.
        references: accepted answers.
        images: columns of pictures; none for a question of text alone.
        options: of a multiple-choice question.
        hint: text that the prompt shows before the question.
        meta: what the metric needs beside.
    """
    pictures = row.pictures(*images) if images else ()
    return [ItemDraft(item_id=f"{spec.name}/{name}", question=ask(spec, question, options=options, hint=hint, images=len(pictures)),
                  references=tuple(references), pictures=pictures, options=tuple(options), meta=meta or {})]


def letter_of(answer: object, options: Sequence[str], row: Row) -> str:
    """Return the letter of the right option from a letter, `(B)`, or an index from 0.

    Raises:
        ValueError: it names no option.
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
        ValueError: it is no list, or absent where it must be there.
    """
    cell = row.get(column, []) if may_lack else row[column]
    if isinstance(cell, str):
        try:
            cell = ast.literal_eval(cell)
        except (ValueError, SyntaxError) as error:
            raise ValueError(f"{row.where}: {column} is {cell!r}; allowed: a list") from error
    if not isinstance(cell, list | tuple):
        raise ValueError(f"{row.where}: {column} is {type(cell).__name__}; allowed: a list")
    return [str(each) for each in cell]
