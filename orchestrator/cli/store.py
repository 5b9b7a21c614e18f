"""The settings and the ledger as the subcommands meet them."""

from __future__ import annotations

from orchestrator.ledger.reach import Engine, has_ledger, reach
from orchestrator.settings import Settings


def ledger() -> tuple[Settings, Engine]:
    """Open the ledger that the settings name; an empty one is made if there is none."""
    settings = Settings.load()
    return settings, reach(settings.ledger_url)


def existing_ledger(settings: Settings) -> Engine | None:
    """Open the ledger only if there is one: looking at a plan leaves no trace on the disk."""
    return reach(settings.ledger_url) if has_ledger(settings.ledger_url) else None
