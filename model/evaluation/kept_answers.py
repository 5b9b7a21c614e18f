"""Answers that wait for a judge: kept between the attempts of a stage, so that a judge that fails late costs no second generation."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from model.evaluation.generation import Answered
from model.manifest import CorruptDirectory, publish, verify
from model.samples import Item

FOLDER, FILE = "answers", "answers.jsonl"


def keep(folder: Path, answered: Sequence[Answered]) -> None:
    """Publish the answers below a folder that all attempts of the stage share."""
    rows = [[each.item.item_id, each.prediction, each.tokens_per_image] for each in answered]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)

    def write(target: Path) -> None:
        (target / FILE).write_text(text, encoding="utf-8")

    publish(folder / FOLDER, write)


def kept(folder: Path, items: Iterable[Item]) -> list[Answered] | None:
    """Return the answers to these items that an earlier attempt kept; None if there are none, or not to all of them."""
    if not (folder / FOLDER).is_dir():
        return None
    try:
        verify(folder / FOLDER)
    except CorruptDirectory:
        return None  # they are made again
    lines = (folder / FOLDER / FILE).read_text(encoding="utf-8").removesuffix("\n").split("\n")
    answers = {name: (prediction, tokens) for name, prediction, tokens in map(json.loads, lines)}
    found = []
    for item in items:
        if item.item_id not in answers:
            return None
        found.append(Answered(replace(item, images=()), *answers[item.item_id]))
    return found
