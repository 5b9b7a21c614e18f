"""A group of subcommands that imports each one's module only when it is called, so that `ablate --help` starts at once."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

import click

Table = Mapping[str, tuple[str, str]]
"""Subcommand -> module in `orchestrator.cli` that holds it, and its line in the help."""


class LazyGroup(click.Group):
    """A click group over a table; a subcommand `name` is the attribute `prefix + name` of its module."""

    table: Table = {}
    prefix = ""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the subcommands in the order in which a user needs them."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module that holds the subcommand; None if there is no such name."""
        if cmd_name not in self.table:
            return None
        module = importlib.import_module(f"orchestrator.cli.{self.table[cmd_name][0]}")
        command: click.Command = getattr(module, self.prefix + cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the subcommands from the table, so that the help imports none of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.table.items()])
