"""The driver's lease: one row for the whole ledger, there from the first migration.

- Taking it raises the epoch and thereby fences every older driver.
- Its life is in the events, as that of an entity `driver`: DRIVING, then LEFT or FENCED.
- Every write of the driver extends it, and `Keeper` does where no write comes: while Ray starts, or a disk syncs.
- One that ran out is taken only as it was seen: a holder that renews between look and leap keeps it.
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
"""What the events say of a driver."""
_ROW = driver_lease.c.id == 1
_GIVEN_BACK = 0.0
_RELEASE_FOR_S = 2.0
"""A lease that cannot be given back runs out by itself."""
_RENEWALS = 3
"""Renewals in a time-to-live: two may fail before it runs out."""
_logger = logging.getLogger(__name__)


def acquire(engine: Engine, driver_id: str, *, ttl_s: float, holder: dict[str, Any], dead: str = "",
            ran_out_at: float | None = None) -> Fence | None:
    """Take the lease if it is free, ran out, or its holder is known to be dead.

    Args:
        engine: the ledger.
        driver_id: a fresh name for each process.
        ttl_s: seconds until another may take over from us.
        holder: where we run, for messages and for `dead`.
        dead: id of a holder whose process was seen to be gone on this host; its lease need not run out.
        ran_out_at: when the lease ran out that the caller saw: one renewed since is left alone. A commit that took longer
            than the time-to-live leaves a lease that has run out, and its holder alive. None takes any that ran out.

    Returns:
        the fence, or None if another driver lives.
    """
    def attempt() -> Fence | None:
        with transaction(engine) as connection:
            # FOR UPDATE: what is read of the holder before us must be what we take the lease from.
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
    """Say whether the lease may be taken; one that reaches further ahead than it was meant to is from a clock set back."""
    lease = driver_lease.c
    is_over = or_(lease.lease_expires_at < now_s(), lease.lease_expires_at > now_s() + lease.ttl_s + CLOCK_SLACK_S)
    if ran_out_at is not None:
        is_over &= lease.lease_expires_at.in_([ran_out_at, _GIVEN_BACK])
    return or_(is_over, lease.driver_id.in_(["", driver_id, dead]))


def renew(engine: Engine, fence: Fence) -> bool:
    """Extend the lease and write nothing else; False if another driver took over."""
    mine = (driver_lease.c.epoch == fence.epoch) & (driver_lease.c.driver_id == fence.driver_id)
    with transaction(engine) as connection:
        extended = connection.execute(driver_lease.update().where(mine).values(lease_expires_at=now_s() + fence.ttl_s))
        return bool(extended.rowcount)


class HolderWatch:
    """What a process that wants the lease has seen of its holder: enough to tell one that is late from one that is gone."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin having seen nothing."""
        self._clock = clock
        self._seen: tuple[str, float, float] | None = None

    def is_kept(self, holder: DriverRow) -> bool:
        """Say whether the holder is to be left alone.

        A process that is seen to be at work here keeps its lease even when it ran out. One that is seen to be stopped
        or gone loses it at once, and of one on another host the lease must go without renewal for the time that a
        renewal takes.
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
    """Renews a lease from a thread of its own for as long as the process is at work, whatever its main thread waits for.

    A stopped process stops all its threads, a dead one has none: both lose the lease when it runs out.
    """

    def __init__(self, engine: Engine, fence: Fence) -> None:
        """Begin to renew."""
        self._engine, self._fence = engine, fence
        self._every_s = fence.ttl_s / _RENEWALS
        self._extended_at = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="lease", daemon=True)
        self._thread.start()

    def extended(self) -> None:
        """Note that a write of the driver has just extended the lease: nothing is to be done for a while."""
        self._extended_at = time.monotonic()

    def stop(self) -> None:
        """End the thread; the lease is not renewed any more."""
        self._stop.set()
        self._thread.join()

    def _loop(self) -> None:
        while not self._stop.wait(max(0.0, self._extended_at + self._every_s - time.monotonic())):
            if time.monotonic() - self._extended_at < self._every_s:
                continue
            self.extended()
            try:
                is_ours = renew(self._engine, self._fence)
            except SQLAlchemyError as error:  # the main thread hears of it too, and knows how long to wait
                _logger.debug("the lease could not be renewed: %s", error)
                continue
            if not is_ours:
                return


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
