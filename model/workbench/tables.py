"""Tables of small numbers: cells to read, and statements about them that are true or false.

Held out: in the first column the pairs of row label and value of `documents.held_out`, and the wording of the
questions.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from PIL import Image, ImageDraw

from model.samples import IMAGE, Item, Sample, Turn
from model.seeds import stream
from model.workbench.build import ask_item, dense
from model.workbench.documents import LABELS, fill, font

COLUMNS = ("x", "y")
CELL_FORMS = {"train": "What is {} of {}?", "test": "Which number is {} of {}?"}
FACT_FORMS = {"train": ("{} of {} is {}. True or false?", "True or false? The {} of {} is {}."),
              "test": ("The {} of {} is {}. True or false?",)}
MORE_FORMS = {"train": "Which has more {}?", "test": "Which row has more {}?"}


@dataclass(frozen=True, slots=True)
class Table:
    """An image and its cells, (column, row label) -> value of 1 to 9."""

    image: Image.Image
    cells: dict[tuple[str, str], int]


def draw_table(rng: random.Random, split: str) -> Table:
    """Draw a ruled table of two rows and one or two columns, in print of 12 px, about 64 px wide."""
    names, columns = rng.sample(LABELS, 2), COLUMNS[: rng.choice((1, 2, 2))]
    first = fill(rng, split, names, range(1, 10))
    cells = {("x", name): value for name, value in first.items()}
    cells |= {(column, name): rng.randint(1, 9) for column in columns[1:] for name in names}
    height, left, width = rng.randint(17, 19), 27, rng.randint(16, 19)
    image = Image.new(
        "RGB", (left + width * len(columns) + 1, 3 * height + 1), tuple(rng.randint(240, 255) for _ in range(3))
    )
    pen = ImageDraw.Draw(image)
    for row in range(4):
        pen.line((0, row * height, image.width, row * height), fill=(170, 170, 170))
    for place, column in enumerate(columns):
        x = left + width * place
        pen.line((x - 1, 0, x - 1, image.height), fill=(170, 170, 170))
        pen.text((x + 5, 1), column, font=font(12), fill=(150, 30, 30))
        for row, name in enumerate(names, start=1):
            pen.text((x + 4, row * height + 1), str(cells[column, name]), font=font(13), fill=(10, 10, 90))
    for row, name in enumerate(names, start=1):
        pen.text((2, row * height + 1), name, font=font(12), fill=(20, 20, 20))
    return Table(image, cells)


def cell_turns(table: Table, split: str, rng: random.Random) -> list[Turn]:
    """Ask for every cell."""
    turns = [Turn(CELL_FORMS[split].format(column, name), str(value)) for (column, name), value in table.cells.items()]
    rng.shuffle(turns)
    return turns


def more_turns(table: Table, split: str) -> list[Turn]:
    """Ask which row has the larger value in the first column, unless the values are equal."""
    (first, one), (second, other) = ((name, value) for (column, name), value in table.cells.items() if column == "x")
    return [] if one == other else [Turn(MORE_FORMS[split].format("x"), first if one > other else second)]


def fact_turn(table: Table, split: str, rng: random.Random, *, is_true: bool) -> Turn:
    """State the value of one cell, rightly or wrongly."""
    (column, name), value = rng.choice(list(table.cells.items()))
    said = value if is_true else rng.choice([other for other in range(1, 10) if other != value])
    return Turn(rng.choice(FACT_FORMS[split]).format(column, name, said), "true" if is_true else "false")


def table_sample(sample_id: str, category: str, split: str, rng: random.Random) -> Sample:
    """Make a conversation about a table: cells, the larger row, a true and a false statement."""
    table = draw_table(rng, split)
    facts = [fact_turn(table, split, rng, is_true=is_true) for is_true in (True, False)]
    rng.shuffle(facts)
    return dense(sample_id, category, table.image, [*cell_turns(table, split, rng), *more_turns(table, split), *facts])


def table_cells_item(index: int, *, seed: int) -> Item:
    """Ask for one cell, or for the row with the larger value."""
    rng = stream("table-cells", seed, "test", index)
    table = draw_table(rng, "test")
    more = more_turns(table, "test") if index % 4 == 3 else []
    return ask_item("table-cells", index, seed, table.image, (more or cell_turns(table, "test", rng))[0])


def table_facts_item(index: int, *, seed: int) -> Item:
    """State a cell's value, wrongly in half of the items; the reference is 1 or 0, as TabFact's labels are."""
    rng = stream("table-facts", seed, "test", index)
    table = draw_table(rng, "test")
    turn = fact_turn(table, "test", rng, is_true=index % 2 == 0)
    return Item(
        item_id=f"table-facts/{seed}/{index}",
        benchmark="table-facts",
        question=IMAGE + turn.question,
        images=(table.image,),
        references=("1" if turn.answer == "true" else "0",),
    )
