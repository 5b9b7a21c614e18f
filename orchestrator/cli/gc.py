"""`ablate gc`: free disk and store by removing artifacts to which the ledger does not point."""

from __future__ import annotations

import click
from rich.table import Table

from orchestrator import formatting
from orchestrator.artifacts.garbage import Garbage, files_here, files_stored, garbage, remove_here, remove_stored
from orchestrator.artifacts.opening import artifacts_of
from orchestrator.cli.console import out, print_json
from orchestrator.cli.context import ledger
from orchestrator.cli.options import json_document, json_option
from orchestrator.ledger.summaries import stage_files

HOUR_S = 3600.0


@click.command(epilog=json_document("""
    {"is_removed", "folders": [{"where": "here" or the store's URI, "folder", "reason", "num_bytes"}]}"""))
@click.option("--yes", is_flag=True, help="Remove; without this flag, only show what would be removed.")
@click.option(
    "--grace-hours", default=24.0, show_default=True, type=click.FloatRange(0), help="Keep artifacts younger than this."
)
@json_option
def gc(yes: bool, grace_hours: float, as_json: bool) -> None:
    """Remove artifacts to which the ledger does not point, here and in the object store if there is one."""
    settings, engine = ledger()
    artifacts, known = artifacts_of(settings), stage_files(engine)
    here = garbage(files_here(artifacts.root), known, grace_s=grace_hours * HOUR_S)
    stored = garbage(files_stored(artifacts), known, grace_s=grace_hours * HOUR_S)
    if yes:
        remove_here(artifacts, here)
        remove_stored(artifacts, stored)
    found = [("here", each) for each in here] + [(settings.artifact_store, each) for each in stored]
    if as_json:
        print_json({"is_removed": yes, "folders": [{"where": where, "folder": each.folder, "reason": each.reason,
                                                    "num_bytes": each.num_bytes} for where, each in found]})
        return
    _print(found, is_removed=yes)


def _print(found: list[tuple[str, Garbage]], *, is_removed: bool) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2))
    for name in ("where", "why", "folders", "size"):
        table.add_column(name, justify="right" if name in ("folders", "size") else "left")
    for where, reason in sorted({(where, each.reason) for where, each in found}):
        mine = [each.num_bytes for place, each in found if (place, each.reason) == (where, reason)]
        table.add_row(where, reason, str(len(mine)), formatting.size(sum(mine)))
    if found:
        out().print(table)
    total = formatting.size(sum(each.num_bytes for _, each in found))
    out().print(
        f"{total} removed"
        if is_removed
        else f"{total} would be removed; --yes removes it"
        if found
        else "nothing to remove"
    )
