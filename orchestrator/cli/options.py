"""Arguments and options that several subcommands take, worded once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

DEFAULT_SCALE = "tiny"

study_argument: Decorator = click.argument("study", metavar="STUDY")
json_option: Decorator = click.option("--json", "as_json", is_flag=True,
                                      help="Print one JSON document on standard output instead of tables.")
scale_option: Decorator = click.option("--scale", default=DEFAULT_SCALE, show_default=True, metavar="NAME",
                                       help="What the recipe runs on: tiny, small, mm1.5-3b, ...")
known_scale_option: Decorator = click.option("--scale", default=None, metavar="NAME",
                                             help="Which scale, if the ledger holds the study at several.")


def json_document(fields: str) -> str:
    """Return the part of a subcommand's help that says what `--json` prints, with its lines kept as they are."""
    return "\b\nWith --json, one document:" + fields
