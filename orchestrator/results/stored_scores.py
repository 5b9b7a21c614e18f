"""The scores of single items: from the answers that an evaluation stored, or from a record of results.

A record (`orchestrator.results.record`) holds the scores of all its evaluations in one Parquet file, without questions
and answers, so that a committed study stays small.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from model.evaluation.stored_answers import ITEMS, Answer, read
from model.samples import Item
from orchestrator.artifacts.store import Artifacts, is_record
from orchestrator.ledger.rows import StageRow

FILE = "items.parquet"
_TEXT = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema([
    ("stage_id", _TEXT), ("item_id", _TEXT), ("picture", _TEXT), ("strict", pa.float64()), ("lenient", pa.float64()),
    ("is_read", pa.bool_())])
"""Of the Parquet file; scores are 0 to 1, and `picture` is empty where the item is a cluster of its own."""


@dataclass(frozen=True, slots=True)
class ItemScores:
    """The scores of one item in one evaluation."""

    item_id: str
    picture: str
    """Items of the same picture share it."""
    strict: float
    """0 to 1."""
    lenient: float
    """0 to 1."""
    is_read: bool
    """Whether the benchmark's rule could read the answer."""


def item_scores(stage: StageRow, artifacts: Artifacts) -> list[ItemScores]:
    """Return the scores of a finished evaluation's items, in the order in which they were asked.

    Raises:
        ValueError: nothing was stored, or it cannot be read.
        OSError: likewise.
    """
    if stage.artifact is not None and is_record(stage.artifact):
        return _recorded(artifacts.fetched(stage.artifact) / FILE).get(stage.stage_id, [])
    return [_of(answer) for answer in stored_answers(stage, artifacts)]


def stored_answers(stage: StageRow, artifacts: Artifacts) -> list[Answer]:
    """Return the answers of a finished evaluation, with questions and references.

    Raises:
        ValueError: only a record is here, nothing was stored, or it cannot be read.
        OSError: it cannot be read.
    """
    if stage.artifact is None:
        raise ValueError("no stored answers")
    if is_record(stage.artifact):
        raise ValueError("it was imported: a record has the score of every item, and neither questions nor answers")
    return read(artifacts.fetched(stage.artifact) / ITEMS, stage.spec["benchmark"])


def to_table(scores: dict[str, list[ItemScores]]) -> pa.Table:
    """Return the scores of many evaluations, by stage id, as one table of `SCHEMA`."""
    rows = [(stage_id, each) for stage_id, found in scores.items() for each in found]
    columns = [[stage_id for stage_id, _ in rows], [each.item_id for _, each in rows],
               ["" if each.picture == each.item_id else each.picture for _, each in rows],
               [each.strict for _, each in rows], [each.lenient for _, each in rows], [each.is_read for _, each in rows]]
    return pa.table([pa.array(column).cast(field.type) if field.type != _TEXT
                     else pa.array(column, pa.string()).dictionary_encode()
                     for column, field in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)


@lru_cache(maxsize=8)
def _recorded(path: Path) -> dict[str, list[ItemScores]]:
    table = pq.read_table(path, schema=SCHEMA)
    found: dict[str, list[ItemScores]] = {}
    picture = pc.if_else(pc.equal(table["picture"].cast(pa.string()), ""), table["item_id"].cast(pa.string()),
                         table["picture"].cast(pa.string()))
    columns = [table["stage_id"], table["item_id"], picture, *(table[name] for name in ("strict", "lenient", "is_read"))]
    for stage_id, *values in zip(*(column.to_pylist() for column in columns), strict=True):
        found.setdefault(stage_id, []).append(ItemScores(*values))
    return found


def _of(answer: Answer) -> ItemScores:
    score = answer.score
    return ItemScores(answer.item.item_id, _picture(answer.item), score.strict, score.lenient, score.parsed is not None)


def _picture(item: Item) -> str:
    groups = [item.meta[name] for name in ("category", "task", "image") if name in item.meta]
    return "/".join(groups) if "image" in item.meta else item.item_id
