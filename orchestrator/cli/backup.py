"""`ablate backup` and `restore`: write the ledger into a file and make it again, and report which artifacts remain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click

from orchestrator import formatting
from orchestrator.artifacts.inventory import inventory
from orchestrator.artifacts.opening import artifacts_of
from orchestrator.cli.console import err, out, print_json
from orchestrator.cli.context import ledger as made_ledger
from orchestrator.cli.options import json_document, json_option
from orchestrator.ledger import backup as saved
from orchestrator.ledger.backup import StoredArtifact
from orchestrator.ledger.engine import open_for_reading
from orchestrator.ledger.lost import plan_again
from orchestrator.ledger.naming import ledger_id
from orchestrator.ledger.summaries import published
from orchestrator.settings import Settings

FILE = click.argument("file", type=click.Path(dir_okay=False, path_type=Path))


@click.command(epilog=json_document("""
    {"file", "ledger_id", "schema", "made_at", "tables": {name: rows}, "artifacts", "artifact_bytes", "missing": [name]}"""))
@FILE
@json_option
def backup(file: Path, as_json: bool) -> None:
    """Write the whole ledger into FILE, with a list of its artifacts; also while studies run.

    Checkpoints and answers stay where they are: copy the artifact folder, or let the object store keep versions.
    """
    settings = Settings.load()
    found = list(stored(settings))
    made = saved.back_up(settings.ledger_url, file, found)
    missing = [each.name for each in found if not each.num_files]
    size = sum(each.num_bytes for each in found)
    if as_json:
        print_json({"file": file, "ledger_id": made.ledger_id, "schema": made.schema, "made_at": made.made_at,
                    "tables": made.tables, "artifacts": len(found), "artifact_bytes": size, "missing": missing})
        return
    out().print(f"{file}: {made.tables['studies']} studies, {made.tables['attempts']} attempts, schema {made.schema}; its "
                f"{len(found)} artifacts, {formatting.size(size)}, stay where they are", soft_wrap=True)
    if missing:
        err().print(f"{len(missing)} artifacts are not in the store, the first is {missing[0]}", style="yellow")


def stored(settings: Settings) -> Iterator[StoredArtifact]:
    """Yield the artifact of every finished stage that the store holds."""
    engine = open_for_reading(settings.ledger_url)
    names = published(engine)
    stages = {name: stage_id for stage_id, name in names.items()}
    for each in inventory(artifacts_of(settings, ledger_id(engine)), stages):
        yield StoredArtifact(stage_id=stages[each.name], **asdict(each))
    engine.dispose()


@click.command(epilog=json_document("""
    {"file", "ledger_id", "made_at", "studies", "missing": [name of an artifact], "planned_again": [stage id]}"""))
@FILE
@json_option
def restore(file: Path, as_json: bool) -> None:
    """Make the ledger again from a FILE of `ablate backup`: at the place that the settings name, which must be empty.

    Stages whose checkpoint is lost and that are still needed are planned again; all else stays finished. A file of
    SQLite can be restored into PostgreSQL, and the other way round.
    """
    saved.read_backup(file)  # before a ledger is made for it
    settings, engine = made_ledger()
    made = saved.restore(engine, file)
    was = {each.stage_id: each for each in saved.stored_artifacts(file)}
    lost = [each for each in stored(settings) if not each.num_files or each != was.get(each.stage_id, each)]
    again = plan_again(engine, [each.stage_id for each in lost])
    if as_json:
        print_json({"file": file, "ledger_id": made.ledger_id, "made_at": made.made_at, "studies": made.tables["studies"],
                    "missing": [each.name for each in lost], "planned_again": again})
        return
    out().print(f"{made.tables['studies']} studies are back, as of {made.made_at}", soft_wrap=True)
    if lost:
        err().print(f"{len(lost)} artifacts are not in the store any more; {len(again)} stages are planned again, since "
                    "unfinished ones need them; the scores of all others are in the ledger", style="yellow")
    err().print("`ablate drive`, or `ablate run STUDY`, goes on", soft_wrap=True)
