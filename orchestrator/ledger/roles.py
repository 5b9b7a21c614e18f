"""Who may do what in a ledger on PostgreSQL: three sets of rights, and roles with a password that have one of them.

- `read` sees everything and changes nothing; a statement of it ends after five seconds.
- `submit` is for people, and for the buttons of the dashboard: it enters studies and moves them (pause, resume, cancel,
  share). It cannot write an attempt, a score or an artifact, nor take the driver's lease.
- `drive` is for drivers, and for whoever imports records or rebuilds MLflow.
- The owner of the database makes all of them, and alone changes the schema.

The name of a role is the actor in the events that it causes. SQLite has no roles: whoever opens the file may do all.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import psycopg
from psycopg.sql import SQL, Composed, Identifier, Literal
from sqlalchemy import make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from orchestrator.errors import OrchestratorError
from orchestrator.ledger import tables as t
from orchestrator.ledger.engine import open_ledger

STATEMENT_S = 5
"""Seconds after which a statement of a reader is ended."""
_LOCK = 7346
_ENTERED = (t.studies, t.arms, t.trials, t.stages, t.stage_parents, t.trial_stages, t.events, t.tracking_outbox)
_MOVED = (t.studies, t.trials, t.stages)


class May(StrEnum):
    """What a role may do."""

    READ = "read"
    SUBMIT = "submit"
    DRIVE = "drive"

    @property
    def group(self) -> str:
        """The role without login that has these rights."""
        return f"ablate_may_{self.value}"


@dataclass(frozen=True, slots=True)
class Login:
    """A role with its password."""

    name: str
    password: str

    @classmethod
    def of(cls, url: str) -> Login:
        """Return whom a ledger's URL names.

        Raises:
            OrchestratorError: it names no role or no password.
        """
        try:
            parsed = make_url(url)
        except ArgumentError as error:
            raise OrchestratorError(
                "the URL of the role cannot be read\nhint: postgresql://ROLE:PASSWORD@HOST/DATABASE"
            ) from error
        if not parsed.username or not parsed.password:
            raise OrchestratorError(
                "the URL of a role must hold its name and its password\nhint: postgresql://ROLE:PASSWORD@HOST/DATABASE"
            )
        return cls(parsed.username, str(parsed.password))


def fresh(name: str) -> Login:
    """Return a role with a password that nobody knows yet."""
    return Login(name, secrets.token_hex(24))


def url_of(owner_url: str, login: Login) -> str:
    """Return the URL by which a role opens the ledger."""
    url = make_url(owner_url).set(username=login.name, password=login.password)
    return url.render_as_string(hide_password=False)


def let_in(owner_url: str, login: Login, may: May) -> None:
    """Make a role, or give one that is there another password and other rights. The ledger is made if there is none.

    Args:
        owner_url: of the ledger, as its owner.
        login: the role.
        may: what it may do, instead of whatever it could before.

    Raises:
        OrchestratorError: the ledger is no PostgreSQL, the URL is not its owner's, or its schema is of another release.
    """
    url = make_url(owner_url)
    if url.get_backend_name() != "postgresql":
        raise OrchestratorError(
            "a ledger in a file has no roles: whoever may open the file may do everything\n"
            "hint: ABLATE_LEDGER_URL=postgresql://OWNER:PASSWORD@HOST/DATABASE"
        )
    if url.username == login.name:
        raise OrchestratorError(f"{login.name} is the owner itself, who may do everything")
    open_ledger(owner_url).dispose()
    try:
        with psycopg.connect(_conninfo(url)) as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            for each in (*_groups(connection), *_rights(url), *_entry(connection, login, may)):
                connection.execute(each)
    except psycopg.Error as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise OrchestratorError(
            f"the role {login.name} could not be made: {reason}\n"
            "hint: ABLATE_LEDGER_URL must be that of the database's owner, who may create roles"
        ) from error


def create_database(owner_url: str) -> None:
    """Create the database of a URL, unless it is there."""
    url = make_url(owner_url)
    with psycopg.connect(_conninfo(url.set(database="postgres")), autocommit=True) as connection:
        name = str(url.database)
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
            connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))


def _conninfo(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def _exists(connection: psycopg.Connection[tuple[object, ...]], role: str) -> bool:
    return connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone() is not None


def _groups(connection: psycopg.Connection[tuple[object, ...]]) -> Iterator[SQL | Composed]:
    return (
        SQL("CREATE ROLE {} NOLOGIN").format(Identifier(may.group))
        for may in May
        if not _exists(connection, may.group)
    )


def _rights(url: URL) -> Iterator[SQL | Composed]:
    """Yield what the three groups may do, also in tables that a later release adds."""
    read, submit, drive = (Identifier(may.group) for may in May)
    yield SQL("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    yield SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(Identifier(str(url.database)))
    yield SQL("GRANT CONNECT ON DATABASE {} TO {}, {}, {}").format(Identifier(str(url.database)), read, submit, drive)
    for what, groups in (("SELECT", (read, submit, drive)), ("INSERT, UPDATE, DELETE", (drive,))):
        given, to = SQL(what), SQL(", ").join(groups)
        yield SQL("GRANT {} ON ALL TABLES IN SCHEMA public TO {}").format(given, to)
        yield SQL("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT {} ON TABLES TO {}").format(given, to)
    yield SQL("REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM {}").format(drive)
    yield SQL("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {}, {}").format(submit, drive)
    yield SQL("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO {}, {}").format(submit, drive)
    for right, tables in (("INSERT", _ENTERED), ("UPDATE", _MOVED)):
        names = SQL(", ").join(Identifier(table.name) for table in tables)
        yield SQL("GRANT {} ON {} TO {}").format(SQL(right), names, submit)
    yield SQL("GRANT UPDATE (bell) ON driver_lease TO {}").format(submit)


def _entry(connection: psycopg.Connection[tuple[object, ...]], login: Login, may: May) -> Iterator[SQL | Composed]:
    name = Identifier(login.name)
    # Hashed here, so that no log of the server holds the password.
    hashed = connection.pgconn.encrypt_password(
        login.password.encode(), login.name.encode(), b"scram-sha-256"
    ).decode()
    verb = "ALTER" if _exists(connection, login.name) else "CREATE"
    yield SQL("{} ROLE {} LOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {}").format(
        SQL(verb), name, Literal(hashed)
    )
    for each in May:
        yield SQL("GRANT {} TO {}" if each is may else "REVOKE {} FROM {}").format(Identifier(each.group), name)
    if may is May.READ:
        yield SQL("ALTER ROLE {} SET default_transaction_read_only = on").format(name)
        yield SQL("ALTER ROLE {} SET statement_timeout = {}").format(name, Literal(f"{STATEMENT_S}s"))
    else:
        yield SQL("ALTER ROLE {} RESET ALL").format(name)
