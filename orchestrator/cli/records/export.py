"""`ablate export` and `ablate import`: records of results that can be committed, sent, and read into another ledger."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path

import click

from model import manifest
from orchestrator import formatting
from orchestrator.artifacts.opening import artifacts_of
from orchestrator.artifacts.store import RECORDS, Artifacts
from orchestrator.cli.console import out, print_json
from orchestrator.cli.context import ledger, readable_ledger
from orchestrator.cli.options import json_document, json_option, known_scale_option, study_argument
from orchestrator.errors import StudyError
from orchestrator.ledger import read
from orchestrator.ledger.claim import claimed_artifacts
from orchestrator.ledger.naming import ledger_id
from orchestrator.ledger.records import Entered, enter
from orchestrator.results.planning import study_name
from orchestrator.results.record import export as write_record
from orchestrator.results.record import load
from orchestrator.study import library

ACTOR = "import"


@click.command(epilog=json_document("""
    {"name", "scale", "folder", "num_stages", "num_bytes"}"""))
@study_argument
@known_scale_option
@click.option("--out", "folder", default=None, type=click.Path(path_type=Path), metavar="DIR",
              help="Where to write the record; by default studies/results/SCALE/NAME of the project.")
@json_option
def export(study: str, scale: str | None, folder: Path | None, as_json: bool) -> None:
    """Write a study's results as a record: configurations, identities, the score of every item, and no weights or texts.

    An unfinished study can be exported too: `ablate import` and `ablate resume` continue it elsewhere.
    """
    settings, engine = readable_ledger()
    row = read.study(engine, study_name(study), scale)
    folder = folder or library.results_folder(row.scale, row.name)
    record = write_record(engine, row, artifacts_of(settings, ledger_id(engine)), folder)
    num_bytes = sum(path.stat().st_size for path in folder.iterdir())
    if as_json:
        print_json({"name": row.name, "scale": row.scale, "folder": str(folder), "num_stages": record.num_results,
                    "num_bytes": num_bytes})
        return
    out().print(f"{folder}: results of {record.num_results} stages, {formatting.size(num_bytes)}", soft_wrap=True)


@click.command("import", epilog=json_document("""
    {"records": [{"name", "scale", "folder", "study_id", "state", "num_stages", "num_known"}]}"""))
@click.argument("records", nargs=-1, metavar="RECORD...")
@click.option("--all", "every", is_flag=True, help="Import all records of the project, studies/results.")
@json_option
def import_(records: tuple[str, ...], every: bool, as_json: bool) -> None:
    """Read records into the ledger; results, report and dashboard then show their studies like any other.

    A RECORD is a directory that `ablate export` wrote, or the name of a study whose record is in studies/results.
    Results that the ledger has computed itself are kept. If a stage needs the weights of an imported training stage,
    that stage is trained here.
    """
    if not records and not every:
        raise click.UsageError("name a record, or say --all")
    folders = [*library.result_folders(), *map(_folder, records)] if every else list(map(_folder, records))
    loaded = [(folder, load(folder)) for folder in folders]  # all are sound before one is entered
    settings, engine = ledger()
    artifacts = claimed_artifacts(engine, settings)
    entered = [(folder, record, enter(engine, record, _keep(artifacts, folder), actor=ACTOR)) for folder, record in loaded]
    if as_json:
        print_json({"records": [{"name": record.study["name"], "scale": record.study["scale"], "folder": str(folder),
                                 **asdict(each)} for folder, record, each in entered]})
        return
    for _, record, each in entered:
        out().print(_told(record.study["name"], record.study["scale"], each), soft_wrap=True)


def _folder(name: str) -> Path:
    if Path(name).is_dir():
        return Path(name)
    found = [folder for folder in library.result_folders() if folder.name == name]
    if not found:
        known = ", ".join(sorted({folder.name for folder in library.result_folders()})) or "none"
        raise StudyError(name, 0, f"no record of that name; there are: {known}", "a directory may be given instead")
    return found[0]


def _keep(artifacts: Artifacts, folder: Path) -> str:
    """Copy a record into the artifacts, under the name of its content, and return that name."""
    name = f"{RECORDS}{manifest.identity(folder)[:32]}"
    here = artifacts.root / name
    if not (here / manifest.MANIFEST).is_file():
        manifest.publish(here, lambda new: _copy(folder, new), meta=manifest.read(folder)["meta"])
    if artifacts.store is not None:
        artifacts.store.put(here, name)
    return name


def _copy(folder: Path, new: Path) -> None:
    for name in manifest.read(folder)["files"]:
        shutil.copyfile(folder / name, new / name)


def _told(name: str, scale: str, entered: Entered) -> str:
    known = f", {entered.num_known} known before" if entered.num_known else ""
    return f"{name} ({scale}): results of {entered.num_stages} stages imported{known}; {entered.state.lower()}"
