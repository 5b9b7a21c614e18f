"""VL-ICL (arXiv:2403.13164): a query after worked examples, whose images and answers define the task.

A copy contains `query*` and `support*`, rows of {image, question, answer}. A query may list the rows of its own support
in `support` (numbers from 0). Otherwise its examples are drawn from all support rows, by a random stream that depends
on the query's position.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from model.config.benchmark import Benchmark
from model.evaluation.local_copies.draft import ItemDraft
from model.evaluation.local_copies.rows import Row, rows_of
from model.samples import IMAGE, Turn
from model.seeds import stream


def drafts(spec: Benchmark, folder: Path) -> list[ItemDraft]:
    """Make the items of a task, with `spec.shots` examples each.

    Raises:
        ValueError: queries or support are missing, or there are fewer examples than shots.
    """
    support = rows_of(folder, "support") if spec.shots else []
    return [_draft(spec, query, support) for query in rows_of(folder, "query")]


def _draft(spec: Benchmark, query: Row, support: Sequence[Row]) -> ItemDraft:
    own = query.get("support", None)
    pool = [support[int(number)] for number in own] if own and support else list(support)
    if len(pool) < spec.shots:
        raise ValueError(
            f"{query.where}: {len(pool)} support examples for {spec.shots} shots; allowed: at least as many as shots"
        )
    chosen = pool[: spec.shots] if own else _drawn(pool, spec.shots, stream(spec.name.rsplit("-", 1)[0], query.number))
    pictures = tuple(picture for row in (*chosen, query) for picture in row.pictures("image"))
    found = ItemDraft(item_id=f"{spec.name}/{query.key}", where=query.where, question=_question(query),
                      references=(query.text("answer"),), pictures=pictures,
                      shots=tuple(Turn(_question(row), row.text("answer")) for row in chosen))
    found.check()
    return found


def _drawn(pool: Sequence[Row], count: int, rng: random.Random) -> list[Row]:
    """Draw without repetition.

    More shots start with the examples of fewer shots, so that shot counts can be compared.
    """
    return rng.sample(pool, len(pool))[:count]


def _question(row: Row) -> str:
    text = row.text("question", "")
    return text if IMAGE in text else IMAGE * len(row.pictures("image")) + text
