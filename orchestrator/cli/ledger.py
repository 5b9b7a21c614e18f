"""`ablate ledger verify`: check that the ledger agrees with its own event history."""

from __future__ import annotations

import click
from rich.text import Text

from orchestrator.cli.console import DONE, FAILED, out, print_json
from orchestrator.cli.context import existing_ledger
from orchestrator.cli.options import json_document, json_option
from orchestrator.errors import OrchestratorError
from orchestrator.ledger.verify import verify as verified
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
