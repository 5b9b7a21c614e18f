"""The schema of a ledger: which one it has, how an empty database gets it, how an older one is brought up to date.

All functions work on a connection whose transaction belongs to the caller (`engine`, `backup`).
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, inspect, select, text

from orchestrator.errors import OrchestratorError
from orchestrator.ledger.tables import driver_lease, now_s

HEAD = "0006"
"""Newest migration; a ledger beyond it was written by a newer release."""
_MIGRATION_LOCK = 7345


def revision(connection: Connection) -> str | None:
    """Return the revision of the ledger's schema, such as "0006"; None if the database holds no ledger."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def lock(connection: Connection) -> None:
    """Let one process at a time change the schema. SQLite has its write lock already."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})


def bring_to(connection: Connection, target: str = HEAD) -> None:
    """Create the tables, or change those that are there, up to a revision."""
    command.upgrade(_config(connection), target)


def take_back(connection: Connection) -> None:
    """Drop all tables of a ledger, with what they hold."""
    command.downgrade(_config(connection), "base")


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def refuse_other(connection: Connection, found: str) -> None:
    """Refuse a ledger whose schema is not the one of this release.

    Raises:
        OrchestratorError: what to do: upgrade the program, or the ledger.
    """
    where = connection.engine.url.render_as_string()
    if found > HEAD:
        raise OrchestratorError(f"ledger {where}: schema {found} is newer than this release knows ({HEAD})\n"
                                "hint: upgrade ablate, or point ABLATE_LEDGER_URL elsewhere")
    if found < HEAD:
        raise OrchestratorError(f"ledger {where}: schema {found} is of an older release; this one needs {HEAD}\n"
                                "hint: `ablate ledger upgrade` writes a backup, then brings it up to date")


def refuse_below_a_driver(connection: Connection, found: str) -> None:
    """Refuse to change the schema while a driver works on the ledger: its next look at the tables would end it.

    Raises:
        OrchestratorError: who drives, and when its lease runs out.
    """
    left_s, holder = connection.execute(select(driver_lease.c.lease_expires_at - now_s(), driver_lease.c.holder)).one()
    if left_s > 0:
        where = connection.engine.url.render_as_string()
        raise OrchestratorError(
            f"ledger {where}: its schema {found} would become {HEAD} below a driver that works on it ({holder})\n"
            f"hint: end that driver first (Ctrl-C saves); if it died, its lease runs out in {left_s:.0f} s"
        )
