"""The settings and the ledger as the subcommands meet them."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine

from orchestrator.ledger import open_ledger
from orchestrator.settings import Settings

_SQLITE = "sqlite:///"


def ledger() -> tuple[Settings, Engine]:
    """Open the ledger that the settings name; an empty one is made if there is none."""
    settings = Settings.load()
    return settings, open_ledger(settings.ledger_url)


def existing_ledger(settings: Settings) -> Engine | None:
    """Open the ledger only if there is one: looking at a plan leaves no trace on the disk."""
    url = settings.ledger_url
    is_absent = url.startswith(_SQLITE) and not Path(url.removeprefix(_SQLITE)).exists()
    return None if is_absent else open_ledger(url)
