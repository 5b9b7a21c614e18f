"""Carry out orders on Ray: one warm actor a slot. The only door to Ray.

- An actor keeps its process, its imports and its device for life, so an attempt starts in milliseconds. Plain tasks with
  reused workers are a trap: Ray may hand the same process another GPU while its CUDA context stays on the first.
- No restarts, no retries, not detached: the ledger owns retries, and nothing outlives the driver.
- A dead worker is a LOST outcome within seconds, with the end of its log; its slot gets a fresh actor.
- An order goes to a slot that is up, never to one that still waits for a node: with fewer nodes work goes on more slowly,
  with none it waits until one joins.
- Attempts on a node that is about to go (a drain, a spot notice) are asked to save; what such a node takes is PREEMPTED.
- Progress and stop requests travel in a concurrency group of their own, so that they are answered while work is done.
- The token of a local cluster lives in the environment of this process and its children, never in a file.
"""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
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
"""Seconds between two questions to a busy slot; more where there are many."""
QUESTIONS_PER_S = 50
"""Questions to all busy slots together: hearing from 500 must not keep the driver busy."""
NOTICES_EVERY_S = 2.0
"""Seconds between two looks for nodes that are about to go."""
MAX_STILLBORN = 3
"""Slots in a row that die on their way up (their node went) before that is held against what waits for them."""
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

    def where(self) -> str:
        """Return the node that this process is on."""
        return str(ray.get_runtime_context().get_node_id())

    def progress(self) -> tuple[str, dict[str, Any]]:
        """Return the attempt and its last report; answered while `execute` works."""
        return self._attempt_id, self._progress

    def stop(self, attempt_id: str) -> None:
        """Make the attempt's `should_stop` true."""
        self._stopped.add(attempt_id)


@dataclass(slots=True, eq=False)
class _Warm:
    """A slot from here: its actor, and the node it is on once it has come up."""

    actor: Any
    came_up: Any
    node: str = ""


@dataclass(slots=True)
class _Busy:
    """A slot at work."""

    slot: _Warm
    order: Order
    result: Any
    asked: Any = None
    asked_at: float = field(default_factory=time.monotonic)


class RayExecutor:
    """Slots of a local cluster that it starts, or of a standing one."""

    def __init__(self, settings: Settings, *, execute: Execute | None = None) -> None:
        """Start or join Ray and warm all slots up; they import while the driver goes on."""
        self._settings, self._work = settings, execute
        self._idle: list[_Warm] = []
        self._queue: deque[Order] = deque()
        self._unstarted: list[Outcome] = []
        self._busy: dict[str, _Busy] = {}
        self._progress: dict[str, dict[str, Any]] = {}
        self._num_stillborn = 0
        self._leaving: frozenset[str] = frozenset()
        self._noticed_at = 0.0
        _connect(settings)
        self._idle = [self._fresh() for _ in range(settings.slots)]

    def submit(self, order: Order) -> None:
        """Hand the order to an idle slot, as soon as one is up."""
        self._queue.append(order)
        if len(self._idle) < len(self._queue):
            self._idle.append(self._fresh())
        self._assign()

    def poll(self, timeout_s: float) -> list[Outcome]:
        """Wait until an attempt ends, keeping reports fresh meanwhile."""
        deadline = time.monotonic() + timeout_s
        while self._busy or self._queue or self._unstarted:
            self._ask()
            self._notice()
            left = 0.0 if self._unstarted else deadline - time.monotonic()
            waiting = [*(reference for each in self._busy.values() for reference in (each.result, each.asked)
                         if reference is not None), *(slot.came_up for slot in self._idle if not slot.node)]
            ready, _ = ray.wait(waiting, num_returns=1, timeout=max(0.0, min(left, PROGRESS_EVERY_S)))
            if ready:
                ready, _ = ray.wait(waiting, num_returns=len(waiting), timeout=0)
            self._hear(set(ready))
            outcomes = [*self._unstarted, *(self._end(attempt_id) for attempt_id, each in list(self._busy.items())
                                            if each.result in ready)]
            self._unstarted = []
            self._assign()
            if outcomes or left <= 0:
                return outcomes
        return []

    def _assign(self) -> None:
        """Give queued orders to idle slots that are up, the one that worked last first."""
        for slot in [each for each in reversed(self._idle) if each.node][:len(self._queue)]:
            order = self._queue.popleft()
            self._idle.remove(slot)
            self._busy[order["attempt_id"]] = _Busy(slot, order, slot.actor.execute.remote(dict(order)))

    def progress(self) -> Mapping[str, dict[str, Any]]:
        """Return the last reports heard of."""
        return dict(self._progress)

    def waiting(self) -> frozenset[str]:
        """Return the attempts for which no slot is up: no node has room for one, or it still imports."""
        return frozenset(order["attempt_id"] for order in self._queue)

    def cancel(self, attempt_id: str, *, kill: bool = False) -> None:
        """Ask the slot to stop at its next step, or end its process."""
        for order in [each for each in self._queue if each["attempt_id"] == attempt_id]:
            self._queue.remove(order)
            outcome = lost(attempt_id, "asked to end before a machine had room", Path(order["attempt_dir"]))
            self._unstarted.append(outcome if kill else _taken(outcome))
        busy = self._busy.get(attempt_id)
        if busy is None:
            return
        if kill:
            ray.kill(busy.slot.actor, no_restart=True)
        else:
            busy.slot.actor.stop.options(concurrency_group=_CONTROL).remote(attempt_id)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Call the function in a Ray task that takes neither core nor GPU from the slots."""
        future: Future[Any] = ray.remote(num_cpus=0)(function).remote(*arguments).future()
        return future

    def close(self) -> None:
        """End all slots and leave the cluster; a local one goes with us."""
        for slot in [*self._idle, *(each.slot for each in self._busy.values())]:
            ray.kill(slot.actor, no_restart=True)
        self._idle, self._busy = [], {}
        self._queue.clear()
        ray.shutdown()

    def _fresh(self) -> _Warm:
        options = {"max_restarts": 0, "max_task_retries": 0, "num_cpus": 1, "num_gpus": self._settings.gpus_per_slot,
                   "concurrency_groups": {_CONTROL: 2}, "label_selector": dict(self._settings.slot_labels)}
        actor = ray.remote(**options)(Slot).remote(self._work)
        return _Warm(actor, actor.where.options(concurrency_group=_CONTROL).remote())

    def _ask(self) -> None:
        now, every_s = time.monotonic(), max(PROGRESS_EVERY_S, len(self._busy) / QUESTIONS_PER_S)
        for each in self._busy.values():
            if each.asked is None and now - each.asked_at >= every_s:
                each.asked, each.asked_at = each.slot.actor.progress.options(concurrency_group=_CONTROL).remote(), now

    def _notice(self) -> None:
        """Look for nodes that are about to go; have what runs there saved, and no slot wait there for work."""
        if time.monotonic() - self._noticed_at < NOTICES_EVERY_S:
            return
        self._noticed_at = time.monotonic()
        before, self._leaving = self._leaving, _leaving_nodes()
        for attempt_id, each in self._busy.items():
            if each.slot.node in self._leaving - before:
                _logger.info("node %s is about to go; attempt %s is asked to save", each.slot.node, attempt_id)
                self.cancel(attempt_id)
        for slot in [each for each in self._idle if each.node in self._leaving]:
            self._idle.remove(slot)
            self._retire(slot)

    def _retire(self, slot: _Warm) -> None:
        """Put a slot back among the idle ones, or a fresh one in its place if its node is about to go."""
        if slot.node in self._leaving:
            ray.kill(slot.actor, no_restart=True)
            slot = self._fresh()
        self._idle.append(slot)

    def _hear(self, ready: set[Any]) -> None:
        for slot in [each for each in self._idle if each.came_up in ready and not each.node]:
            self._come_up(slot)
        for expected, each in self._busy.items():
            if each.asked in ready:
                reference, each.asked = each.asked, None
                try:
                    attempt_id, report = ray.get(reference)
                except RayError:  # the worker is gone; its result reference says so too
                    continue
                if attempt_id == expected and report:
                    self._progress[attempt_id] = report

    def _come_up(self, slot: _Warm) -> None:
        """Note where a slot came up; one that could not is replaced, but costs an order if that goes on."""
        try:
            slot.node, self._num_stillborn = ray.get(slot.came_up), 0
        except RayError as error:
            self._num_stillborn += 1
            self._idle.remove(slot)
            if self._queue and self._num_stillborn > MAX_STILLBORN:
                order = self._queue.popleft()
                reason = f"its worker did not come up: {str(error)[:2000]}"
                self._unstarted.append(lost(order["attempt_id"], reason, Path(order["attempt_dir"])))
            if len(self._idle) < len(self._queue):
                self._idle.append(self._fresh())

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
            self._retire(busy.slot)
            return lost(attempt_id, f"the worker failed outside the stage: {error}", folder)
        except RayError as error:
            ray.kill(busy.slot.actor, no_restart=True)  # it may be out of reach only: it must not go on unheard
            self._idle.append(self._fresh())
            outcome = lost(attempt_id, f"the worker died: {str(error)[:2000]}", folder)
            return _taken(outcome) if busy.slot.node in self._leaving else outcome
        self._retire(busy.slot)
        return outcome


def _taken(outcome: Outcome) -> Outcome:
    """Call by its name what a node took that had given notice, or what never began: nobody is charged for it."""
    state = AttemptState.PREEMPTED
    return replace(outcome, state=state, failure={**(outcome.failure or {}), "kind": str(state)})


def _leaving_nodes() -> frozenset[str]:
    """Return the nodes that drain. Ray shows them in no public call; a cluster that does not answer says so elsewhere."""
    try:
        return frozenset(ray._private.worker.global_worker.gcs_client.get_draining_nodes(timeout=5))
    except RayError:
        return frozenset()


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
