"""A study's results as tables: CSV and Parquet with a row for each arm and metric, Markdown and LaTeX with a row for each arm.

- One module makes them all, and says what was unreadable for the terminal, the report and the dashboard too: the same
  number everywhere.
- Beside every score of a benchmark stands how many answers could not be read: 0.0 because a model is wrong, and 0.0
  because it answers in another form than the benchmark's rule reads, are two findings.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from orchestrator import formatting
from orchestrator.analysis.scores import Answers
from orchestrator.analysis.table import ArmResult
from orchestrator.results.results import Results

COLUMNS = {
    "study": pa.string(), "scale": pa.string(), "version": pa.int64(), "arm": pa.string(), "metric": pa.string(), "kind": pa.string(),
    "category": pa.string(), "mean": pa.float64(), "half_width": pa.float64(), "n": pa.int64(), "delta": pa.float64(),
    "delta_half_width": pa.float64(), "is_told_apart": pa.bool_(), "num_items": pa.int64(), "num_unparseable": pa.int64(),
    "withheld": pa.string()}
"""Columns of a long table, and what they hold; empty where there is nothing to say."""
MUCH = 0.2
"""Share of unreadable answers from which a score says more of their form than of the model."""
_LATEX = {"&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}",
          "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}


def answers_of(results: Results, arm_key: str, benchmark: str) -> Answers | None:
    """Return how many answers of an arm to a benchmark there are, over all seeds, and how many could not be read."""
    found = [
        trial.answers[benchmark] for trial in results.trials if trial.arm_key == arm_key and benchmark in trial.answers
    ]
    if not found:
        return None
    return Answers(sum(each.num_items for each in found), sum(each.num_unparseable for each in found))


def all_answers(results: Results) -> dict[tuple[str, str], Answers]:
    """Return (arm key, benchmark) -> its answers over all seeds, in one pass over the trials."""
    found: dict[tuple[str, str], Answers] = {}
    for trial in results.trials:
        for benchmark, own in trial.answers.items():
            before = found.get((trial.arm_key, benchmark), Answers(0, 0))
            found[trial.arm_key, benchmark] = Answers(before.num_items + own.num_items,
                                                      before.num_unparseable + own.num_unparseable)
    return found


def unread(results: Results, *, least: float = MUCH) -> list[str]:
    """Return a sentence for each benchmark of an arm of whose answers at least this share could not be read."""
    sentences, answers = [], all_answers(results)
    for metric in results.metrics:
        for arm in results.arms if metric.kind == "benchmark" else ():
            found = answers.get((arm.key, metric.name))
            if found and found.num_unparseable and found.num_unparseable >= least * found.num_items:
                sentences.append(
                    f"{metric.name}: {found.num_unparseable} of {found.num_items} answers of {arm.name} could not be read"
                )
    return sentences


def long_rows(results: Results) -> list[dict[str, Any]]:
    """Return a row for each arm and metric, with the columns of `COLUMNS`."""
    answers = all_answers(results)
    return [
        _row(results, arm, metric.name, metric.kind, metric.category, answers.get((arm.key, metric.name)))
        for arm in results.arms
        for metric in results.metrics
    ]


def to_csv(results: Results) -> str:
    """Return the long table; text that a spreadsheet would take for a formula begins with an apostrophe."""
    return rows_to_csv(long_rows(results), list(COLUMNS))


def to_parquet(results: Results, where: Path | BinaryIO) -> None:
    """Write the long table to a file."""
    rows_to_parquet(long_rows(results), where, pa.schema(list(COLUMNS.items())))


def rows_to_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Return rows of any table as CSV, with formulas made harmless as in `to_csv`."""
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: formatting.spreadsheet_cell(value) for name, value in row.items()})
    return out.getvalue()


def rows_to_parquet(rows: Sequence[Mapping[str, Any]], where: Path | BinaryIO, schema: Any = None) -> None:
    """Write rows of any table to a file; without a schema the types are those of the values."""
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), where)


def to_markdown(results: Results) -> str:
    """Return a table of arms and metrics, with intervals and what could not be read."""
    titles, rows = wide(results)
    lines = [titles, ["---"] + ["---:"] * (len(titles) - 1), *([_plain(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def to_latex(results: Results) -> str:
    """Return the same as a tabular of booktabs."""
    titles, rows = wide(results)
    lines = [" & ".join(map(_escaped, row)) + r" \\" for row in (titles, *rows)]
    begin, end = rf"\begin{{tabular}}{{l{'r' * (len(titles) - 1)}}}", r"\end{tabular}"
    return "\n".join([begin, r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule", end, ""])


def wide(results: Results) -> tuple[list[str], list[list[str]]]:
    """Return titles and rows: the arm, then every metric as `mean ± half width`, with the unreadable answers behind it."""
    names = [metric.name for metric in results.metrics]
    return ["arm", *names], [[arm.name, *(score_text(results, arm, name) for name in names)] for arm in results.arms]


def score_text(results: Results, arm: ArmResult, metric: str) -> str:
    """Return a score with its interval and, where there are any, its unreadable answers: `0.0 (60 of 60 unread)`.

    A held-out loss says its unit: `1.234 ± 0.050 nats`.
    """
    found = arm.metrics.get(metric)
    if found is None:
        return formatting.MISSING
    if metric in losses(results):
        return f"{formatting.loss(found.mean, found.half_width)} nats"
    text, beside = formatting.score(found.mean, found.half_width), unread_text(results, arm.key, metric)
    return f"{text} ({beside})" if beside else text


def losses(results: Results) -> tuple[str, ...]:
    """Return the held-out losses of a study."""
    return tuple(metric.name for metric in results.metrics if metric.kind == "loss")


def unread_text(results: Results, arm_key: str, metric: str) -> str:
    """Return how many answers of an arm to a benchmark could not be read, `60 of 60 unread`; empty if all could, or it is none."""
    read = answers_of(results, arm_key, metric)
    return f"{read.num_unparseable} of {read.num_items} unread" if read and read.num_unparseable else ""


WRITERS: Mapping[str, Callable[[Results], str]] = {"csv": to_csv, "markdown": to_markdown, "latex": to_latex}
"""Forms that are text, by name."""


def _row(
    results: Results, arm: ArmResult, metric: str, kind: str, category: str | None, read: Answers | None
) -> dict[str, Any]:
    cell = arm.metrics.get(metric)
    delta = cell.delta if cell else None
    values: Sequence[Any] = (
        results.study.name, results.study.scale, results.study.version, arm.name, metric, kind, category,
        cell and cell.mean, cell and cell.half_width, cell and cell.n, delta and delta.value, delta and delta.half_width,
        delta and delta.is_told_apart, read and read.num_items, read and read.num_unparseable, arm.withheld.get(metric))
    return dict(zip(COLUMNS, values, strict=True))


def _plain(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text).replace("±", r"$\pm$")
