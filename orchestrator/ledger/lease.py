"""The driver's lease: one row for the whole ledger, there from the first migration.

- Taking it raises the epoch and thereby fences every older driver.
- Its life is in the events, as that of an entity `driver`: DRIVING, then LEFT or FENCED.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, or_, select

from orchestrator.ledger.engine import Fence, retrying, transaction
from orchestrator.ledger.journal import Journal
from orchestrator.ledger.tables import CLOCK_SLACK_S, driver_lease, now_s

DRIVING, LEFT, FENCED = "DRIVING", "LEFT", "FENCED"
"""What the events say of a driver."""
_ROW = driver_lease.c.id == 1
_GIVEN_BACK = 0.0
_RELEASE_FOR_S = 2.0
"""A lease that cannot be given back runs out by itself."""


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
            # FOR UPDATE: what is read of the holder before us must be what we take the lease from.
            before = connection.execute(select(driver_lease.c.driver_id, driver_lease.c.lease_expires_at)
                                        .where(_ROW).with_for_update()).one()
            taken = connection.execute(
                driver_lease.update().where(_ROW, _is_free(driver_id, dead))
                .values(epoch=driver_lease.c.epoch + 1, driver_id=driver_id, holder=json.dumps(holder),
                        lease_expires_at=now_s() + ttl_s, ttl_s=ttl_s, token="")
                .returning(driver_lease.c.epoch, driver_lease.c.lease_expires_at)).one_or_none()
            if taken is None:
                return None
            record = Journal(connection, now=taken.lease_expires_at - ttl_s, actor=f"driver {driver_id}")
            if before.driver_id not in ("", driver_id) and before.lease_expires_at != _GIVEN_BACK:
                record.event("driver", before.driver_id, DRIVING, FENCED)
            record.event("driver", driver_id, "", DRIVING, detail={"epoch": taken.epoch})
            record.flush()
            return Fence(driver_id, taken.epoch, ttl_s)

    return retrying(attempt)


def _is_free(driver_id: str, dead: str) -> ColumnElement[bool]:
    """Say whether the lease may be taken; one that reaches further ahead than it was meant to is from a clock set back."""
    lease = driver_lease.c
    return or_(lease.lease_expires_at < now_s(), lease.lease_expires_at > now_s() + lease.ttl_s + CLOCK_SLACK_S,
               lease.driver_id.in_(["", driver_id, dead]))


def release(engine: Engine, fence: Fence) -> None:
    """Give the lease back, if it is still ours, so that the next driver need not wait."""
    def attempt() -> None:
        mine = (driver_lease.c.epoch == fence.epoch) & (driver_lease.c.driver_id == fence.driver_id)
        with transaction(engine) as connection:
            given = connection.execute(driver_lease.update().where(mine, driver_lease.c.lease_expires_at != _GIVEN_BACK)
                                       .values(lease_expires_at=_GIVEN_BACK).returning(now_s())).scalar_one_or_none()
            if given is not None:
                record = Journal(connection, now=given, actor=f"driver {fence.driver_id}")
                record.event("driver", fence.driver_id, DRIVING, LEFT)
                record.flush()

    retrying(attempt, for_s=_RELEASE_FOR_S)


def is_newest(engine: Engine, fence: Fence) -> bool:
    """Say whether nobody took over; a cheap read for idle moments."""
    with engine.connect() as connection:
        return connection.execute(select(driver_lease.c.epoch)).scalar() == fence.epoch


def notify(connection: Connection) -> None:
    """Tell the driver that a person changed something."""
    connection.execute(driver_lease.update().where(_ROW).values(bell=driver_lease.c.bell + 1))
