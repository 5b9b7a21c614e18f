"""Write a whole ledger into one file, and make a ledger from such a file; the same for SQLite and PostgreSQL.

- All tables are read in one transaction, so a backup is the ledger at one moment, also while a driver works on it.
- The file is a zip: `tables/NAME.jsonl` with a row a line, `artifacts.jsonl` with what lay in the store, and `backup.json`
  last. It holds the rows of the schema that the ledger has: an older ledger is saved before its upgrade, and restored as
  it was, then upgraded.
- A file of one engine is restored into the other just as well.
- A restore is one transaction into an empty ledger: it is there as a whole, or not at all.
"""

from __future__ import annotations

import json
import os
import uuid
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, MetaData, Table, func, select, text

from orchestrator.errors import OrchestratorError
from orchestrator.ledger import schema
from orchestrator.ledger import tables as t
from orchestrator.ledger.engine import Engine, open_any_schema, transaction
from orchestrator.ledger.engine import upgrade as bring_up_to_date
from orchestrator.ledger.insert import database_now
from orchestrator.ledger.journal import Journal
from orchestrator.ledger.naming import read_id

FORMAT = 1
RESTORE = "restore"
"""The actor of what a restore changes."""
_HEAD_FILE, _ARTIFACTS = "backup.json", "artifacts.jsonl"
_VERSION_TABLE = "alembic_version"
_ROWS = 500
"""Rows of one INSERT."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """The content of `backup.json`."""

    format: int
    schema: str
    ledger_id: str
    """"" if the ledger had no id yet."""
    made_at: str
    """In UTC, by the clock of the machine that wrote the file."""
    tables: dict[str, int]
    """Table -> number of rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredArtifact:
    """The published directory of a finished stage, as the store held it when the backup was made."""

    stage_id: str
    name: str
    num_files: int
    """0 if the store did not have it."""
    num_bytes: int


def back_up(url: str, file: Path, artifacts: Iterable[StoredArtifact] = ()) -> Backup:
    """Write the ledger at a URL into a file, which appears when it is complete.

    Args:
        url: of the ledger; its schema may be an older one.
        file: to write; one that is there is replaced.
        artifacts: what is in the store.

    Raises:
        OrchestratorError: there is no ledger, it cannot be read, or the file cannot be written.
    """
    engine = open_any_schema(url)
    temporary = file.parent / f".{file.name}.tmp-{uuid.uuid4().hex}"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with engine.connect() as connection, zipfile.ZipFile(temporary, "x", zipfile.ZIP_DEFLATED) as archive:
            found = _dump(_at_one_moment(connection), archive)
            _write_lines(archive, _ARTIFACTS, (asdict(each) for each in artifacts))
            archive.writestr(_HEAD_FILE, json.dumps(asdict(found), indent=1))
        _sync(temporary)
        temporary.replace(file)
        _sync(file.parent)
    except OSError as error:
        raise OrchestratorError(f"{file}: the backup cannot be written: {error.strerror or error}") from error
    finally:
        engine.dispose()
        temporary.unlink(missing_ok=True)
    return found


def _at_one_moment(connection: Connection) -> Connection:
    """Let all statements see the same moment; SQLite's transactions do by themselves."""
    is_server = connection.dialect.name == "postgresql"
    return connection.execution_options(isolation_level="REPEATABLE READ") if is_server else connection


def _dump(connection: Connection, archive: zipfile.ZipFile) -> Backup:
    found = schema.revision(connection)
    if found is None:
        raise OrchestratorError(f"no ledger at {connection.engine.url.render_as_string()}: nothing to back up")
    counts = {table.name: _write_lines(archive, f"tables/{table.name}.jsonl", _rows_of(connection, table))
              for table in _tables(connection)}
    made_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Backup(format=FORMAT, schema=found, ledger_id=read_id(connection), made_at=made_at, tables=counts)


def _tables(connection: Connection) -> list[Table]:
    """Return the tables that the database has, those first that others refer to."""
    metadata = MetaData()
    metadata.reflect(connection)
    return [table for table in metadata.sorted_tables if table.name != _VERSION_TABLE]


def _rows_of(connection: Connection, table: Table) -> Iterator[dict[str, Any]]:
    query = select(table).order_by(*table.primary_key.columns)
    return (dict(row._mapping) for row in connection.execution_options(yield_per=_ROWS).execute(query))


def _write_lines(archive: zipfile.ZipFile, name: str, lines: Iterable[Mapping[str, Any]]) -> int:
    number = 0
    with archive.open(name, "w", force_zip64=True) as out:
        for each in lines:
            out.write(json.dumps(each, separators=(",", ":")).encode() + b"\n")
            number += 1
    return number


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def upgrade(url: str, folder: Path, file: Path | None = None) -> tuple[str, str, Path | None]:
    """Save a ledger of an older release as it is, then bring it up to date.

    Args:
        url: of the ledger.
        folder: where the backup goes, under a name with schema and time.
        file: where it goes instead.

    Returns:
        the schema that it had, the one that it has, and the backup; None if there was nothing to do.

    Raises:
        OrchestratorError: there is no ledger, it is of a newer release, or a driver works on it.
    """
    engine = open_any_schema(url)
    with engine.connect() as connection:
        found = schema.revision(connection) or ""
        if "" < found < schema.HEAD:
            schema.refuse_below_a_driver(connection, found)
    engine.dispose()
    if not "" < found < schema.HEAD:
        return (*bring_up_to_date(url), None)
    made_at = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    file = file or folder / f"ledger-{found}-{made_at}.zip"
    back_up(url, file)
    return (*bring_up_to_date(url), file)


# ---- from the file -------------------------------------------------------------------------------------------------


def read_backup(file: Path) -> Backup:
    """Return a description of what a backup contains.

    Raises:
        OrchestratorError: it is none, it is damaged, or a newer release wrote it.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            damaged = archive.testzip()
            found = Backup(**json.loads(archive.read(_HEAD_FILE)))
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
        raise OrchestratorError(f"{file}: is no backup of a ledger: {error}\nhint: `ablate backup FILE` writes one") from error
    if damaged is not None:
        raise OrchestratorError(f"{file}: is damaged: {damaged} does not match its checksum")
    if found.format != FORMAT or found.schema > schema.HEAD:
        raise OrchestratorError(f"{file}: was written by a newer release (format {found.format}, schema {found.schema}); "
                                f"this one reads format {FORMAT}, schemas up to {schema.HEAD}\nhint: upgrade ablate")
    return found


def stored_artifacts(file: Path) -> list[StoredArtifact]:
    """Return the artifacts that the store held when a backup was made."""
    with zipfile.ZipFile(file) as archive:
        return [StoredArtifact(**each) for each in _lines(archive, _ARTIFACTS)]


def restore(engine: Engine, file: Path) -> Backup:
    """Fill an empty ledger from a backup, and bring it up to the schema of this release.

    The lease that a driver held at the time of the backup is released, so that the next driver can begin at once.

    Args:
        engine: a ledger without any study.
        file: the backup.

    Raises:
        OrchestratorError: it is no whole backup, or the ledger holds studies; then nothing is changed.
    """
    found = read_backup(file)
    with transaction(engine) as connection, zipfile.ZipFile(file) as archive:
        schema.lock(connection)
        _refuse_filled(connection)
        schema.take_back(connection)
        schema.bring_to(connection, found.schema)
        for table in _tables(connection):
            connection.execute(table.delete())
            _insert(connection, table, _lines(archive, f"tables/{table.name}.jsonl"))
        _count_on(connection)  # migrations may add events
        schema.bring_to(connection)
        _begin_anew(connection, found)
    return found


def _refuse_filled(connection: Connection) -> None:
    number = connection.execute(select(func.count()).select_from(t.studies)).scalar_one()
    if number:
        where = connection.engine.url.render_as_string()
        raise OrchestratorError(f"the ledger {where} holds {number} studies; a backup is restored into an empty one\n"
                                "hint: move that ledger away, or name another place by ABLATE_HOME or ABLATE_LEDGER_URL")
    schema.refuse_below_a_driver(connection, schema.HEAD)


def _lines(archive: zipfile.ZipFile, name: str) -> Iterator[dict[str, Any]]:
    with archive.open(name) as lines:
        yield from (json.loads(line) for line in lines)


def _insert(connection: Connection, table: Table, rows: Iterator[dict[str, Any]]) -> None:
    some: list[dict[str, Any]] = []
    for row in rows:
        some.append(row)
        if len(some) == _ROWS:
            connection.execute(table.insert(), some)
            some = []
    if some:
        connection.execute(table.insert(), some)


def _count_on(connection: Connection) -> None:
    """Let a server give the next row the number after the last."""
    if connection.dialect.name == "postgresql":
        for table in (t.events, t.tracking_outbox):
            highest = connection.execute(select(func.max(table.c.id))).scalar()
            connection.execute(text("SELECT setval(pg_get_serial_sequence(:table, 'id'), :highest, :is_used)"),
                               {"table": table.name, "highest": highest or 1, "is_used": highest is not None})


def _begin_anew(connection: Connection, found: Backup) -> None:
    """Free the lease, and note what was done."""
    connection.execute(t.driver_lease.update().values(lease_expires_at=0.0, driver_id="", holder="{}"))
    record = Journal(connection, now=database_now(connection), actor=RESTORE)
    record.event("ledger", found.ledger_id, "", "RESTORED", detail={"made_at": found.made_at, "schema": found.schema})
    record.flush()
