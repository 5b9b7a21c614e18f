"""`ablate data list`: every data set of the taxonomy, its size, and what is configured where."""

from __future__ import annotations

from typing import Any

import click
from rich.table import Table

from model.data.public_copies import CONFIRMED, LIKELY
from model.data.taxonomy import DatasetEntry, entries
from orchestrator.cli.console import out, print_json
from orchestrator.cli.options import json_document, json_option


@click.command("list", epilog=json_document("""
    {"datasets": [{"stage", "category", "name", "thousands": samples / 1000 or null, "is_in_house", "public_copy": text or null,
                   "is_copy_confirmed"}]}"""))
@json_option
def data_list(as_json: bool) -> None:
    """Show every data set of the taxonomy, its size, and what is configured where."""
    rows = [_row(entry) for entry in entries()]
    if as_json:
        print_json({"datasets": rows})
        return
    out().print(_table(rows))


def _row(entry: DatasetEntry) -> dict[str, Any]:
    key = (entry.category, entry.name)
    return {"stage": entry.stage, "category": entry.category, "name": entry.name, "thousands": entry.thousands or None,
            "is_in_house": entry.is_in_house, "public_copy": CONFIRMED.get(key) or LIKELY.get(key),
            "is_copy_confirmed": key in CONFIRMED}


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2))
    for name in ("stage", "category", "data set"):
        table.add_column(name)
    table.add_column("thousands", justify="right")
    table.add_column("public copy")
    for row in rows:
        size = f"{row['thousands']:g}" if row["thousands"] else "?"
        table.add_row(row["stage"], row["category"], row["name"], size, _copy(row))
    return table


def _copy(row: dict[str, Any]) -> str:
    if row["public_copy"] is None:
        return "in-house" if row["is_in_house"] else "none known"
    return f"{row['public_copy']}{'' if row['is_copy_confirmed'] else ' (by name)'}"
