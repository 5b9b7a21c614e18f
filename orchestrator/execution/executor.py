"""Executors carry out orders; they decide nothing and retry nothing.

- `Executor` is what the driver needs of one: submit, poll, cancel, close, and two looks at what is going on.
- An order that was submitted has exactly one outcome, be it that its worker died.
- `InlineExecutor` works in this process, one order a poll: for tests, and for finding faults.
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
"""Carry out an order and return its record; `worker.execute` is the real one."""


class Executor(Protocol):
    """The verbs of the driver. Used from one thread."""

    def submit(self, order: Order) -> None:
        """Hand an order to a free slot; the driver never submits more than there are slots."""

    def poll(self, timeout_s: float) -> list[Outcome]:
        """Wait until an attempt ends, at most so long, and return all that ended."""

    def progress(self) -> Mapping[str, dict[str, Any]]:
        """Return the last report of each running attempt, by attempt id."""

    def waiting(self) -> frozenset[str]:
        """Return the attempts that were handed over and for which no machine has room yet."""

    def cancel(self, attempt_id: str, *, kill: bool = False) -> None:
        """Ask an attempt to save and end; or end it at once. Its outcome comes by `poll` either way."""

    def call(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Call a function of plain values in a process that may import what the driver must not; it takes no slot."""

    def close(self) -> None:
        """Give all resources back; what still runs is ended."""


class InlineExecutor:
    """Works in the driver's process, in order of submission; a stage of several workers is done by one, to the same result."""

    def __init__(self, execute: Execute) -> None:
        """Start idle."""
        self._execute = execute
        self._orders: deque[Order] = deque()
        self._progress: dict[str, dict[str, Any]] = {}
        self._stopped: set[str] = set()
        self._killed: set[str] = set()

    def submit(self, order: Order) -> None:
        """Keep the order for the next poll."""
        self._orders.append(order)
        self._progress[order["attempt_id"]] = {}

    def poll(self, timeout_s: float) -> list[Outcome]:  # noqa: ARG002 (work is done at once, nothing is waited for)
        """Carry out the oldest order."""
        if not self._orders:
            return []
        order = self._orders.popleft()
        attempt_id = order["attempt_id"]
        if attempt_id in self._killed:
            outcome = lost(attempt_id, "killed before it began", Path(order["attempt_dir"]))
        else:
            record = self._execute(order, lambda report: self._keep(attempt_id, report), lambda: attempt_id in self._stopped)
            outcome = outcome_of(record)
        del self._progress[attempt_id]
        return [outcome]

    def _keep(self, attempt_id: str, report: dict[str, Any]) -> None:
        self._progress[attempt_id] = report

    def progress(self) -> Mapping[str, dict[str, Any]]:
        """Return the last report of each order that has not ended."""
        return dict(self._progress)

    def waiting(self) -> frozenset[str]:
        """Return none: there is always room here."""
        return frozenset()

    def cancel(self, attempt_id: str, *, kill: bool = False) -> None:
        """Mark the order; it hears of it at its next step."""
        (self._killed if kill else self._stopped).add(attempt_id)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Call the function in a fresh process."""
        with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as pool:
            return pool.submit(function, *arguments)

    def close(self) -> None:
        """Forget what was not begun."""
        self._orders.clear()
        self._progress.clear()
