"""What subcommands need first: the settings and the ledger."""

from __future__ import annotations

from orchestrator.ledger import read
from orchestrator.ledger.engine import Engine, open_existing, open_for_reading, open_ledger
from orchestrator.settings import OFF, Settings


def ledger() -> tuple[Settings, Engine]:
    """Open the ledger of the settings; create an empty one if there is none."""
    settings = Settings.load()
    return settings, open_ledger(settings.ledger_url)


def writable_ledger() -> tuple[Settings, Engine]:
    """Open the ledger that the settings name, which must be there."""
    settings = Settings.load()
    return settings, open_existing(settings.ledger_url)


def readable_ledger() -> tuple[Settings, Engine]:
    """Open the ledger of the settings for reading, which writes nothing to disk. If there is none, it is empty."""
    settings = Settings.load()
    return settings, open_for_reading(settings.ledger_url)


def num_unsent(settings: Settings, engine: Engine) -> int:
    """Return how many messages wait for MLflow; 0 if tracking is off."""
    return 0 if settings.mlflow_uri == OFF else read.outbox_lag(engine)
