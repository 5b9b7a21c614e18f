"""The real ledger in memory: its own tables and statements on SQLite, by a simulated clock, away or cut off as it is told."""

import sqlite3
import tempfile
from contextlib import closing
from functools import cache

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import StaticPool

from orchestrator.ledger.engine import Engine, open_ledger
from tests.simulation.clock import Clock

BEFORE, AFTER = "before", "after"
"""When a COMMIT fails: before it took effect, or after, so that only its reply is lost."""


class Database:
    """A ledger of its own for each world, one at a time: statements are compiled once for all of them."""

    def __init__(self, clock: Clock) -> None:
        self.commit_fault = ""
        self.away_until = 0.0
        self._clock, self._changes = clock, 0
        self.connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        template().backup(self.connection)
        self.connection.create_function("julianday", 1, clock.julian_day)
        self.connection.execute("PRAGMA foreign_keys=ON")
        self.engine = shared_engine()
        self.engine.dispose()
        CURRENT[:] = [self]

    def close(self) -> None:
        self.engine.dispose()
        self.connection.close()

    def begin(self, connection: Connection) -> None:
        if self._clock.now < self.away_until:
            raise OperationalError("BEGIN", {}, sqlite3.OperationalError("disk I/O error"))
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("ledger_write") else "BEGIN")

    def commit(self, connection) -> None:
        """Commit; if a fault is due, the first commit that wrote anything fails before, or after it took effect."""
        fault = self.commit_fault if connection.in_transaction and connection.total_changes != self._changes else ""
        self._changes = connection.total_changes
        self.commit_fault = "" if fault else self.commit_fault
        if fault == BEFORE:
            raise sqlite3.OperationalError("database is locked")
        connection.commit()
        if fault == AFTER:
            raise sqlite3.OperationalError("disk I/O error")


CURRENT: list[Database] = []
"""The database of the world that lives now."""


@cache
def shared_engine() -> Engine:
    engine = create_engine("sqlite://", creator=lambda: CURRENT[0].connection, poolclass=StaticPool)
    event.listen(engine, "begin", lambda connection: CURRENT[0].begin(connection))
    engine.dialect.do_commit = lambda connection: CURRENT[0].commit(connection)
    return engine


@cache
def template() -> sqlite3.Connection:
    """Return an empty ledger, migrated once by the product itself; each world begins with a copy."""
    kept = sqlite3.connect(":memory:", check_same_thread=False)
    with tempfile.TemporaryDirectory() as folder:
        open_ledger(f"sqlite:///{folder}/ledger.db").dispose()
        with closing(sqlite3.connect(f"{folder}/ledger.db")) as connection:
            connection.backup(kept)
    return kept
