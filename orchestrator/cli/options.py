"""Arguments and options that several subcommands take, worded once."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

import click
from click.shell_completion import CompletionItem

from orchestrator.study import library
from orchestrator.study.documents import load_scale

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

DEFAULT_SCALE = "tiny"


def _studies(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the names of the library's studies, or leave it to the shell to complete a path."""
    names = [CompletionItem(name) for name in library.names("study") if name.startswith(incomplete)]
    return names or [CompletionItem(incomplete, type="file")]


def _scales(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in library.names("scale") if name.startswith(incomplete)]


def _scale_name(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """Return the name under which the ledger knows a scale: that of the document where a file is given."""
    return load_scale(value).name if value and library.is_path(value) else value


study_argument: Decorator = click.argument("study", metavar="STUDY", shell_complete=_studies)
json_option: Decorator = click.option("--json", "as_json", is_flag=True,
                                      help="Print one JSON document on standard output instead of tables.")
scale_option: Decorator = click.option(
    "--scale",
    default=DEFAULT_SCALE,
    show_default=True,
    metavar="NAME",
    shell_complete=_scales,
    help="What the recipe runs on: tiny, small, mm1.5-3b, ..., or a file: ./lab.yaml",
)
known_scale_option: Decorator = click.option(
    "--scale",
    default=None,
    metavar="NAME",
    shell_complete=_scales,
    callback=_scale_name,
    help="Which scale, if the ledger holds the study at several.",
)


def pasteable(command: str, study: str, scale: str | None = None) -> str:
    """Return a command on a study as it can be pasted: with its scale, unless that is the usual one, and a path that a shell takes."""
    more = f" --scale {scale}" if scale not in (None, DEFAULT_SCALE) else ""
    return f"ablate {command} {shlex.quote(study)}{more}"


def json_document(fields: str) -> str:
    """Return the part of a subcommand's help that says what `--json` prints, with its lines kept as they are."""
    return "\b\nWith --json, one document:" + fields
