"""Store answers with everything their metric needs, so that they can be scored again without a model. Torch-free."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.config.benchmark import Benchmark
from model.config.scoring import ScoringConfig
from model.evaluation.benchmark_scores import Total, total
from model.evaluation.judge.grading import JUDGED
from model.evaluation.metrics import ItemScore
from model.evaluation.metrics.own import score_answer, with_options
from model.samples import Item

ITEMS = "items.jsonl"


@dataclass(frozen=True, slots=True)
class Answer:
    """One stored answer; its item has no images."""

    item: Item
    prediction: str
    score: ItemScore


def write(path: Path, answers: Sequence[Answer]) -> None:
    """Write answers as JSON lines."""
    path.write_text(
        "".join(json.dumps(_row(answer), ensure_ascii=False) + "\n" for answer in answers), encoding="utf-8"
    )


def read(path: Path, benchmark: str) -> list[Answer]:
    """Read answers.

    Raises:
        ValueError: a line is not an answer; the message has its number.
    """
    found = []
    # Not splitlines: an answer may contain a Unicode line separator.
    for number, line in enumerate(path.read_text(encoding="utf-8").removesuffix("\n").split("\n"), start=1):
        try:
            found.append(parse(line, benchmark))
        except ValueError as error:
            raise ValueError(f"{path}:{number}: {error}") from error
    return found


def parse(line: str, benchmark: str) -> Answer:
    """Read one line of a file of answers.

    Raises:
        ValueError: it is not an answer.
    """
    try:
        return _answer(json.loads(line), benchmark)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"not a stored answer ({type(error).__name__}: {error})") from error


def rescored(spec: Benchmark, answers: Sequence[Answer], scoring: ScoringConfig, *, is_limited: bool = False) -> Total:
    """Score stored answers again, with the present metrics and these choices.

    The judge is not asked again: its marks are stored, so their total changes only if the computation of the total
    does.

    Raises:
        ValueError: there are no answers, or an item cannot be scored.
    """
    scoring = with_options(spec, scoring)
    items = [answer.item for answer in answers]
    scores = [
        answer.score if spec.metric in JUDGED else score_answer(spec, answer.prediction, answer.item, scoring)
        for answer in answers
    ]
    return total(spec, items, scores, scoring, is_limited=is_limited)


def _row(answer: Answer) -> dict[str, Any]:
    item, score = answer.item, answer.score
    row: dict[str, Any] = {
        "item_id": item.item_id, "question": item.question, "options": item.options, "references": item.references,
        "prediction": answer.prediction, "parsed": score.parsed, "score": score.strict, "score_lenient": score.lenient}
    extra = {
        "meta": item.meta,
        "shots": [[shot.question, shot.answer] for shot in item.shots],
        "pair": score.pair,
        "judged": score.record,
        "pictures": item.pictures,
        "is_dropped": score.is_dropped,
    }
    return row | {name: value for name, value in extra.items() if value}


def _answer(row: dict[str, Any], benchmark: str) -> Answer:
    item = Item(item_id=row["item_id"], benchmark=benchmark, question=row["question"], images=(), references=tuple(row["references"]),
                options=tuple(row["options"]), meta=row.get("meta", {}), pictures=tuple(row.get("pictures", ())))
    pair = row.get("pair")
    score = ItemScore(row["score"], row["score_lenient"], row["parsed"], pair=(pair[0], pair[1]) if pair else None,
                      is_dropped=row.get("is_dropped", False), record=row.get("judged", {}))
    return Answer(item, row["prediction"], score)
