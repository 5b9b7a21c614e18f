"""The driver's lease: one row for the whole ledger, there from the first migration.

Taking it raises the epoch and thereby fences every older driver.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, Engine, or_, select

from orchestrator.ledger.engine import Fence, retrying, transaction
from orchestrator.ledger.tables import driver_lease, now_s

_ROW = driver_lease.c.id == 1


def acquire(engine: Engine, driver_id: str, *, ttl_s: float, holder: dict[str, Any], dead: str = "") -> Fence | None:
    """Take the lease if it is free, ran out, or its holder is known to be dead.

    Args:
        engine: the ledger.
        driver_id: a fresh name for each process.
        ttl_s: seconds until another may take over from us.
        holder: where we run, for messages and for `dead`.
        dead: id of a holder whose process was seen to be gone on this host; its lease need not run out.

    Returns:
        the fence, or None if another driver lives.
    """
    def attempt() -> Fence | None:
        with transaction(engine) as connection:
            named = driver_lease.c.driver_id.in_(["", driver_id, dead])
            free = or_(driver_lease.c.lease_expires_at < now_s(), named)
            taken = connection.execute(
                driver_lease.update().where(_ROW, free)
                .values(epoch=driver_lease.c.epoch + 1, driver_id=driver_id, holder=json.dumps(holder),
                        lease_expires_at=now_s() + ttl_s)
                .returning(driver_lease.c.epoch)).scalar_one_or_none()
            return None if taken is None else Fence(driver_id, taken, ttl_s)

    return retrying(attempt)


def release(engine: Engine, fence: Fence) -> None:
    """Give the lease back, if it is still ours, so that the next driver need not wait."""
    mine = (driver_lease.c.epoch == fence.epoch) & (driver_lease.c.driver_id == fence.driver_id)
    with transaction(engine) as connection:
        connection.execute(driver_lease.update().where(mine).values(lease_expires_at=0.0))


def is_newest(engine: Engine, fence: Fence) -> bool:
    """Say whether nobody took over; a cheap read for idle moments."""
    with engine.connect() as connection:
        return connection.execute(select(driver_lease.c.epoch)).scalar() == fence.epoch


def ring(connection: Connection) -> None:
    """Tell the driver that a person changed something."""
    connection.execute(driver_lease.update().where(_ROW).values(bell=driver_lease.c.bell + 1))
