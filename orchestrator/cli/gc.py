"""`ablate gc`: free disk and store by removing artifacts to which the ledger does not point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import click
from rich.table import Table

from orchestrator import formatting
from orchestrator.artifacts.garbage import (
    Garbage,
    StageFiles,
    files_here,
    files_stored,
    garbage,
    remove_here,
    remove_stored,
)
from orchestrator.artifacts.opening import artifacts_of
from orchestrator.artifacts.owner import adopt, refuse_foreign
from orchestrator.artifacts.store import Artifacts
from orchestrator.cli.console import out, plain_table, print_json
from orchestrator.cli.context import readable_ledger, writable_ledger
from orchestrator.cli.options import json_document, json_option
from orchestrator.errors import OrchestratorError
from orchestrator.ledger.naming import ledger_id, name_ledger
from orchestrator.ledger.summaries import stage_files
from orchestrator.settings import redact

HOUR_S = 3600.0
UNKNOWN = "no study of this ledger"


@dataclass(frozen=True, slots=True)
class _Place:
    """Garbage in one place: on this machine, or in the object store."""

    name: str
    found: list[Garbage]


@click.command(epilog=json_document("""
    {"is_removed", "folders": [{"where": "here" or the store's URI, "studies": [name], "folder", "reason", "num_bytes"}]}"""))
@click.option("--yes", is_flag=True, help="Remove; without this flag, only show what would be removed.")
@click.option(
    "--grace-hours", default=24.0, show_default=True, type=click.FloatRange(0), help="Keep artifacts younger than this."
)
@click.option("--adopt", "is_adopted", is_flag=True,
              help="Write down first that the store belongs to this ledger, if nobody has claimed it.")
@json_option
def gc(yes: bool, grace_hours: float, is_adopted: bool, as_json: bool) -> None:
    """Remove artifacts to which the ledger does not point, here and in the object store if there is one.

    Refused where the ledger is empty, or the store belongs to another ledger.
    """
    settings, engine = writable_ledger() if is_adopted else readable_ledger()
    artifacts, known = artifacts_of(settings, ledger_id(engine)), stage_files(engine)
    if is_adopted:
        adopt(artifacts, name_ledger(engine), ledger=redact(settings.ledger_url))
    refuse_foreign(artifacts, ledger_id(engine), known)
    places = _garbage(artifacts, known, grace_s=grace_hours * HOUR_S)
    if not known and any(place.found for place in places):
        raise OrchestratorError(
            f"the ledger {redact(settings.ledger_url)} is empty: all of {artifacts.where} would be garbage\n"
            "hint: ABLATE_HOME and ABLATE_LEDGER_URL say which ledger is meant; `ablate restore` brings back a lost one"
        )
    if yes:
        for place, remove in zip(places, (remove_here, remove_stored), strict=True):
            remove(artifacts, place.found)
    if as_json:
        print_json({"is_removed": yes, "folders": [_entry(place.name, each, known) for place in places for each in place.found]})
        return
    _print(places, known, is_removed=yes)


def _garbage(artifacts: Artifacts, known: Mapping[str, StageFiles], *, grace_s: float) -> list[_Place]:
    return [_Place("here", garbage(files_here(artifacts.root), known, grace_s=grace_s)),
            _Place(artifacts.where, garbage(files_stored(artifacts), known, grace_s=grace_s))]


def _studies(each: Garbage, known: Mapping[str, StageFiles]) -> tuple[str, ...]:
    return known[each.stage_id].studies if each.stage_id in known else ()


def _entry(where: str, each: Garbage, known: Mapping[str, StageFiles]) -> dict[str, object]:
    return {"where": where, "studies": _studies(each, known), "folder": each.folder, "reason": each.reason,
            "num_bytes": each.num_bytes}


def _print(places: list[_Place], known: Mapping[str, StageFiles], *, is_removed: bool) -> None:
    sizes: dict[tuple[str, str, str], list[int]] = {}
    for place in places:
        for each in place.found:
            study = ", ".join(_studies(each, known)) or UNKNOWN
            sizes.setdefault((study, place.name, each.reason), []).append(each.num_bytes)
    total = formatting.size(sum(map(sum, sizes.values())))
    if sizes:
        out().print(_table(sizes))
        out().print(f"{total} removed" if is_removed else f"{total} would be removed; --yes removes it")
    else:
        out().print("nothing to remove")


def _table(sizes: Mapping[tuple[str, str, str], list[int]]) -> Table:
    table = plain_table("study", "where", "why", numbers=("folders", "size"))
    for words, each in sorted(sizes.items()):
        table.add_row(*words, str(len(each)), formatting.size(sum(each)))
    return table
