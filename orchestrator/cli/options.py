"""Arguments and options that several subcommands share."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

import click
from click.shell_completion import CompletionItem

from orchestrator.study import library
from orchestrator.study.documents import DEFAULT_SCALE, load_scale

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _studies(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the names of the library's studies, or let the shell complete a path."""
    names = [CompletionItem(name) for name in library.names("study") if name.startswith(incomplete)]
    return names or [CompletionItem(incomplete, type="file")]


def _scales(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in library.names("scale") if name.startswith(incomplete)]


def _scale_name(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """Return the name of a scale in the ledger: for a file, the name in its document."""
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
    help="Model and data sizes to run at: tiny, small, mm1.5-3b, ..., or a file: ./lab.yaml",
)
known_scale_option: Decorator = click.option(
    "--scale",
    default=None,
    metavar="NAME",
    shell_complete=_scales,
    callback=_scale_name,
    help="The scale, if the ledger has the study at several scales.",
)


def pasteable(command: str, study: str, scale: str | None = None) -> str:
    """Return a command on a study that can be pasted into a shell.

    Quoted, and with its scale unless that is the default.
    """
    more = f" --scale {scale}" if scale not in (None, DEFAULT_SCALE) else ""
    return f"ablate {command} {shlex.quote(study)}{more}"


def json_document(fields: str) -> str:
    """Return the part of a subcommand's help that describes the output of `--json`, with its line breaks."""
    return "\b\nWith --json, one document:" + fields
