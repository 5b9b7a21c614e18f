"""The command group `ablate data`; each subcommand has its own module."""

from __future__ import annotations

import click

from orchestrator.cli.lazy import LazyGroup


class DataGroup(LazyGroup):
    """The subcommands of `ablate data`."""

    table = {
        "list": ("data.list", "Show every data set of the taxonomy, its size, and which files are configured for it."),
        "fetch": ("data.fetch", "Price and fetch public copies, and enter them into the catalogue."),
        "check": ("data.check", "Open samples of every data set, and report what is broken."),
        "show": ("data.show", "Write an HTML page with examples of a category, with boxes drawn."),
    }
    prefix = "data_"


@click.group(cls=DataGroup)
def data() -> None:
    """List, fetch and show the training data, and check the configured data sets."""
