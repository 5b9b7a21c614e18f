"""Open a ledger (SQLite in WAL mode, or PostgreSQL), and run transactions on it.

- `transaction` begins, commits and rolls back writes. On SQLite it takes the write lock at BEGIN: in WAL mode a
  transaction that has read and then writes is refused at once if another process wrote in between, whatever the
  timeout.
- `fenced` is a transaction whose first statement proves and extends the driver's lease. That UPDATE locks the lease's
  row, so a take-over waits until this transaction ends and never sees half of its writes.
- `retrying` repeats a whole transaction function after serialization failures, lock time-outs and lost connections. If
  the reply to a COMMIT is lost, nobody knows whether it took effect. Such functions are therefore idempotent: their
  keys are made by the client, or they look whether their token was stored.
- `open_for_reading` creates and changes nothing, so it also works in a folder that is read-only.
- Only `open_ledger` creates a ledger, and only `upgrade` changes the schema of one that exists.
- Errors that may pass by themselves (the server restarts, the disk is full) are raised as `LedgerAway`. Nothing is lost
  then, and the caller may wait.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Double,
    bindparam,
    create_engine,
    event,
    make_url,
    select,
)
from sqlalchemy import Engine as Engine
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool, StaticPool
from sqlalchemy.sql.dml import ReturningUpdate

from orchestrator.errors import LedgerAway, LostLease, NotAllowed, OrchestratorError
from orchestrator.ledger import schema
from orchestrator.ledger.tables import driver_lease, metadata, now_s
from orchestrator.settings import sqlite_file

RETRY_FOR_S = 30.0
_PASSING = frozenset({
    "40001", "40P01", "55P03",  # serialization, deadlock, lock not available
    "57P01", "57P02", "57P03", "08000", "08001", "08003", "08004", "08006", "08007",  # the server goes, comes, or was cut off
    "53100", "53200", "53300",  # disk full, memory, connections
})
_REFUSED = frozenset({"42501", "25006"})
"""No privilege; a write in a transaction that only reads."""
_PASSING_SQLITE = ("database is locked", "database or disk is full", "disk I/O error", "unable to open database file")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FencedTransaction:
    """An open transaction of the driver, with what its first statement read."""

    connection: Connection
    now: float
    """The database's clock at the start of the transaction, in seconds since the epoch."""
    bell: int
    """A counter that moves whenever a person changes something."""


@dataclass(frozen=True, slots=True)
class Fence:
    """The proof that a driver holds the lease: valid as long as its epoch is the newest of the ledger."""

    driver_id: str
    epoch: int
    ttl_s: float


def open_ledger(url: str) -> Engine:
    """Open a ledger for reading and writing; an empty one is made if there is none.

    Raises:
        OrchestratorError: it cannot be opened: where (without password), and the database's own reason; or its schema is
            not the one of this release.
    """
    return _opened(url, lambda: _created(_open_writable(url)))


def open_existing(url: str) -> Engine:
    """Open a ledger for reading and writing, and make none.

    Raises:
        OrchestratorError: as for `open_ledger`; or there is no ledger.
    """
    return _opened(url, lambda: _checked(_open_writable(url), url), must_exist=True)


def open_for_reading(url: str) -> Engine:
    """Open a ledger that will only be read. If there is none, return an empty one in memory.

    Raises:
        OrchestratorError: it cannot be opened: where (without password), and the database's own reason; or its schema is
            not the one of this release, as `ablate ledger upgrade` makes it.
    """
    return _opened(url, lambda: _open_for_reading(url))


def open_any_schema(url: str) -> Engine:
    """Open a ledger for reading whatever its schema is: for a backup.

    Raises:
        OrchestratorError: it cannot be opened, or there is none.
    """
    return _opened(url, lambda: _open_quietly(url), must_exist=True)


def upgrade(url: str) -> tuple[str, str]:
    """Bring the schema of a ledger up to date; one that is stays as it is.

    Returns:
        the revision that it had, and the one that it has.

    Raises:
        OrchestratorError: there is no ledger, it is of a newer release, or a driver works on it.
    """
    return _opened(url, lambda: _upgraded(_open_writable(url), url), must_exist=True)


def _opened(url: str, opening: Callable[[], T], *, must_exist: bool = False) -> T:
    try:
        _refuse_engine(url)
        if must_exist and not has_ledger(url):
            raise _no_ledger(url)
        return opening()
    except (SQLAlchemyError, OSError) as error:
        raise _not_opened(url, error) from error


def _open_for_reading(url: str) -> Engine:
    if not has_ledger(url):
        return _empty()
    engine = _open_read_only(url)
    with engine.connect() as connection:
        found = schema.revision(connection)
        if found is not None:
            schema.refuse_other(connection, found)
    return engine if found else _empty()


def _open_read_only(url: str) -> Engine:
    file = sqlite_file(url)
    # How long a statement may take is left to the role: that of a reader has five seconds.
    return _open_sqlite_for_reading(file) if file else _open_postgresql(url, "-c default_transaction_read_only=on")


def _open_quietly(url: str) -> Engine:
    """Open a ledger that is read for a while: a file as its writers do, since one may begin meanwhile."""
    return _open_read_only(url) if sqlite_file(url) is None else _open_writable(url)


def _no_ledger(url: str) -> OrchestratorError:
    return OrchestratorError(f"no ledger at {_shown(url)}\n"
                             "hint: `ablate run` makes one; ABLATE_HOME and ABLATE_LEDGER_URL say where")


def _not_opened(url: str, error: Exception) -> OrchestratorError:
    reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    return OrchestratorError(f"ledger {_shown(url)}: cannot be opened: {reason}\n"
                             "hint: see ABLATE_HOME and ABLATE_LEDGER_URL; `ablate doctor` checks them")


def _empty() -> Engine:
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    metadata.create_all(engine)
    return engine


def has_ledger(url: str) -> bool:
    """Return whether there is a ledger at this URL. A database server is assumed to have one."""
    parsed = make_url(url)
    return parsed.get_backend_name() != "sqlite" or Path(parsed.database or "").is_file()


def is_ledger(engine: Engine) -> bool:
    """Say whether an engine from `open_for_reading` reads a ledger, not the empty one that stands for none."""
    return engine.url.database is not None


def _shown(url: str) -> str:
    try:
        return make_url(url).render_as_string(hide_password=True)
    except SQLAlchemyError:
        return "(unreadable URL)"


def _refuse_engine(url: str) -> None:
    parsed = make_url(url)
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise OrchestratorError(f"ledger {parsed.render_as_string()}: engine {parsed.get_backend_name()!r}; allowed: "
                                "sqlite, postgresql\nhint: ABLATE_LEDGER_URL=postgresql://user@host/database")


def _open_writable(url: str) -> Engine:
    parsed = make_url(url)
    return _open_sqlite(url, parsed.database) if parsed.get_backend_name() == "sqlite" else _open_postgresql(url)


def _created(engine: Engine) -> Engine:
    """Make the tables if there are none, and return the engine."""
    with engine.connect() as connection:
        found = schema.revision(connection)
        if found is not None:
            schema.refuse_other(connection, found)
            return engine
    with transaction(engine) as connection:
        schema.lock(connection)  # two processes that open an empty ledger at once
        if schema.revision(connection) is None:
            schema.bring_to(connection)
    return engine


def _checked(engine: Engine, url: str) -> Engine:
    """Return the engine of a ledger that is there and up to date."""
    with engine.connect() as connection:
        found = schema.revision(connection)
        if found is None:
            raise _no_ledger(url)
        schema.refuse_other(connection, found)
    return engine


def _upgraded(engine: Engine, url: str) -> tuple[str, str]:
    with transaction(engine) as connection:
        schema.lock(connection)
        found = schema.revision(connection)
        if found is None:
            raise _no_ledger(url)
        if found > schema.HEAD:
            schema.refuse_other(connection, found)
        if found < schema.HEAD:
            schema.refuse_below_a_driver(connection, found)
            schema.bring_to(connection)
    engine.dispose()
    return found, schema.HEAD


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """Commit all that the block writes, or nothing of it if the block raises."""
    with engine.connect() as connection:
        connection = connection.execution_options(ledger_write=True)
        with connection.begin():
            yield connection


@contextmanager
def fenced(engine: Engine, fence: Fence, token: str = "") -> Iterator[FencedTransaction]:
    """Open a transaction that commits only while the fence is the newest; also extends the driver's lease.

    Args:
        engine: the ledger.
        fence: the driver's.
        token: a fresh name of this transaction, for `was_committed`.

    Raises:
        LostLease: another driver took over; nothing was written.
    """
    with transaction(engine) as connection:
        row = connection.execute(_extending(), {"fence_epoch": fence.epoch, "fence_driver": fence.driver_id, "fence_ttl_s": fence.ttl_s,
                                                "fence_token": token}).one_or_none()
        if row is None:
            raise LostLease(f"driver {fence.driver_id} of epoch {fence.epoch} was replaced by a newer one; it stops")
        yield FencedTransaction(connection, row.lease_expires_at - fence.ttl_s, row.bell)


def was_committed(engine: Engine, fence: Fence, token: str) -> bool:
    """Return whether the fenced transaction with this token took effect.

    Only the driver's last one can be asked for.
    """
    with engine.connect() as connection:
        held = {"fence_epoch": fence.epoch, "fence_driver": fence.driver_id}
        return connection.execute(select(driver_lease.c.token).where(_is_held()), held).scalar() == token


def _is_held() -> ColumnElement[bool]:
    return (driver_lease.c.epoch == bindparam("fence_epoch")) & (driver_lease.c.driver_id == bindparam("fence_driver"))


@cache
def _extending() -> ReturningUpdate[Any]:
    ttl_s = bindparam("fence_ttl_s", type_=Double)
    return (driver_lease.update().where(_is_held())
            .values(lease_expires_at=now_s() + ttl_s, ttl_s=ttl_s, token=bindparam("fence_token"))
            .returning(driver_lease.c.lease_expires_at, driver_lease.c.bell))


def retrying(function: Callable[[], T], *, for_s: float = RETRY_FOR_S) -> T:
    """Call an idempotent function that runs one whole transaction, until it succeeds.

    Raises:
        LedgerAway: it did not succeed within `for_s` seconds, for a reason that may pass by itself.
    """
    deadline = time.monotonic() + for_s
    for attempt in range(1, 1000):
        with reachable():
            try:
                return function()
            except DBAPIError as error:
                if not is_passing(error) or time.monotonic() > deadline:
                    raise
        # A random wait separates writers that collided. Nothing that is stored depends on it.
        time.sleep(min(1.0, 0.01 * 2 ** min(attempt, 7)) * random.random())  # noqa: S311
    raise LedgerAway("the ledger refused 999 attempts of one transaction")


@contextmanager
def reachable() -> Iterator[None]:
    """Raise `LedgerAway` for a database error that may pass by itself; raise every other error unchanged.

    Raises:
        LedgerAway: the database cannot be reached; the message has its own reason.
        NotAllowed: the role of the URL lacks the right.
    """
    try:
        yield
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) in _REFUSED:
            reason = str(error.orig).strip().splitlines()[0]
            raise NotAllowed(f"the role of ABLATE_LEDGER_URL may not do this: {reason}\n"
                             "hint: the ledger's owner changes what a role may do: ablate ledger role") from error
        if not is_passing(error):
            raise
        reason = (str(error.orig).strip().splitlines() or [type(error.orig).__name__])[0]
        raise LedgerAway(f"the ledger does not answer: {reason}\nhint: what was finished is safe; try again") from error


def is_passing(error: DBAPIError) -> bool:
    """Return whether a database error may pass by itself."""
    if error.connection_invalidated:
        return True
    if not isinstance(error, OperationalError):
        return False
    if isinstance(error.orig, sqlite3.Error):
        return str(error.orig).startswith(_PASSING_SQLITE)
    code = getattr(error.orig, "sqlstate", None)
    return code is None or code in _PASSING  # None: no server answered


def _open_sqlite(url: str, database: str | None) -> Engine:
    if database and database != ":memory:":
        Path(database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url)

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # pysqlite would send BEGIN only before the first write, and never IMMEDIATE
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000", "foreign_keys=ON"):
            connection.execute("PRAGMA " + pragma)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("ledger_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _open_sqlite_for_reading(file: Path) -> Engine:
    def connect() -> sqlite3.Connection:
        # Without a WAL file beside the database nobody writes at present. Reading must then not create one, which would
        # fail in a read-only folder: `immutable` opens the file without it.
        mode = "mode=ro" if Path(f"{file}-wal").exists() else "immutable=1"
        connection = sqlite3.connect(
            f"file:{quote(str(file))}?{mode}", uri=True, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA busy_timeout=10000")
        return connection

    # NullPool: every connection looks again whether there is a WAL file.
    engine = create_engine(URL.create("sqlite", database=str(file)), creator=connect, poolclass=NullPool)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def _open_postgresql(url: str, own: str = "-c statement_timeout=60000") -> Engine:
    options = f"-c idle_in_transaction_session_timeout=60000 {own}"
    connect = {"application_name": "ablate", "options": options, "connect_timeout": 10, "keepalives_idle": 30}
    return create_engine(url, pool_pre_ping=True, connect_args=connect)
