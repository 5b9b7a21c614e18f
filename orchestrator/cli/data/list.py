"""`ablate data list`: every data set of the taxonomy, its size, and the files configured for it."""

from __future__ import annotations

from typing import Any

import click
from rich.table import Table

from model.config.catalogue import SourceConfig
from model.config.taxonomy import DatasetEntry, entries
from orchestrator.cli.console import out, print_json
from orchestrator.cli.options import json_document, json_option
from orchestrator.settings import Settings
from orchestrator.study.catalogue import catalogue_of
from orchestrator.study.public_data import public_copies


@click.command("list", epilog=json_document("""
    {"datasets": [{"stage", "category", "name", "thousands": samples / 1000 or null, "is_in_house", "public_copy": text or null,
                   "is_copy_confirmed", "can_be_fetched", "configured": {"layout", "files", "hub", "images", "broken"} or null}],
     "catalogue": its file or null}; your own data sets come last, with stage null"""))
@json_option
def data_list(as_json: bool) -> None:
    """Show every data set of the taxonomy, its size, and which files are configured for it."""
    settings = Settings.load()
    catalogue = catalogue_of(settings)
    configured = {(each.category, each.name): each for each in (catalogue.sources if catalogue else ())}
    rows = [_row(entry, configured.pop((entry.category, entry.name), None)) for entry in entries()]
    rows += [_own(source) for source in configured.values()]
    if as_json:
        print_json({"datasets": rows, "catalogue": settings.catalogue_file})
        return
    out().print(_table(rows))
    where = settings.catalogue_file or "none; a catalogue says where the files are (ABLATE_CATALOGUE)"
    out().print(f"catalogue: {where}")
    out().print(
        "thousands: samples as the paper's slides state them; ? means not stated. Copies marked (by name) match by name "
        "only: it is not known whether they contain the same samples. The others have the stated number of samples. "
        "Those marked * `ablate data fetch NAME` fetches and enters into the catalogue."
    )


def _own(source: SourceConfig) -> dict[str, Any]:
    return {"stage": None, "category": source.category, "name": source.name, "thousands": None, "is_in_house": False,
            "public_copy": None, "is_copy_confirmed": False, "can_be_fetched": False, "configured": _configured(source)}


def _configured(source: SourceConfig | None) -> dict[str, Any] | None:
    if source is None:
        return None
    return {
        "layout": source.layout,
        "files": list(source.files),
        "hub": source.hub,
        "images": source.images,
        "broken": source.broken,
    }


def _row(entry: DatasetEntry, source: SourceConfig | None) -> dict[str, Any]:
    copy = public_copies()[f"{entry.category}/{entry.name}"]
    return {"stage": entry.stage, "category": entry.category, "name": entry.name, "thousands": entry.thousands or None,
            "is_in_house": entry.is_in_house, "public_copy": copy.place or None, "is_copy_confirmed": copy.matches == "size",
            "can_be_fetched": not copy.obstacle, "configured": _configured(source)}


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2))
    for name in ("stage", "category", "data set"):
        table.add_column(name)
    table.add_column("thousands", justify="right")
    table.add_column("configured")
    table.add_column("public copy")
    for row in rows:
        size = f"{row['thousands']:,.1f}".removesuffix(".0") if row["thousands"] else "?"
        table.add_row(row["stage"] or "own", row["category"], row["name"], size, _place(row["configured"]), _copy(row))
    return table


def _place(configured: dict[str, Any] | None) -> str:
    if configured is None:
        return "-"
    files: list[str] = configured["files"]
    return str(configured["hub"] or "") or files[0] + (f" and {len(files) - 1} more" if len(files) > 1 else "")


def _copy(row: dict[str, Any]) -> str:
    if row["public_copy"] is None:
        return "in-house" if row["is_in_house"] else "none known"
    return f"{row['public_copy']}{'' if row['is_copy_confirmed'] else ' (by name)'}{' *' if row['can_be_fetched'] else ''}"
