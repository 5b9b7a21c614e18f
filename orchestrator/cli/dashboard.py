"""`ablate dashboard`: start the Streamlit dashboard."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from orchestrator.cli.console import FAILED, err
from orchestrator.errors import StudyError
from orchestrator.exposure import refusal
from orchestrator.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
APP = ROOT / "dashboard" / "app.py"
CONFIG = ROOT / ".streamlit" / "config.toml"
"""Streamlit reads it only from the current directory, so its settings are passed as flags."""


@click.command()
@click.option("--port", default=8501, show_default=True, help="Port to listen on.")
@click.pass_context
def dashboard(ctx: click.Context, port: int) -> None:
    """Open the dashboard in the browser; it listens on 127.0.0.1, or on ABLATE_DASHBOARD_ADDRESS."""
    if not APP.is_file():
        err().print(f"error: {APP} is missing; the dashboard runs from the repository", style="red")
        ctx.exit(FAILED)
    settings = Settings.load()
    address = settings.dashboard_address
    if problem := refusal(settings, address):
        raise StudyError("ABLATE_DASHBOARD_ADDRESS", 0, *problem.split("\nhint: "))
    err().print(f"dashboard: http://{address}:{port}  (Ctrl+C stops it)", soft_wrap=True)
    hosts = [f"--server.allowedHosts={host}" for host in settings.dashboard_hosts]
    command = [sys.executable, "-P", "-m", "streamlit", "run", str(APP), *flags(CONFIG), *hosts, f"--server.address={address}",
               f"--server.port={port}"]
    # The server replaces this process, so whoever ends the command ends the server, and no orphan keeps listening.
    os.execv(sys.executable, command)


def flags(config: Path) -> list[str]:
    """Return the settings of a configuration file as Streamlit's flags; a list repeats its flag."""
    settings = tomllib.loads(config.read_text(encoding="utf-8")) if config.is_file() else {}
    return [f"--{name}={value}" for name, value in _flat(settings, "")]


def _flat(settings: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield from ((f"{prefix}{name}", _word(each)) for each in (value if isinstance(value, list) else [value]))


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
