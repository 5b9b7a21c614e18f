"""`ablate init` and `completion`: a first study file, and shell completion."""

from __future__ import annotations

import re
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from orchestrator.cli.console import out, print_json
from orchestrator.cli.options import json_document, json_option, pasteable
from orchestrator.errors import StudyError

_TEMPLATE = Path(__file__).with_name("study_template.yaml")
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_SHELLS = {"bash": "~/.bashrc", "zsh": "~/.zshrc", "fish": "~/.config/fish/completions/ablate.fish"}


@click.command(epilog=json_document("""
    {"study", "path"}"""))
@click.argument("name")
@click.option(
    "--directory", type=click.Path(file_okay=False, path_type=Path), default=Path(),
    help="Directory of the file; by default the current one."
)
@json_option
def init(name: str, directory: Path, as_json: bool) -> None:
    """Write a commented study file NAME.yaml to start from; it is valid without changes."""
    if not _NAME.fullmatch(name):
        raise StudyError(
            "NAME", 0, f"{name!r}; allowed: small letters, digits and single hyphens", "such as alpha-science-2"
        )
    path = directory / f"{name}.yaml"
    directory.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(_TEMPLATE.read_text(encoding="utf-8").replace("@NAME@", name))
    except FileExistsError as error:
        raise StudyError(
            str(path), 0, "a file of this name exists; it was not changed", "choose another name"
        ) from error
    if as_json:
        print_json({"study": name, "path": str(path)})
        return
    out().print(f"{path} is written; next: {pasteable('plan', str(path))}")


@click.command(epilog="""\b
bash: ablate completion bash >> ~/.bashrc
zsh:  ablate completion zsh >> ~/.zshrc
fish: ablate completion fish > ~/.config/fish/completions/ablate.fish""")
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print a script that makes a shell complete subcommands, options and studies; install it as shown below."""
    kind = get_completion_class(shell)
    assert kind is not None, shell
    click.echo(kind(ctx.find_root().command, {}, "ablate", "_ABLATE_COMPLETE").source())
