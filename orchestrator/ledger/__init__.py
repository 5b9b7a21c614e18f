"""All SQL: tables, engine, the write side, the read side, the outbox, migrations."""

from __future__ import annotations

from orchestrator.ledger.engine import open_ledger

__all__ = ["open_ledger"]
