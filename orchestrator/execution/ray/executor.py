"""Run orders on Ray, with one warm actor for each slot.

- An actor keeps its process, its imports and its device as long as it lives, so an attempt starts in milliseconds.
  Plain tasks with reused workers are a trap: Ray may assign another GPU to the same process, while its CUDA context
  stays on the first.
- Actors are neither restarted nor detached and their calls are not retried: the ledger decides on retries, and nothing
  outlives the driver.
- If a worker dies, its attempt is LOST within seconds, with the end of its log; the slot gets a new actor.
- An order goes only to a slot whose actor is up, never to one that still waits for a node. With fewer nodes the work
  continues more slowly; with none it waits until a node joins.
- A stage with several workers replaces as many slots, on their nodes. The slots' actors end, because the workers need
  their cores and GPUs; new actors start after the stage, once its placement group was removed.
- Attempts on a node that is about to leave (a drain, a spot notice) are asked to save; those lost with the node are
  PREEMPTED.
- Progress and stop requests use a concurrency group of their own, so that an actor answers them while it works.
"""

from __future__ import annotations

import logging
import re
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
"""The seconds between two progress requests to a busy slot; longer if there are many slots (`QUESTIONS_PER_S`)."""
QUESTIONS_PER_S = 50
"""The largest number of progress requests per second to all slots, so that 500 slots do not keep the driver busy."""
NOTICES_EVERY_S = 2.0
"""The seconds between two checks for nodes that are about to leave."""
MAX_STILLBORN = 3
"""The number of consecutive slots that may die while they start, for example because their node left. After that, each
further one makes a waiting order LOST."""
_NODE_IS_GONE = re.compile(r"node .*(has died|was terminated|is dead)|The node .* died", re.IGNORECASE)
"""How Ray says that a worker ended with its node; it has no type of its own for it where an actor is asked."""
_logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Slot:
    """A slot: its actor, and the node of the actor."""

    actor: Any
    came_up: Any
    """The reference to the actor's node id, which is ready once the actor is up."""
    node: str = ""
    """The node id; "" until the actor is up."""


@dataclass(slots=True)
class _Assignment:
    """An order on a slot, or on the group of workers that replaced several slots."""

    slot: _Slot
    order: Order
    result: Any
    """The reference to the result record."""
    asked: Any = None
    """The reference to the answer to the last progress request; None while there is none under way."""
    asked_at: float = field(default_factory=time.monotonic)
    replaced: Sequence[_Slot] = ()
    """The slots that a group of workers replaced; empty for a stage with one worker."""

    @property
    def nodes(self) -> frozenset[str]:
        """The nodes of its processes."""
        return frozenset(each.node for each in (self.slot, *self.replaced))


class RayExecutor:
    """Runs orders on the slots of a local Ray cluster, which it starts, or of a running one."""

    def __init__(self, settings: Settings, *, execute: Execute | None = None) -> None:
        """Start or join Ray, and start the actors of all slots, which import in the background.

        Args:
            settings: the operator's settings; they say where the cluster is, and what a slot is.
            execute: the function that executes an order; None for `worker.execute`.

        Raises:
            OrchestratorError: the cluster does not answer, or did not start.
        """
        self._settings, self._work = settings, execute
        self._idle: list[_Slot] = []
        self._queue: deque[Order] = deque()
        self._unstarted: list[Outcome] = []
        self._busy: dict[str, _Assignment] = {}
        self._progress: dict[str, dict[str, Any]] = {}
        self._num_stillborn = 0
        self._leaving: frozenset[str] = frozenset()
        self._noticed_at = 0.0
        self._lost_nodes: frozenset[str] = frozenset()
        self._is_cleared = True
        self._folder = connect(settings)
        self._idle = [self._fresh() for _ in range(settings.slots)]

    def submit(self, order: Order) -> None:
        """Queue the order; it starts as soon as enough slots are up, at once if there are."""
        if _workers(order) > 1 and 0 < self._settings.gpus_per_slot < 1:
            self._unstarted.append(_impossible(order, "shared-gpu", (
                f"its {_workers(order)} workers need a GPU each, slots have {self._settings.gpus_per_slot:g} of one: "
                "NCCL refuses two workers on one GPU\n"
                "hint: ABLATE_GPUS_PER_SLOT=1, or `resources.workers: 1` in the scale")))
            return
        self._queue.append(order)
        self._fill()
        self._assign()

    def poll(self, timeout_s: float) -> list[Outcome]:
        """Wait until an attempt ends, at most `timeout_s` seconds, and request progress reports meanwhile."""
        deadline = time.monotonic() + timeout_s
        while self._busy or self._queue or self._unstarted:
            self._ask()
            self._notice()
            self._clear()
            left = 0.0 if self._unstarted else deadline - time.monotonic()
            waiting = [*(reference for each in self._busy.values() for reference in (each.result, each.asked)
                         if reference is not None), *(slot.came_up for slot in self._idle if not slot.node)]
            ready, _ = ray.wait(waiting, num_returns=1, timeout=max(0.0, min(left, PROGRESS_EVERY_S)))
            if ready:  # the first call returns one reference only; the second collects all that are ready by now
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
        """Start queued orders on idle slots that are up, the most recently used slot first."""
        while self._queue and (places := self._places(self._queue[0])):
            order = self._queue.popleft()
            for each in places:
                self._idle.remove(each)
            several = places if len(places) > 1 else ()
            slot = self._group(places) if several else places[0]
            result = slot.actor.execute.remote(dict(order))
            self._busy[order["attempt_id"]] = _Assignment(slot, order, result, replaced=several)
        is_all_up = not self._busy and all(each.node for each in self._idle)
        if self._queue and is_all_up and len(self._idle) >= _workers(self._queue[0]):
            # Every slot is up and idle, and still no node has enough of them: waiting would not help.
            order = self._queue.popleft()
            self._unstarted.append(_impossible(order, "scattered", (
                f"no node has {_workers(order)} slots for the workers of this stage; with artifacts in an object store "
                "they must share one node's disk\nhint: fewer `resources.workers` in the scale, or set "
                "ABLATE_ARTIFACTS to a folder that all nodes see")))

    def _places(self, order: Order) -> list[_Slot]:
        """Return the idle slots for an order, none if there are too few.

        With an object store all slots are on one node, because the workers of a stage share files on its disk.
        """
        number, places = _workers(order), [each for each in reversed(self._idle) if each.node]
        if number > 1 and order.get("store") and places:
            (node, _), = Counter(each.node for each in places).most_common(1)
            places = [each for each in places if each.node == node]
        return places[:number] if len(places) >= number else []

    def _group(self, places: Sequence[_Slot]) -> _Slot:
        """Kill the actors of these slots, and start a group of workers in their place.

        Idle slots that still wait for a node are dropped too: they would take the freed cores before the group does.
        `_fill` starts them again when there is work for them.
        """
        waiting = [each for each in self._idle if not each.node]
        self._idle = [each for each in self._idle if each.node]
        for each in (*places, *waiting):
            ray.kill(each.actor, no_restart=True)
        nodes = sorted(each.node for each in places)
        return _Slot(group_actor(nodes, gpus=self._settings.gpus_per_slot), None, nodes[0])

    def _fill(self) -> None:
        """Start slots until there are as many idle ones as the queued orders need."""
        num_needed = sum(map(_workers, self._queue))
        self._idle += [self._fresh() for _ in range(num_needed - len(self._idle))]

    def progress(self) -> Mapping[str, dict[str, Any]]:
        """Return the last report of each running attempt, by attempt id."""
        return dict(self._progress)

    def waiting(self) -> frozenset[str]:
        """Return the ids of the queued attempts: too few slots are up for their workers."""
        return frozenset(order["attempt_id"] for order in self._queue)

    def cancel(self, attempt_id: str, *, kill: bool = False) -> None:
        """Ask an attempt to save a checkpoint and stop, or kill its process; a queued one is only removed."""
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
        """Call a function in a Ray task, which takes neither a core nor a GPU from the slots."""
        future: Future[Any] = ray.remote(num_cpus=0)(function).remote(*arguments).future()
        return future

    def close(self) -> None:
        """Kill all slots and disconnect from the cluster; a local cluster ends with it."""
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
        """Check for nodes that are about to leave: ask their attempts to save, and replace their idle slots."""
        if time.monotonic() - self._noticed_at < NOTICES_EVERY_S:
            return
        self._noticed_at = time.monotonic()
        before, self._leaving = self._leaving, leaving_nodes()
        for attempt_id, each in self._busy.items():
            if leaving := each.nodes & (self._leaving - before):
                _logger.info("node %s is about to leave; attempt %s is asked to save", ", ".join(leaving), attempt_id)
                self.cancel(attempt_id)
        for slot in [each for each in self._idle if each.node in self._leaving]:
            self._idle.remove(slot)
            self._retire(slot)

    def _clear(self) -> None:
        """Remove the placement groups of ended groups of workers, again and again until the new slots are up.

        Once is not enough: a group that still dies is not yet marked as orphaned, and the new slots wait for its cores.
        """
        if not self._is_cleared:
            remove_orphans()
            self._is_cleared = all(slot.node for slot in self._idle)

    def _retire(self, slot: _Slot) -> None:
        """Return a slot to the idle ones; if its node is about to leave, start a new slot in its place."""
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
                except RayError:  # the worker died, which its result reference reports too
                    continue
                if attempt_id == expected and report:
                    self._progress[attempt_id] = report

    def _come_up(self, slot: _Slot) -> None:
        """Record the node of a slot that came up. One that died is replaced; after too many, a queued order is LOST."""
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
        except RayTaskError as error:  # a bug outside the stage: what a stage raises is in the attempt's record
            self._free(busy)
            return lost(attempt_id, f"the worker failed outside the stage: {error}", folder)
        except RayError as error:
            ray.kill(busy.slot.actor, no_restart=True)  # it may only be unreachable, and must not run on unobserved
            self._replace(busy)
            self._tell_of_lost_node(busy, str(error))
            outcome = lost(attempt_id, f"the worker died: {str(error)[:2000]}", folder)
        else:
            self._free(busy)
        return _taken(outcome) if outcome.state is AttemptState.LOST and busy.nodes & self._leaving else outcome

    def _tell_of_lost_node(self, busy: _Assignment, error: str) -> None:
        """Log one line for a node that is gone, however many attempts were on it."""
        gone = busy.nodes - self._lost_nodes if _NODE_IS_GONE.search(error) else frozenset()
        if gone:
            self._lost_nodes |= gone
            _logger.warning(
                "node %s is gone: what ran on it goes on elsewhere from its last checkpoint", ", ".join(sorted(gone))
            )

    def _free(self, busy: _Assignment) -> None:
        """Return the slot to the idle ones; a group of workers is killed and replaced by new slots."""
        if not busy.replaced:
            self._retire(busy.slot)
            return
        ray.kill(busy.slot.actor, no_restart=True)
        self._replace(busy)

    def _replace(self, busy: _Assignment) -> None:
        """Start a new slot for each one that the assignment held."""
        self._idle += [self._fresh() for _ in busy.replaced or (busy.slot,)]
        if busy.replaced:
            self._is_cleared = False


def _workers(order: Order) -> int:
    return int(order.get("workers", 1))


def _impossible(order: Order, name: str, message: str) -> Outcome:
    """Return the outcome of an order that can never run on these slots, so that it is not retried."""
    failure = {"kind": str(AttemptState.RESOURCE), "hash": name, "message": message, "traceback": "",
               "is_certain": True}
    return Outcome(order["attempt_id"], AttemptState.RESOURCE, failure=failure)


def _taken(outcome: Outcome) -> Outcome:
    """Return the outcome as PREEMPTED, which is not charged: its node left with notice, or the order never started."""
    state = AttemptState.PREEMPTED
    return replace(outcome, state=state, failure={**(outcome.failure or {}), "kind": str(state)})
