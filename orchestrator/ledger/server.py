"""What a database server says of itself and of who asks it: for `ablate doctor`."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import select, text

from orchestrator.ledger.engine import Engine
from orchestrator.ledger.tables import now_s


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRole:
    """A role of PostgreSQL, as its connection is."""

    name: str
    version: str
    is_superuser: bool
    may_write: bool
    """Whether it may add a study."""


def role(engine: Engine) -> ServerRole | None:
    """Return who we are to the server; None where the ledger is a file."""
    if engine.dialect.name != "postgresql":
        return None
    query = text("SELECT current_user AS name, current_setting('server_version') AS version, rolsuper AS is_superuser, "
                 "has_table_privilege('studies', 'INSERT') AS may_write FROM pg_roles WHERE rolname = current_user")
    with engine.connect() as connection:
        return ServerRole(**connection.execute(query).one()._mapping)


def clock_skew_s(engine: Engine) -> float:
    """Return by how many seconds the database's clock is ahead of this machine's, to half the time of the way there and back."""
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))  # the connection is there before the clock is read
    with engine.connect() as connection:
        before = time.time()
        there = connection.execute(select(now_s())).scalar_one()
        return float(there) - (before + time.time()) / 2
