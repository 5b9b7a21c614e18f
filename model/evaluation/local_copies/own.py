"""Items of benchmarks that a catalogue declares: by the columns of their rows, or by a family that a package brings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model.config.benchmark import ROWS, Benchmark
from model.evaluation.local_copies.draft import LETTERS, ItemDraft, draft, letter_of, list_of
from model.evaluation.local_copies.rows import Row
from model.plugins import FAMILIES, planned

_FIELDS = ("question", "references", "options", "images", "name", "meta")


def own_items(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """Make the items of a row of an own benchmark.

    Raises:
        ValueError: a column is missing, the answer is none of the options, or the family returns what is no item.
    """
    return _by_columns(row, spec) if spec.reader == ROWS else _by_family(row, spec)


def _by_columns(row: Row, spec: Benchmark) -> list[ItemDraft]:
    columns = spec.columns
    options = list_of(row, columns.options) if columns.options else []
    cell = row[columns.answer]
    answers = list_of(row, columns.answer) if isinstance(cell, list | tuple) else [row.text(columns.answer)]
    references = [_letter(cell, answers[0], options, row)] if options else answers
    has_picture = columns.image and row.get(columns.image, None) is not None
    return draft(row, spec, row.text(columns.question), name=row.text(columns.name) if columns.name else row.key,
                 references=references, images=[columns.image] if has_picture else [], options=options, meta=_group(row, spec))


def _letter(cell: object, answer: str, options: list[str], row: Row) -> str:
    """Return the letter of the right option; what is itself one of the options is not taken for a letter or a number."""
    return LETTERS[options.index(answer)] if answer in options else letter_of(cell, options, row)


def _group(row: Row, spec: Benchmark) -> dict[str, str]:
    return {spec.group: row.text(spec.group)} if spec.group else {}


def _by_family(row: Row, spec: Benchmark) -> list[ItemDraft]:
    made = planned(FAMILIES, spec.reader, spec.reader_version).call(dict(row.cells))
    if not isinstance(made, list) or not all(isinstance(each, Mapping) for each in made):
        raise ValueError(f"{row.where}: the family {spec.reader!r} returned {str(made)[:60]!r}; allowed: a list of mappings")
    return [one for place, each in enumerate(made) for one in _drawn(row, spec, each, row.key if len(made) == 1 else f"{row.key}.{place}")]


def _drawn(row: Row, spec: Benchmark, item: Mapping[str, Any], key: str) -> list[ItemDraft]:
    unknown = item.keys() - set(_FIELDS)
    if unknown or not item.get("question") or not item.get("references"):
        what = f"fields {', '.join(sorted(unknown))}" if unknown else "no question or no references"
        raise ValueError(f"{row.where}: an item of the family {spec.reader!r} has {what}; fields: {', '.join(_FIELDS)}")
    meta = {str(name): str(value) for name, value in item.get("meta", {}).items()}
    return draft(row, spec, str(item["question"]), name=str(item.get("name", key)), references=[str(each) for each in item["references"]],
                 images=list(item.get("images", ())), options=[str(each) for each in item.get("options", ())],
                 meta=_group(row, spec) | meta)
