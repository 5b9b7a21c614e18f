"""`ablate settings`: every setting of the operator, its present value, and where the value comes from."""

from __future__ import annotations

import click
from rich.text import Text

from model.config.fields import did_you_mean
from orchestrator.cli.console import err, out, print_json
from orchestrator.cli.options import json_document, json_option
from orchestrator.settings import Settings, all_settings, known_names, our_variables


@click.command(epilog=json_document("""
    {"settings": [{"name", "value", "source": "environment" or "default", "meaning"}]}"""))
@json_option
def settings(as_json: bool) -> None:
    """List every setting: the environment variable, its value (no secrets), where that comes from, and what it means."""
    found = all_settings(Settings.load())
    if as_json:
        print_json({"settings": found})
        return
    for each in found:
        source = "" if each.source == "default" else "  from the environment"
        out().print(Text.assemble((each.name, "bold"), f"={each.value}", (source, "green")), soft_wrap=True)
        out().print(Text(f"    {each.meaning}"))
    for name in sorted(set(our_variables()) - known_names()):
        err().print(f"{name} is set, but is no setting; {did_you_mean(name, known_names())}", style="yellow")
