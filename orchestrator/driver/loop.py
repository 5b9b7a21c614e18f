"""The driver's loop: repeat rounds until a study has ended or somebody asks the driver to exit.

- `driver.py` defines what a round is.
- The loop waits for events of the executor with a timeout, so it is not a busy loop. The executor is created when the
  first stage needs it.
- SIGTERM, SIGINT and SIGHUP ask running attempts to save before the driver exits. A harder end costs at most the work
  since the last checkpoint. After SIGHUP there is no terminal left to write to. A process that ignores SIGHUP (nohup)
  continues.
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
"""The longest wait for tracking at the end, in seconds. What is not sent stays in the outbox."""
_logger = logging.getLogger(__name__)


def drive(settings: Settings, *, until: str | None = None, on_tick: Callable[[DriverView], None] | None = None,
          executor: MakeExecutor | None = None) -> Exit:
    """Execute the studies of the ledger until one of them has ended, or for ever if none is named.

    While another driver holds the lease, this process watches, and takes over when that driver is gone.

    Args:
        settings: the operator's settings.
        until: id of the study to wait for.
        on_tick: called about twice a second, in this thread.
        executor: creates the executor when the first stage needs it; None means Ray.
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
            with suppress(LedgerAway), reachable():  # the display must show the trouble
                _show(driver, on_tick)
        restore()  # Ray installs its own signal handlers when it starts
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
    """Let SIGTERM, SIGINT and SIGHUP ask the driver to exit.

    Yields:
        A function that installs the handlers again, for when others (Ray) have replaced them.
    """
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
    """Redirect these file descriptors to the null device: writing to a terminal that has hung up fails."""
    with Path(os.devnull).open("w") as nowhere:
        for number in descriptors:
            os.dup2(nowhere.fileno(), number)
