"""`ablate data`: the data sets that mixtures are made of; each subcommand in a module of its own."""

from __future__ import annotations

import click

from orchestrator.cli.lazy import LazyGroup


class DataGroup(LazyGroup):
    """The subcommands of `ablate data`."""

    table = {
        "list": ("data.list", "Show every data set of the taxonomy, its size, and what is configured where."),
        "check": ("data.check", "Open samples of every data set, and name what is broken."),
        "show": ("data.show", "Write a page of examples of a category, with boxes drawn."),
    }
    prefix = "data_"


@click.group(cls=DataGroup)
def data() -> None:
    """List and show the training data, and check what is configured."""
