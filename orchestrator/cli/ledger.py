"""`ablate ledger verify`, `upgrade` and `role`: check the ledger against its events, renew its schema, let people in."""

from __future__ import annotations

from pathlib import Path

import click
from rich.text import Text

from orchestrator.cli.console import DONE, FAILED, out, print_json
from orchestrator.cli.options import json_document, json_option
from orchestrator.errors import OrchestratorError
from orchestrator.ledger.backup import upgrade as saved_and_upgraded
from orchestrator.ledger.roles import Login, May, fresh, let_in, url_of
from orchestrator.ledger.verify import verify as verified
from orchestrator.results.planning import existing_ledger
from orchestrator.settings import Settings, redact


@click.group()
def ledger() -> None:
    """Check the ledger, renew its schema, and say who may do what in it."""


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


@ledger.command(epilog=json_document("""
    {"role", "may", "url": with its password, or null if it came from --url-file}"""))
@click.argument("name", required=False)
@click.option("--may", type=click.Choice([may.value for may in May]), required=True,
              help="read: look. submit: also enter, pause, resume and cancel studies. drive: also write results, as drivers do.")
@click.option("--url-file", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=None, metavar="FILE",
              help="A file that holds only the role's URL; name and password are taken from it.")
@json_option
def role(name: str | None, may: str, file: Path | None, as_json: bool) -> None:
    """Let somebody into a ledger on PostgreSQL, or change what a role may do and its password.

    ABLATE_LEDGER_URL must be that of the database's owner. NAME is the actor in the events of whoever uses it. Its URL,
    with a new password, is printed once.
    """
    if (name is None) == (file is None):
        raise click.UsageError("give a NAME or --url-file")
    owner_url = Settings.load().ledger_url
    login = Login.of(file.read_text().strip()) if file else fresh(str(name))
    let_in(owner_url, login, May(may))
    url = None if file else url_of(owner_url, login)
    if as_json:
        print_json({"role": login.name, "may": may, "url": url})
        return
    out().print(f"{login.name} may {may}" + (f": ABLATE_LEDGER_URL={url}" if url else ""), soft_wrap=True)
