"""Executors run orders; they decide nothing and retry nothing.

- `Executor` is the interface that the driver uses: submit, poll, cancel, close, and two queries about running attempts.
- Each submitted order has exactly one outcome, even if its worker dies.
- `InlineExecutor` runs orders in the driver's process, one per poll, for tests and debugging.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from orchestrator.execution.attempt import Order, Report, ShouldStop
from orchestrator.execution.record import lost, outcome_of
from orchestrator.scheduler.views import Outcome

Execute = Callable[[Order, Report, ShouldStop], dict[str, Any]]
"""A function that executes an order and returns its result record, such as `worker.execute`."""


class Executor(Protocol):
    """The interface between driver and executor. Its methods are called from one thread only."""

    def submit(self, order: Order) -> None:
        """Start an order on a free slot. The driver never submits more orders than there are slots."""

    def poll(self, timeout_s: float) -> list[Outcome]:
        """Wait until an attempt ends, at most `timeout_s` seconds, and return the outcomes of all that have ended."""

    def progress(self) -> Mapping[str, dict[str, Any]]:
        """Return the last report of each running attempt, by attempt id."""

    def waiting(self) -> frozenset[str]:
        """Return the ids of the submitted attempts for which no machine has room yet."""

    def cancel(self, attempt_id: str, *, kill: bool = False) -> None:
        """Ask an attempt to save a checkpoint and stop, or kill it. Either way `poll` returns its outcome."""

    def call(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Call a function in another process, which may import what the driver must not, such as torch.

        The arguments and the result are plain values. The call takes no slot.
        """

    def close(self) -> None:
        """Release all resources; attempts that still run are killed."""


class InlineExecutor:
    """Runs orders in the driver's process, in order of submission.

    A stage with several workers is run by a single one, with the same result.
    """

    def __init__(self, execute: Execute) -> None:
        self._execute = execute
        self._orders: deque[Order] = deque()
        self._progress: dict[str, dict[str, Any]] = {}
        self._stopped: set[str] = set()
        self._killed: set[str] = set()

    def submit(self, order: Order) -> None:
        """Queue the order for a later poll."""
        self._orders.append(order)
        self._progress[order["attempt_id"]] = {}

    def poll(self, timeout_s: float) -> list[Outcome]:  # noqa: ARG002 (work is done at once, nothing is waited for)
        """Run the oldest queued order to its end and return its outcome."""
        if not self._orders:
            return []
        order = self._orders.popleft()
        attempt_id = order["attempt_id"]
        if attempt_id in self._killed:
            outcome = lost(attempt_id, "killed before it began", Path(order["attempt_dir"]))
        else:
            record = self._execute(order, lambda report: self._keep(attempt_id, report),
                                   lambda: attempt_id in self._stopped)
            outcome = outcome_of(record)
        del self._progress[attempt_id]
        return [outcome]

    def _keep(self, attempt_id: str, report: dict[str, Any]) -> None:
        self._progress[attempt_id] = report

    def progress(self) -> Mapping[str, dict[str, Any]]:
        """Return the last report of each order that has not ended."""
        return dict(self._progress)

    def waiting(self) -> frozenset[str]:
        """Return the empty set: this process always has room."""
        return frozenset()

    def cancel(self, attempt_id: str, *, kill: bool = False) -> None:
        """Mark the order: a running one stops at its next step; a killed one that is still queued never starts."""
        (self._killed if kill else self._stopped).add(attempt_id)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Call the function in a fresh process."""
        with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as pool:
            return pool.submit(function, *arguments)

    def close(self) -> None:
        """Discard the queued orders."""
        self._orders.clear()
        self._progress.clear()
