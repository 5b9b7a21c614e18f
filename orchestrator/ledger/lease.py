"""The driver's lease: one row for the whole ledger, inserted by the first migration.

- Acquiring the lease raises the epoch, which fences every earlier driver: its writes are refused from then on.
- The events record it as the states of an entity `driver`: DRIVING, then LEFT or FENCED.
- Every write of the driver extends the lease. `Keeper` extends it while the driver writes nothing, for example while
  Ray starts or a disk syncs.
- An expired lease is taken only in the state in which the caller saw it: if its holder renews in between, it keeps it.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, or_, select
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.ledger.engine import Fence, retrying, transaction
from orchestrator.ledger.journal import Journal
from orchestrator.ledger.liveness import is_surely_alive, is_surely_stopped
from orchestrator.ledger.rows import DriverRow
from orchestrator.ledger.tables import CLOCK_SLACK_S, driver_lease, now_s

DRIVING, LEFT, FENCED = "DRIVING", "LEFT", "FENCED"
"""The states of a driver in the events."""
_ROW = driver_lease.c.id == 1
_GIVEN_BACK = 0.0
_RELEASE_FOR_S = 2.0
"""How long to try to give the lease back. A lease that is not given back expires by itself."""
_RENEWALS = 3
"""Renewals within one time-to-live: two of them may fail before the lease expires."""
_logger = logging.getLogger(__name__)


def acquire(engine: Engine, driver_id: str, *, ttl_s: float, holder: dict[str, Any], dead: str = "",
            ran_out_at: float | None = None) -> Fence | None:
    """Take the lease if it is free, if it has expired, or if its holder is known to be dead.

    Args:
        engine: the ledger.
        driver_id: a fresh id for each process.
        ttl_s: seconds until another driver may take over from this one.
        holder: host and process of this driver, for messages and for `dead`.
        dead: id of a holder on this host whose process no longer exists; its lease need not have expired.
        ran_out_at: the expiry time that the caller saw; a lease renewed since then is not taken. This protects a holder
            whose commit took longer than its time-to-live: its lease has expired, but it is alive. None takes any
            expired lease.

    Returns:
        The fence, or None if another driver is alive.
    """
    def attempt() -> Fence | None:
        with transaction(engine) as connection:
            # FOR UPDATE: the event below names the previous holder, so nobody may change the row between this read and
            # the update.
            before = connection.execute(select(driver_lease.c.driver_id, driver_lease.c.lease_expires_at)
                                        .where(_ROW).with_for_update()).one()
            taken = connection.execute(
                driver_lease.update().where(_ROW, _is_free(driver_id, dead, ran_out_at))
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


def _is_free(driver_id: str, dead: str, ran_out_at: float | None) -> ColumnElement[bool]:
    """Return whether the lease may be taken.

    If it expires later than any renewal could have set it, the clock was set back, and the lease is free.
    """
    lease = driver_lease.c
    is_over = or_(lease.lease_expires_at < now_s(), lease.lease_expires_at > now_s() + lease.ttl_s + CLOCK_SLACK_S)
    if ran_out_at is not None:
        is_over &= lease.lease_expires_at.in_([ran_out_at, _GIVEN_BACK])
    return or_(is_over, lease.driver_id.in_(["", driver_id, dead]))


def renew(engine: Engine, fence: Fence) -> bool:
    """Extend the lease without writing anything else. Return False if another driver took over."""
    mine = (driver_lease.c.epoch == fence.epoch) & (driver_lease.c.driver_id == fence.driver_id)
    with transaction(engine) as connection:
        extended = connection.execute(driver_lease.update().where(mine).values(lease_expires_at=now_s() + fence.ttl_s))
        return bool(extended.rowcount)


class HolderWatch:
    """Watches the holder of the lease, to tell a holder that is late from one that is gone."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: tuple[str, float, float] | None = None

    def is_kept(self, holder: DriverRow) -> bool:
        """Return whether the holder keeps the lease.

        - A process on this host that is running keeps it, even if the lease has expired.
        - A process on this host that is stopped or gone loses it at once.
        - A process on another host loses it if it does not renew within the time in which a renewal is due.
        """
        if holder.is_live or is_surely_alive(holder.holder):
            self._seen = None
            return True
        if holder.expires_at == _GIVEN_BACK or is_surely_stopped(holder.holder):
            return False
        state = (holder.driver_id, holder.expires_at)
        if self._seen is None or self._seen[:2] != state:
            self._seen = (*state, self._clock())
        return self._clock() - self._seen[2] < holder.ttl_s / _RENEWALS


class Keeper:
    """Renews a lease from its own thread as long as the process runs, whatever the main thread waits for.

    A stopped process stops all its threads, and a dead one has none: both lose the lease when it expires.
    """

    def __init__(self, engine: Engine, fence: Fence) -> None:
        self._engine, self._fence = engine, fence
        self._every_s = fence.ttl_s / _RENEWALS
        self._extended_at = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="lease", daemon=True)
        self._thread.start()

    def extended(self) -> None:
        """Note that a write of the driver has just extended the lease, so the next renewal can wait."""
        self._extended_at = time.monotonic()

    def stop(self) -> None:
        """End the thread. The lease is not renewed any more."""
        self._stop.set()
        self._thread.join()

    def _loop(self) -> None:
        while not self._stop.wait(max(0.0, self._extended_at + self._every_s - time.monotonic())):
            if time.monotonic() - self._extended_at < self._every_s:
                continue
            self.extended()
            try:
                is_ours = renew(self._engine, self._fence)
            except SQLAlchemyError as error:  # the main thread meets the same error and decides how long to wait
                _logger.debug("the lease could not be renewed: %s", error)
                continue
            if not is_ours:
                return


def release(engine: Engine, fence: Fence) -> None:
    """Give the lease back if it is still ours, so that the next driver need not wait."""
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
    """Return whether this driver still holds the lease. It is a cheap read, for idle moments."""
    with engine.connect() as connection:
        return connection.execute(select(driver_lease.c.epoch)).scalar() == fence.epoch


def notify(connection: Connection) -> None:
    """Move the counter `bell`, which tells the driver that a person changed something."""
    connection.execute(driver_lease.update().where(_ROW).values(bell=driver_lease.c.bell + 1))
