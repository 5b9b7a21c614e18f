"""The text-rich category: forms, receipts, charts, tables, screens and handwriting."""

from __future__ import annotations

import random
from collections.abc import Callable

from model.samples import Sample
from model.seeds import stream
from model.workbench.charts import bars_sample, line_sample
from model.workbench.documents import form_sample, small_print_sample
from model.workbench.handwriting import handwriting_sample
from model.workbench.screens import screen_sample
from model.workbench.tables import table_sample

Maker = Callable[[str, str, str, random.Random], Sample]
"""Makes a sample from its id, category, split and random stream."""

KINDS: tuple[tuple[Maker, int], ...] = (
    (form_sample, 3),
    (small_print_sample, 3),
    (bars_sample, 2),
    (line_sample, 2),
    (table_sample, 2),
    (screen_sample, 2),
    (handwriting_sample, 1),
)
"""Each kind and its weight in the category."""


def text_rich_sample(split: str, index: int, *, seed: int) -> Sample:
    """Make a conversation about one text-rich image."""
    rng = stream("text_rich", seed, split, index)
    make = rng.choices([kind for kind, _ in KINDS], [part for _, part in KINDS])[0]
    return make(f"text_rich/{split}/{seed}/{index}", "text_rich", split, rng)
