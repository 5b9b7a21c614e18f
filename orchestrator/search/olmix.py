"""Read and write `ratios.csv` and `metrics.csv` in Olmix's format.

Each row is one run, and `run` (or `run_id`) joins the two files. The shares of a row sum to 1. Pure functions of text.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping

from orchestrator.formatting import spreadsheet_cell

ID = "run"
_IDS = (ID, "run_id")
_NAME = "name"
Rows = dict[str, dict[str, float]]
"""Run -> column -> value."""


def to_csv(rows: Mapping[str, Mapping[str, float]], names: Mapping[str, str], *, missing: float | None = None) -> str:
    """Return rows as CSV text.

    Args:
        rows: run -> column -> value.
        names: run -> readable name, written to its own column.
        missing: the value of a column that a row lacks; None leaves the cell empty.
    """
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([ID, _NAME, *map(spreadsheet_cell, columns)])
    for run, row in rows.items():
        cells = [row.get(column, missing) for column in columns]
        words = map(spreadsheet_cell, (run, names.get(run, run)))
        writer.writerow([*words, *("" if cell is None else repr(float(cell)) for cell in cells)])
    return text.getvalue()


def from_csv(text: str, path: str, *, are_shares: bool) -> Rows:
    """Read rows from CSV text; empty cells are left out.

    Args:
        text: the file's contents.
        path: the file's path, for error messages.
        are_shares: whether each row must sum to 1.

    Raises:
        ValueError: a row cannot be used; the message has path and line.
    """
    reader = csv.DictReader(io.StringIO(text))
    id_column = next((column for column in _IDS if column in (reader.fieldnames or ())), None)
    if id_column is None:
        raise ValueError(
            f"{path}:1: no column {ID!r} or 'run_id'; found: {', '.join(reader.fieldnames or ()) or 'nothing'}"
        )
    rows: Rows = {}
    for row in reader:
        where = f"{path}:{reader.line_num}"
        run = row.pop(id_column)
        row.pop(_NAME, None)
        if run in rows:
            raise ValueError(f"{where}: run {run!r} occurs twice")
        if None in row or None in row.values():
            raise ValueError(f"{where}: the number of cells differs from the {len(reader.fieldnames or ())} columns")
        rows[run] = {column: _number(cell, f"{where}: {column}") for column, cell in row.items() if cell.strip()}
        total = math.fsum(rows[run].values())
        if are_shares and (not math.isclose(total, 1.0, abs_tol=0.01) or min(rows[run].values()) < 0):
            raise ValueError(f"{where}: shares of {run} sum to {total:.4g}; allowed: shares >= 0 that sum to 1")
    return rows


def _number(cell: str, where: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        raise ValueError(f"{where}: {cell!r}; allowed: a number") from None
    if not math.isfinite(value):
        raise ValueError(f"{where}: {cell!r}; allowed: a finite number")
    return value
