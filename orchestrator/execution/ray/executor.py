"""Carry out orders on Ray: one warm actor a slot. Part of Ray's door.

- An actor keeps its process, its imports and its device for life, so an attempt starts in milliseconds. Plain tasks with
  reused workers are a trap: Ray may hand the same process another GPU while its CUDA context stays on the first.
- No restarts, no retries, not detached: the ledger owns retries, and nothing outlives the driver.
- A dead worker is a LOST outcome within seconds, with the end of its log; its slot gets a fresh actor.
- An order goes to a slot that is up, never to one that still waits for a node: with fewer nodes work goes on more slowly,
  with none it waits until one joins.
- A stage of several workers takes the place of as many slots, on their nodes: they end, since its workers need their cores and
  GPUs, and fresh ones follow it, once what it reserved is given back.
- Attempts on a node that is about to go (a drain, a spot notice) are asked to save; what such a node takes is PREEMPTED.
- Progress and stop requests travel in a concurrency group of their own, so that they are answered while work is done.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, RayError, RayTaskError

from orchestrator.execution.attempt import Order
from orchestrator.execution.executor import Execute
from orchestrator.execution.ray.cluster import CONTROL, connect, disconnect, leaving_nodes, remove_orphans
from orchestrator.execution.ray.slot import group_actor, slot_actor
from orchestrator.execution.record import lost, outcome_of
from orchestrator.scheduler.views import Outcome
from orchestrator.settings import Settings
from orchestrator.states import AttemptState

PROGRESS_EVERY_S = 0.5
"""Seconds between two questions to a busy slot; more where there are many."""
QUESTIONS_PER_S = 50
"""Questions to all busy slots together: hearing from 500 must not keep the driver busy."""
NOTICES_EVERY_S = 2.0
"""Seconds between two looks for nodes that are about to go."""
MAX_STILLBORN = 3
"""Slots in a row that die on their way up (their node went) before that is held against what waits for them."""
_logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Slot:
    """A slot from here: its actor, and the node it is on once it has come up."""

    actor: Any
    came_up: Any
    node: str = ""


@dataclass(slots=True)
class _Assignment:
    """A slot at work, or the workers that took the place of several."""

    slot: _Slot
    order: Order
    result: Any
    asked: Any = None
    asked_at: float = field(default_factory=time.monotonic)
    replaced: Sequence[_Slot] = ()

    @property
    def nodes(self) -> frozenset[str]:
        """Return where its processes are."""
        return frozenset(each.node for each in (self.slot, *self.replaced))


class RayExecutor:
    """Slots of a local cluster that it starts, or of a standing one."""

    def __init__(self, settings: Settings, *, execute: Execute | None = None) -> None:
        """Start or join Ray and have all slots get warm: they import while the driver goes on."""
        self._settings, self._work = settings, execute
        self._idle: list[_Slot] = []
        self._queue: deque[Order] = deque()
        self._unstarted: list[Outcome] = []
        self._busy: dict[str, _Assignment] = {}
        self._progress: dict[str, dict[str, Any]] = {}
        self._num_stillborn = 0
        self._leaving: frozenset[str] = frozenset()
        self._noticed_at = 0.0
        self._is_cleared = True
        self._folder = connect(settings)
        self._idle = [self._fresh() for _ in range(settings.slots)]

    def submit(self, order: Order) -> None:
        """Hand the order to an idle slot, as soon as one is up, or to the workers that take the place of as many."""
        if _workers(order) > 1 and 0 < self._settings.gpus_per_slot < 1:
            self._unstarted.append(_impossible(order, "shared-gpu", (
                f"its {_workers(order)} workers need a GPU each, slots have {self._settings.gpus_per_slot:g} of one: NCCL refuses two "
                "workers on one GPU\nhint: ABLATE_GPUS_PER_SLOT=1, or `resources.workers: 1` in the scale")))
            return
        self._queue.append(order)
        self._fill()
        self._assign()

    def poll(self, timeout_s: float) -> list[Outcome]:
        """Wait until an attempt ends, keeping reports fresh meanwhile."""
        deadline = time.monotonic() + timeout_s
        while self._busy or self._queue or self._unstarted:
            self._ask()
            self._notice()
            self._clear()
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
        while self._queue and (places := self._places(self._queue[0])):
            order = self._queue.popleft()
            for each in places:
                self._idle.remove(each)
            several = places if len(places) > 1 else ()
            slot = self._group(places) if several else places[0]
            self._busy[order["attempt_id"]] = _Assignment(slot, order, slot.actor.execute.remote(dict(order)), replaced=several)
        if self._queue and not self._busy and all(each.node for each in self._idle) and len(self._idle) >= _workers(self._queue[0]):
            order = self._queue.popleft()
            self._unstarted.append(_impossible(order, "scattered", (
                f"no node has {_workers(order)} slots for the workers of this stage, which must share its disk as long as artifacts go "
                "through an object store\nhint: fewer `resources.workers` of the scale, or ABLATE_ARTIFACTS where all nodes see it")))

    def _places(self, order: Order) -> list[_Slot]:
        """Return the idle slots that an order is to have, none if there are too few; on one node if that alone sees its files."""
        number, places = _workers(order), [each for each in reversed(self._idle) if each.node]
        if number > 1 and order.get("store") and places:
            (node, _), = Counter(each.node for each in places).most_common(1)
            places = [each for each in places if each.node == node]
        return places[:number] if len(places) >= number else []

    def _group(self, places: Sequence[_Slot]) -> _Slot:
        """End the slots and start what takes their place.

        Slots that wait for room end too, or they would take it: they are started again when there is work for them.
        """
        waiting = [each for each in self._idle if not each.node]
        self._idle = [each for each in self._idle if each.node]
        for each in (*places, *waiting):
            ray.kill(each.actor, no_restart=True)
        nodes = sorted(each.node for each in places)
        return _Slot(group_actor(nodes, gpus=self._settings.gpus_per_slot), None, nodes[0])

    def _fill(self) -> None:
        """See that there are idle slots for all that is queued."""
        wanted = sum(map(_workers, self._queue))
        self._idle += [self._fresh() for _ in range(wanted - len(self._idle))]

    def progress(self) -> Mapping[str, dict[str, Any]]:
        """Return the last reports heard of."""
        return dict(self._progress)

    def waiting(self) -> frozenset[str]:
        """Return the attempts for which no slot is up: no node has room for one, or too few for all of its workers."""
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
            busy.slot.actor.stop.options(concurrency_group=CONTROL).remote(attempt_id)

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
        disconnect(self._folder)

    def _fresh(self) -> _Slot:
        actor = slot_actor(self._work, gpus=self._settings.gpus_per_slot, labels=self._settings.slot_labels)
        return _Slot(actor, actor.where.options(concurrency_group=CONTROL).remote())

    def _ask(self) -> None:
        now, every_s = time.monotonic(), max(PROGRESS_EVERY_S, len(self._busy) / QUESTIONS_PER_S)
        for each in self._busy.values():
            if each.asked is None and now - each.asked_at >= every_s:
                each.asked, each.asked_at = each.slot.actor.progress.options(concurrency_group=CONTROL).remote(), now

    def _notice(self) -> None:
        """Look for nodes that are about to go; have what runs there saved, and no slot wait there for work."""
        if time.monotonic() - self._noticed_at < NOTICES_EVERY_S:
            return
        self._noticed_at = time.monotonic()
        before, self._leaving = self._leaving, leaving_nodes()
        for attempt_id, each in self._busy.items():
            if gone := each.nodes & (self._leaving - before):
                _logger.info("node %s is about to go; attempt %s is asked to save", ", ".join(gone), attempt_id)
                self.cancel(attempt_id)
        for slot in [each for each in self._idle if each.node in self._leaving]:
            self._idle.remove(slot)
            self._retire(slot)

    def _clear(self) -> None:
        """Remove what an ended group still reserves, until the slots that follow it are up."""
        if not self._is_cleared:
            remove_orphans()
            self._is_cleared = all(slot.node for slot in self._idle)

    def _retire(self, slot: _Slot) -> None:
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

    def _come_up(self, slot: _Slot) -> None:
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
            self._fill()

    def _end(self, attempt_id: str) -> Outcome:
        busy = self._busy.pop(attempt_id)
        self._progress.pop(attempt_id, None)
        folder = Path(busy.order["attempt_dir"])
        try:
            outcome = outcome_of(ray.get(busy.result))
        except OutOfMemoryError as error:
            self._replace(busy)
            failure = {"kind": str(AttemptState.RESOURCE), "hash": "host-memory",
                       "message": f"the host ran out of memory: {error}\nhint: fewer slots (ABLATE_SLOTS)"}
            return Outcome(attempt_id, AttemptState.RESOURCE, failure=failure)
        except RayTaskError as error:  # an error of ours around the attempt, not of the stage in it
            self._free(busy)
            return lost(attempt_id, f"the worker failed outside the stage: {error}", folder)
        except RayError as error:
            ray.kill(busy.slot.actor, no_restart=True)  # it may be out of reach only: it must not go on unheard
            self._replace(busy)
            outcome = lost(attempt_id, f"the worker died: {str(error)[:2000]}", folder)
        else:
            self._free(busy)
        return _taken(outcome) if outcome.state is AttemptState.LOST and busy.nodes & self._leaving else outcome

    def _free(self, busy: _Assignment) -> None:
        """Take a slot back, or have fresh ones follow the workers that took the place of several."""
        if not busy.replaced:
            self._retire(busy.slot)
            return
        ray.kill(busy.slot.actor, no_restart=True)
        self._replace(busy)

    def _replace(self, busy: _Assignment) -> None:
        """Start a slot for each that the work held."""
        self._idle += [self._fresh() for _ in busy.replaced or (busy.slot,)]
        if busy.replaced:
            self._is_cleared = False


def _workers(order: Order) -> int:
    """Return how many slots an order takes."""
    return int(order.get("workers", 1))


def _impossible(order: Order, name: str, message: str) -> Outcome:
    """Return the outcome of an order that cannot be carried out here, however often it is tried."""
    failure = {"kind": str(AttemptState.RESOURCE), "hash": name, "message": message, "traceback": "", "is_certain": True}
    return Outcome(order["attempt_id"], AttemptState.RESOURCE, failure=failure)


def _taken(outcome: Outcome) -> Outcome:
    """Call by its name what a node took that had given notice, or what never began: nobody is charged for it."""
    state = AttemptState.PREEMPTED
    return replace(outcome, state=state, failure={**(outcome.failure or {}), "kind": str(state)})
