"""Carry out orders on Ray: one warm actor a slot. The only door to Ray.

- An actor keeps its process, its imports and its device for life, so an attempt starts in milliseconds. Plain tasks with
  reused workers are a trap: Ray may hand the same process another GPU while its CUDA context stays on the first.
- No restarts, no retries, not detached: the ledger owns retries, and nothing outlives the driver.
- A dead worker is a LOST outcome within seconds, with the end of its log; its slot gets a fresh actor.
- Progress and stop requests travel in a concurrency group of their own, so that they are answered while work is done.
- The token of a local cluster lives in the environment of this process and its children, never in a file.
"""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, RayError, RayTaskError

from orchestrator.attempt import Order, lost, outcome_of
from orchestrator.errors import OrchestratorError
from orchestrator.executor import Execute
from orchestrator.settings import Settings
from orchestrator.snapshot import Outcome
from orchestrator.states import AttemptState

PROGRESS_EVERY_S = 0.5
"""Seconds between two questions to a busy slot."""
_CONTROL = "control"
_OBJECT_STORE_BYTES = 100 * 2**20
_logger = logging.getLogger(__name__)


class Slot:
    """The actor: one process, one device, one attempt at a time."""

    def __init__(self, work: Execute | None) -> None:
        """Get warm: import what attempts need.

        Args:
            work: what carries out an order; None is the real worker, whose import brings torch.
        """
        if work is None:
            from orchestrator.worker import execute

            work = execute
        self._work: Execute = work
        self._attempt_id = ""
        self._progress: dict[str, Any] = {}
        self._stopped: set[str] = set()

    def execute(self, order: Order) -> dict[str, Any]:
        """Carry out an order and return its record."""
        self._attempt_id, self._progress = order["attempt_id"], {}
        try:
            return self._work(order, self._keep, lambda: order["attempt_id"] in self._stopped)
        finally:
            self._stopped.discard(order["attempt_id"])

    def _keep(self, report: dict[str, Any]) -> None:
        self._progress = report

    def progress(self) -> tuple[str, dict[str, Any]]:
        """Return the attempt and its last report; answered while `execute` works."""
        return self._attempt_id, self._progress

    def stop(self, attempt_id: str) -> None:
        """Make the attempt's `should_stop` true."""
        self._stopped.add(attempt_id)


@dataclass(slots=True)
class _Busy:
    """A slot at work."""

    actor: Any
    order: Order
    result: Any
    asked: Any = None
    asked_at: float = field(default_factory=time.monotonic)


class RayExecutor:
    """Slots of a local cluster that it starts, or of a standing one."""

    def __init__(self, settings: Settings, *, execute: Execute | None = None) -> None:
        """Start or join Ray and warm all slots up; they import while the driver goes on."""
        self._settings, self._work = settings, execute
        self._idle: list[Any] = []
        self._busy: dict[str, _Busy] = {}
        self._progress: dict[str, dict[str, Any]] = {}
        _connect(settings)
        self._idle = [self._fresh() for _ in range(settings.slots)]

    def submit(self, order: Order) -> None:
        """Hand the order to an idle slot."""
        actor = self._idle.pop() if self._idle else self._fresh()
        self._busy[order["attempt_id"]] = _Busy(actor, order, actor.execute.remote(dict(order)))

    def poll(self, timeout_s: float) -> list[Outcome]:
        """Wait until an attempt ends, keeping reports fresh meanwhile."""
        deadline = time.monotonic() + timeout_s
        while self._busy:
            self._ask()
            left = deadline - time.monotonic()
            waiting = [reference for each in self._busy.values() for reference in (each.result, each.asked)
                       if reference is not None]
            ready, _ = ray.wait(waiting, num_returns=1, timeout=max(0.0, min(left, PROGRESS_EVERY_S)))
            if ready:
                ready, _ = ray.wait(waiting, num_returns=len(waiting), timeout=0)
            self._hear(set(ready))
            outcomes = [self._end(attempt_id) for attempt_id, each in list(self._busy.items()) if each.result in ready]
            if outcomes or left <= 0:
                return outcomes
        return []

    def progress(self) -> Mapping[str, dict[str, Any]]:
        """Return the last reports heard of."""
        return dict(self._progress)

    def cancel(self, attempt_id: str, *, kill: bool = False) -> None:
        """Ask the slot to stop at its next step, or end its process."""
        busy = self._busy.get(attempt_id)
        if busy is None:
            return
        if kill:
            ray.kill(busy.actor, no_restart=True)
        else:
            busy.actor.stop.options(concurrency_group=_CONTROL).remote(attempt_id)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Call the function in a Ray task that takes neither core nor GPU from the slots."""
        future: Future[Any] = ray.remote(num_cpus=0)(function).remote(*arguments).future()
        return future

    def close(self) -> None:
        """End all slots and leave the cluster; a local one goes with us."""
        for actor in [*self._idle, *(each.actor for each in self._busy.values())]:
            ray.kill(actor, no_restart=True)
        self._idle, self._busy = [], {}
        ray.shutdown()

    def _fresh(self) -> Any:
        options = {"max_restarts": 0, "max_task_retries": 0, "num_cpus": 1, "num_gpus": self._settings.gpus_per_slot,
                   "concurrency_groups": {_CONTROL: 2}}
        return ray.remote(**options)(Slot).remote(self._work)

    def _ask(self) -> None:
        now = time.monotonic()
        for each in self._busy.values():
            if each.asked is None and now - each.asked_at >= PROGRESS_EVERY_S:
                each.asked, each.asked_at = each.actor.progress.options(concurrency_group=_CONTROL).remote(), now

    def _hear(self, ready: set[Any]) -> None:
        for expected, each in self._busy.items():
            if each.asked in ready:
                reference, each.asked = each.asked, None
                try:
                    attempt_id, report = ray.get(reference)
                except RayError:  # the worker is gone; its result reference says so too
                    continue
                if attempt_id == expected and report:
                    self._progress[attempt_id] = report

    def _end(self, attempt_id: str) -> Outcome:
        busy = self._busy.pop(attempt_id)
        self._progress.pop(attempt_id, None)
        folder = Path(busy.order["attempt_dir"])
        try:
            outcome = outcome_of(ray.get(busy.result))
        except OutOfMemoryError as error:
            self._idle.append(self._fresh())
            failure = {"kind": str(AttemptState.RESOURCE), "hash": "host-memory",
                       "message": f"the host ran out of memory: {error}\nhint: fewer slots (ABLATE_SLOTS)"}
            return Outcome(attempt_id, AttemptState.RESOURCE, failure=failure)
        except RayTaskError as error:  # an error of ours around the attempt, not of the stage in it
            self._idle.append(busy.actor)
            return lost(attempt_id, f"the worker failed outside the stage: {error}", folder)
        except RayError as error:
            self._idle.append(self._fresh())
            return lost(attempt_id, f"the worker died: {str(error)[:2000]}", folder)
        self._idle.append(busy.actor)
        return outcome


def _connect(settings: Settings) -> None:
    """Start a local cluster with a token of its own, or join the one of the settings."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "namespace": "ablate"}
    if settings.ray_address:
        options["address"] = settings.ray_address
    else:
        # Without a token of our own Ray would write one to the user's home. The mode is left to Ray, which asks for tokens by
        # default: set here it would be ignored, since Ray's core read the environment when it was imported.
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        # "local": with no address Ray would join whatever cluster another program left running on this machine.
        options |= {"address": "local", "num_cpus": settings.slots, "include_dashboard": False, "object_store_memory": _OBJECT_STORE_BYTES}
    try:
        ray.init(**options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        where = settings.ray_address or "a local cluster"
        raise OrchestratorError(f"Ray: {where} does not answer: {error}\n"
                                "hint: ABLATE_RAY_ADDRESS names a standing cluster, empty starts one here") from error
    _logger.debug("Ray is up: %s", ray.cluster_resources())
