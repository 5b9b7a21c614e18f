"""`ablate ledger verify` and `upgrade`: check the ledger against its own event history, and renew its schema."""

from __future__ import annotations

from pathlib import Path

import click
from rich.text import Text

from orchestrator.cli.console import DONE, FAILED, out, print_json
from orchestrator.cli.options import json_document, json_option
from orchestrator.errors import OrchestratorError
from orchestrator.ledger.backup import upgrade as saved_and_upgraded
from orchestrator.ledger.verify import verify as verified
from orchestrator.results.planning import existing_ledger
from orchestrator.settings import Settings, redact


@click.group()
def ledger() -> None:
    """Check the ledger."""


@ledger.command(epilog=json_document("""
    {"ledger", "num_events", "num_rows", "differences": [{"entity", "entity_id", "what"}]}"""))
@json_option
@click.pass_context
def verify(ctx: click.Context, as_json: bool) -> None:
    """Replay all events, compare them with the rows, and list the differences.

    The exit code is 1 if there are any. Nothing is changed.
    """
    settings = Settings.load()
    engine, where = existing_ledger(settings), redact(settings.ledger_url)
    if engine is None:
        raise OrchestratorError(f"no ledger at {where}\nhint: `ablate run` creates one; ABLATE_HOME says where")
    found = verified(engine)
    if as_json:
        print_json({"ledger": where, "num_events": found.num_events, "num_rows": found.num_rows, "differences": found.differences})
    else:
        for each in found.differences:
            out().print(
                Text.assemble((f"{each.entity} {each.entity_id}: ", "bold"), (each.what, "red")), soft_wrap=True
            )
        verdict = f"{len(found.differences)} differences" if found.differences else "they agree"
        out().print(f"{found.num_events} events against {found.num_rows} rows at {where}: {verdict}", soft_wrap=True)
    ctx.exit(FAILED if found.differences else DONE)


@ledger.command(epilog=json_document("""
    {"ledger", "from", "to": schemas, "backup": file, or null if there was nothing to do}"""))
@click.option("--backup", "file", type=click.Path(dir_okay=False, path_type=Path), default=None, metavar="FILE",
              help="Where to save it first; by default below ABLATE_HOME/backups.")
@json_option
def upgrade(file: Path | None, as_json: bool) -> None:
    """Bring a ledger of an older release up to date, after a backup of it as it is.

    Refused while a driver works on it. `ablate restore FILE` of the older release brings it back as it was.
    """
    settings = Settings.load()
    before, after, saved = saved_and_upgraded(settings.ledger_url, settings.home / "backups", file)
    if as_json:
        print_json({"ledger": redact(settings.ledger_url), "from": before, "to": after, "backup": saved})
        return
    told = f"schema {before} is now {after}; as it was it is in {saved}" if saved else f"schema {after} is up to date"
    out().print(told, soft_wrap=True)
