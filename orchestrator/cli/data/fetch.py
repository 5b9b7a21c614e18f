"""`ablate data fetch`: price, fetch and check public copies, and enter them into the catalogue."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from model.config.fields import did_you_mean
from model.data.sources.hub_copies import Offer, fetch, lay_out, offer
from model.huggingface import HubFile, end_point
from orchestrator.cli.console import err, out, print_json
from orchestrator.cli.options import json_document, json_option
from orchestrator.errors import OrchestratorError
from orchestrator.formatting import size
from orchestrator.settings import Settings
from orchestrator.study.fetched_catalogue import empty, enter
from orchestrator.study.public_data import PublicCopy, public_copies


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A copy, and what the hub has of it."""

    copy: PublicCopy
    offered: Offer


@click.command(
    "fetch",
    epilog=json_document("""
    {"copies": [{"title", "hub", "commit", "licence": of the card or null, "files": their number, "num_bytes",
                 "folder": of a benchmark or null}],
     "num_bytes": of all, "is_fetched", "catalogue": its file,
     "to_add": lines for a catalogue that a person wrote, or null}"""),
)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--yes", is_flag=True, help="Fetch; without it, the command only says what it would cost.")
@json_option
def data_fetch(names: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Fetch public copies of the paper's data sets and benchmarks, and enter them into the catalogue.

    NAME is a data set (DVQA, or text_rich/DVQA), all of a category (math), or a benchmark (docvqa, or
    benchmark/docvqa). `ablate data list` shows the data sets.

    Each commit is pinned, each file is checked, and an interrupted fetch continues when it is called again.
    """
    settings = Settings.load()
    wanted = [_Wanted(copy, _offer(copy)) for copy in _chosen(names)]
    num_bytes = sum(each.offered.num_bytes for each in wanted)
    if not as_json:
        out().print(_table(wanted))
    to_add = None
    file = settings.catalogue or settings.home / "catalogue.yaml"
    if yes:
        _require_room(settings.home, num_bytes)
        for each in wanted:
            _fetch(each, settings)
        to_add = enter(file, _entries(wanted, settings)) or None
    if as_json:
        print_json(
            {
                "copies": [_row(each, settings) for each in wanted],
                "num_bytes": num_bytes,
                "is_fetched": yes,
                "catalogue": file,
                "to_add": to_add,
            }
        )
    elif not yes:
        out().print(
            f"{size(num_bytes)} in all, into {settings.home / 'data'}; the same command with --yes fetches them"
        )
    elif to_add:
        out().print(
            f"{file} was written by a person and stays as it is. Add to it:\n\n{to_add}", markup=False, highlight=False
        )
    else:
        out().print(f"entered into {file}; `ablate data check` opens samples of all of it")


def _chosen(names: Iterable[str]) -> list[PublicCopy]:
    """Return the copies of these names; of a category, those that can be fetched.

    Raises:
        OrchestratorError: a name is unknown, has several meanings, or its copy cannot be fetched.
    """
    found: dict[str, PublicCopy] = {}
    for name in names:
        found |= {each.title: each for each in _named(name)}
    return list(found.values())


def _named(name: str) -> list[PublicCopy]:
    copies = public_copies()
    of_category = [each for each in copies.values() if each.category == name]
    if of_category:
        for each in (each for each in of_category if each.obstacle):
            err().print(f"{each.title} is left out: {each.obstacle}")
        return [each for each in of_category if not each.obstacle]
    matches = [each for title, each in copies.items() if name in (title, each.name)]
    if not matches:
        raise OrchestratorError(
            f"{name}: no public copy of such a data set or benchmark is known",
            did_you_mean(name, [*copies, *(each.name for each in copies.values())]),
        )
    if len(matches) > 1:
        raise OrchestratorError(
            f"{name}: several have this name", "write " + " or ".join(each.title for each in matches)
        )
    if matches[0].obstacle:
        raise OrchestratorError(
            f"{matches[0].title} ({matches[0].place or 'no address'}) cannot be fetched: {matches[0].obstacle}"
        )
    return matches


def _offer(copy: PublicCopy) -> Offer:
    with _titled(copy):
        return offer(copy.hub, copy.revision, subsets=copy.subsets or (copy.subset,), splits=copy.splits)


@contextmanager
def _titled(copy: PublicCopy) -> Iterator[None]:
    """Name the copy in an error of the hub."""
    try:
        yield
    except ValueError as error:
        raise OrchestratorError(f"{copy.title}: {error}") from error


def _require_room(home: Path, num_bytes: int) -> None:
    home.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(home).free
    if num_bytes > free:
        raise OrchestratorError(
            f"{size(num_bytes)} do not fit: {home} has {size(free)} left", "ABLATE_HOME names a folder on a larger disk"
        )


def _fetch(each: _Wanted, settings: Settings) -> None:
    def tell(file: HubFile) -> None:
        err().print(f"{each.copy.title}: {file.name} ({size(file.num_bytes)}) is there")

    with _titled(each.copy):
        paths = fetch(each.offered, cache=settings.home / "data", tell=tell)
    if each.copy.is_benchmark:
        lay_out(each.offered, paths, _folder(each.copy, settings))


def _folder(copy: PublicCopy, settings: Settings) -> Path:
    return (settings.home / "data" / "benchmarks" / copy.name).absolute()


def _entries(wanted: Iterable[_Wanted], settings: Settings) -> dict[str, Any]:
    """Return what a catalogue says of the copies."""
    entries = empty(end_point()[1])
    for each in wanted:
        copy = each.copy
        if copy.is_benchmark:
            entries["benchmarks"][copy.name] = str(_folder(copy, settings))
            continue
        subset = {"subset": copy.subset} if copy.subset else {}
        entries["datasets"].setdefault(copy.category, {})[copy.name] = {
            "layout": copy.layout,
            "hub": copy.hub,
            **subset,
            "revision": each.offered.commit,
        }
    return entries


def _row(each: _Wanted, settings: Settings) -> dict[str, Any]:
    copy, offered = each.copy, each.offered
    return {
        "title": copy.title,
        "hub": offered.hub,
        "commit": offered.commit,
        "licence": copy.licence or offered.licence or None,
        "files": len(offered.files),
        "num_bytes": offered.num_bytes,
        "folder": _folder(copy, settings) if copy.is_benchmark else None,
    }


def _table(wanted: Iterable[_Wanted]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2))
    for name, justify in (
        ("copy", "left"),
        ("hub", "left"),
        ("files", "right"),
        ("size", "right"),
        ("licence", "left"),
        ("commit", "left"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for each in wanted:
        copy, offered = each.copy, each.offered
        table.add_row(
            copy.title,
            copy.place,
            str(len(offered.files)),
            size(offered.num_bytes),
            copy.licence or offered.licence or "not stated: read its card",
            offered.commit[:8],
        )
    return table
