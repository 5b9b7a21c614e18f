"""`ablate pause`, `resume` and `cancel`: change the state of a study."""

from __future__ import annotations

from collections.abc import Callable

import click
from rich.text import Text

from orchestrator.cli.console import out, print_json, state_text
from orchestrator.cli.context import writable_ledger
from orchestrator.cli.options import json_document, json_option, known_scale_option, study_argument
from orchestrator.ledger import actions, read
from orchestrator.ledger.actions import whoami
from orchestrator.results.planning import study_name

_DOCUMENT = json_document("""
    {"name", "scale", "version", "study_id", "state", "was"}""")


@click.command(epilog=_DOCUMENT)
@study_argument
@known_scale_option
@json_option
def pause(study: str, scale: str | None, as_json: bool) -> None:
    """Pause a study: start no further stages; running ones that no other study needs save a checkpoint and stop."""
    _act(actions.pause, study, scale, as_json=as_json)


@click.command(epilog=_DOCUMENT)
@study_argument
@known_scale_option
@json_option
def resume(study: str, scale: str | None, as_json: bool) -> None:
    """Continue a paused study; failed or cancelled stages are tried again."""
    _act(actions.resume, study, scale, as_json=as_json)


@click.command(epilog=_DOCUMENT)
@study_argument
@known_scale_option
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@json_option
def cancel(study: str, scale: str | None, yes: bool, as_json: bool) -> None:
    """Stop a study. Finished stages are kept, and `ablate resume` continues it."""
    if not yes:
        click.confirm(f"Cancel {study}?", abort=True, err=True)
    _act(actions.cancel, study, scale, as_json=as_json)


def _act(act: Callable[..., object], study: str, scale: str | None, *, as_json: bool) -> None:
    _, engine = writable_ledger()
    study_id = read.study(engine, study_name(study), scale).study_id
    was = act(engine, study_id, actor=whoami(engine))
    row = read.study(engine, study_id)
    if as_json:
        print_json({"name": row.name, "scale": row.scale, "version": row.version, "study_id": row.study_id,
                    "state": row.state, "was": str(was)})
        return
    out().print(Text.assemble(f"{row.name} at scale {row.scale}, version {row.version}: ", state_text(row.state)))
