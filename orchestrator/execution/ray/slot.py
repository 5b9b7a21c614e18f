"""The actors that carry out orders: one for each slot, and one around each stage of several workers. Torch comes with their work.

- What they do the work with is imported in their own process, so that the driver never loads torch.
- Both answer in the same way while they work: how far they are, and that they are to stop.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.execution.attempt import Order, Report
from orchestrator.execution.executor import Execute
from orchestrator.execution.ray.cluster import CONTROL, REPORTS

_TRAIN = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # paths mean the same as in a slot
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "600",  # workers import for a while, and the slots that they replace have to go first
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # how soon it notices that workers are done, or gone
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # the executor looks for nodes that are about to go
    "RAY_TRAIN_METRICS_ENABLED": "0",
}


class Slot:
    """One process, one device, one attempt at a time."""

    def __init__(self, work: Execute | None) -> None:
        """Import nothing yet, so that it is soon known which node has room.

        Args:
            work: what carries out an order; None is the real worker, whose import brings torch.
        """
        self._work = work
        self._attempt_id = ""
        self._progress: dict[str, Any] = {}
        self._stopped: set[str] = set()

    def warm(self) -> None:
        """Import what attempts need."""
        self._given()

    def _given(self) -> Execute:
        if self._work is None:
            from orchestrator.execution.worker import execute

            self._work = execute
        return self._work

    def execute(self, order: Order) -> dict[str, Any]:
        """Carry out an order and return its record."""
        self._attempt_id, self._progress = order["attempt_id"], {}
        try:
            return self._given()(order, self._keep, lambda: order["attempt_id"] in self._stopped)
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


class WorkerGroup(Slot):
    """Around one stage of several workers: it checks, journals and writes the record; they hold the cores and the GPUs."""

    def __init__(self, nodes: list[str], gpus: float) -> None:
        """Import what starts the workers.

        Args:
            nodes: of each worker.
            gpus: of each worker.
        """
        from orchestrator.execution.ray.train import execute

        super().__init__(partial(execute, nodes=nodes, gpus=gpus, listen=self._listen))
        self._hear: Report = self._keep

    def _listen(self, hear: Report) -> None:
        self._hear = hear

    def hear(self, report: dict[str, Any]) -> bool:
        """Take a report of the first worker, none if it is empty; return whether to stop."""
        if report:
            self._hear(report)
        return self._attempt_id in self._stopped


def slot_actor(work: Execute | None, *, gpus: float, labels: Mapping[str, str]) -> Any:
    """Start the actor of a slot, on a node with these labels; it gets warm while nobody asks for it."""
    actor = _remote(Slot, num_cpus=1, num_gpus=gpus, label_selector=dict(labels)).remote(work)
    actor.warm.remote()
    return actor


def group_actor(nodes: list[str], *, gpus: float) -> Any:
    """Start the actor around a stage whose workers are on these nodes; it shares a node, thus its disk, with the first."""
    there = NodeAffinitySchedulingStrategy(nodes[0], soft=False)
    return _remote(WorkerGroup, num_cpus=0, num_gpus=0, scheduling_strategy=there, runtime_env={"env_vars": _TRAIN}).remote(nodes, gpus)


def _remote(actor: type[Slot], **options: Any) -> Any:
    """Make an actor of a class: no restarts and no retries, the ledger owns them."""
    groups = {CONTROL: 2, REPORTS: 1}
    return ray.remote(max_restarts=0, max_task_retries=0, concurrency_groups=groups, **options)(actor)
