"""The name of a ledger: an id that goes with it wherever its database is moved, backed up or restored.

It is the first event of the entity `ledger`, so it needs no table of its own and is there in ledgers of every schema.
"""

from __future__ import annotations

import uuid

from sqlalchemy import Connection, select

from orchestrator.ledger import tables as t
from orchestrator.ledger.engine import Engine, retrying, transaction
from orchestrator.ledger.insert import database_now
from orchestrator.ledger.journal import Journal

_ENTITY, _NAMED = "ledger", "NAMED"


def ledger_id(engine: Engine) -> str:
    """Return the id of a ledger as 32 hex digits; "" if it has none yet."""
    with engine.connect() as connection:
        return read_id(connection)


def read_id(connection: Connection) -> str:
    """Return the id of a ledger within a transaction; "" if it has none yet."""
    c = t.events.c
    query = select(c.entity_id).where(c.entity == _ENTITY, c.to_state == _NAMED).order_by(c.id).limit(1)
    return connection.execute(query).scalar() or ""


def name_ledger(engine: Engine) -> str:
    """Return the id of a ledger, and give it one if it has none."""
    def attempt() -> str:
        with transaction(engine) as connection:
            # FOR UPDATE: of two processes that name it at once, the second finds the name of the first.
            connection.execute(select(t.driver_lease.c.id).with_for_update()).one()
            known = read_id(connection)
            if not known:
                record = Journal(connection, now=database_now(connection), actor="ablate")
                record.event(_ENTITY, uuid.uuid4().hex, "", _NAMED)
                record.flush()
            return known or read_id(connection)

    return ledger_id(engine) or retrying(attempt)
