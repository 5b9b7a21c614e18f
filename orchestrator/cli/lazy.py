"""A group of subcommands that imports a module only when its subcommand is called, so that `ablate --help` is fast."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from keyword import iskeyword

import click

from model.config.fields import did_you_mean

Table = Mapping[str, tuple[str, str]]
"""Subcommand -> its module in `orchestrator.cli`, and its line in the help. If the name is a Python keyword, such as
`import`, the module's function is named `import_`.
"""


class LazyGroup(click.Group):
    """A click group defined by a table. The subcommand `name` is the attribute `prefix + name` of its module."""

    table: Table = {}
    prefix = ""
    groups: Mapping[str, Sequence[str]] = {}
    """Headings of the help -> subcommands below them; if empty, there is one heading for all."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the subcommands in the order in which a user needs them."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of the subcommand; return None if there is no such subcommand."""
        if cmd_name not in self.table:
            return None
        module = importlib.import_module(f"orchestrator.cli.{self.table[cmd_name][0]}")
        command: click.Command = getattr(module, self.prefix + cmd_name + "_" * iskeyword(cmd_name))
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the subcommand; for a misspelled one, raise an error that suggests the nearest."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = did_you_mean(args[0], self.table)
            hint = near if near.startswith("did") else f"{ctx.command_path} --help lists them"
            raise click.UsageError(f"no command {args[0]!r}; {hint}", ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the subcommands from the table, group by group, so that the help imports none of them."""
        for title, names in (self.groups or {"Commands": tuple(self.table)}).items():
            with formatter.section(title):
                formatter.write_dl([(name, self.table[name][1]) for name in names])
