"""The driver: takes the ledger's one lease, decides by `decide`, performs it, waits; the short loop.

- What a round is lies in `holder.py`; here it goes round, until a study is over or somebody asks to leave.
- It waits on executor events, with a timeout: no busy loop. The executor is made when the first stage needs it.
- SIGTERM, SIGINT and SIGHUP ask running attempts to save, then leave; what is lost by a harder end is one checkpoint
  interval. After a hang-up there is no terminal to write to any more; whoever ignores it (nohup) goes on.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from orchestrator.driver.driver import Driver, DriverView, Exit
from orchestrator.driver.in_flight import MakeExecutor
from orchestrator.errors import LedgerAway, LostLease
from orchestrator.execution.ray.executor import RayExecutor
from orchestrator.failpoints import arm
from orchestrator.ledger.engine import open_ledger, reachable
from orchestrator.settings import Settings
from orchestrator.tracking.flusher_process import FlusherProcess

__all__ = ["Driver", "DriverView", "Exit", "drive"]

FLUSH_S = 20.0
"""Longest wait for tracking at the end; what is left waits in the outbox."""
_logger = logging.getLogger(__name__)


def drive(settings: Settings, *, until: str | None = None, on_tick: Callable[[DriverView], None] | None = None,
          executor: MakeExecutor | None = None) -> Exit:
    """Serve all studies of the ledger until one of them is over, for ever if none is named.

    While another driver holds the lease this one watches, and takes over when that one is gone.

    Args:
        settings: of the operator.
        until: id of the study to wait for.
        on_tick: called about twice a second, from this thread.
        executor: makes the executor when the first stage needs it; None is Ray.
    """
    arm(settings.failpoint)
    engine = open_ledger(settings.ledger_url)
    driver = Driver(engine, settings, executor or RayExecutor)
    tracking = FlusherProcess(settings, engine)
    with _signals(driver.ask_to_stop) as restore:
        try:
            return _loop(driver, tracking, until, on_tick, restore)
        except LostLease as error:
            _logger.warning("%s", error)
            return Exit.FENCED
        finally:
            driver.close()
            if driver.was_driver:
                with suppress(LedgerAway), reachable():
                    tracking.flush_all(FLUSH_S)
                tracking.stop()
            engine.dispose()


def _loop(driver: Driver, tracking: FlusherProcess, until: str | None, on_tick: Callable[[DriverView], None] | None,
          restore: Callable[[], None]) -> Exit:
    while True:
        try:
            with reachable():
                ended = _round(driver, tracking, until, on_tick)
        except LedgerAway as error:
            driver.wait_for_ledger(error)
            ended = None
            with suppress(LedgerAway), reachable():  # who watches hears of the trouble, though there is nothing to read
                _show(driver, on_tick)
        restore()  # Ray sets its own handlers when it starts
        if ended is not None:
            return ended


def _round(
    driver: Driver, tracking: FlusherProcess, until: str | None, on_tick: Callable[[DriverView], None] | None
) -> Exit | None:
    driver.acquire()
    if driver.was_driver:
        tracking.keep_alive()
    driver.one_round()
    _show(driver, on_tick)
    reached = driver.exit_of(until)
    if reached is not None:
        driver.drain()
    return (reached or Exit.STOPPED) if driver.is_drained else None


def _show(driver: Driver, on_tick: Callable[[DriverView], None] | None) -> None:
    if on_tick is not None:
        on_tick(driver.view())


@contextmanager
def _signals(ask: Callable[[], None]) -> Iterator[Callable[[], None]]:
    """Let SIGTERM, SIGINT and SIGHUP ask the driver to leave; yields what puts the handlers back after others replaced them."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return

    terminals = [number for number in (1, 2) if os.isatty(number)]

    def handler(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            _write_nowhere(terminals)
        ask()

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    if before[signal.SIGHUP] is signal.SIG_IGN:
        del before[signal.SIGHUP]

    def restore() -> None:
        for number in before:
            if signal.getsignal(number) is not handler:
                signal.signal(number, handler)

    restore()
    try:
        yield restore
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def _write_nowhere(descriptors: Sequence[int]) -> None:
    """Send what is still written to these into the void: a terminal that hung up answers with errors."""
    with Path(os.devnull).open("w") as nowhere:
        for number in descriptors:
            os.dup2(nowhere.fileno(), number)
