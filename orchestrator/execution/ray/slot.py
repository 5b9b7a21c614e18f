"""The Ray actors that execute orders: one for each slot, and one for each stage with several workers.

- The code that executes a stage is imported inside the actor's process, so that the driver never imports torch.
- Both kinds of actor answer progress and stop requests while they work, in the same way.
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
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths mean the same as in a slot
    # Workers import for a while, and the actors of the slots that they replace have to end first.
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "600",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # how soon Ray Train notices that workers ended or died
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # the executor checks for nodes that are about to leave
    "RAY_TRAIN_METRICS_ENABLED": "0",
}
"""The environment of Ray Train."""


class Slot:
    """The actor of a slot: one process with one device, which executes one attempt at a time."""

    def __init__(self, work: Execute | None) -> None:
        """Create the actor without importing torch, so that `where` answers soon.

        Args:
            work: the function that executes an order; None for `worker.execute`, whose import brings torch.
        """
        self._work = work
        self._attempt_id = ""
        self._progress: dict[str, Any] = {}
        self._stopped: set[str] = set()

    def warm(self) -> None:
        """Import the worker now, before the first order needs it."""
        self._load_work()

    def _load_work(self) -> Execute:
        if self._work is None:
            from orchestrator.execution.worker import execute

            self._work = execute
        return self._work

    def execute(self, order: Order) -> dict[str, Any]:
        """Execute an order and return its result record."""
        self._attempt_id, self._progress = order["attempt_id"], {}
        try:
            return self._load_work()(order, self._keep, lambda: order["attempt_id"] in self._stopped)
        finally:
            self._stopped.discard(order["attempt_id"])

    def _keep(self, report: dict[str, Any]) -> None:
        self._progress = report

    def where(self) -> str:
        """Return the id of the node that this process runs on."""
        return str(ray.get_runtime_context().get_node_id())

    def progress(self) -> tuple[str, dict[str, Any]]:
        """Return the present attempt's id and its last report; Ray runs this while `execute` works."""
        return self._attempt_id, self._progress

    def stop(self, attempt_id: str) -> None:
        """Make `should_stop` of the attempt return True."""
        self._stopped.add(attempt_id)


class WorkerGroup(Slot):
    """The actor of a stage with several workers: it runs the attempt, while the workers hold the cores and GPUs."""

    def __init__(self, nodes: list[str], gpus: float) -> None:
        """Import Ray Train, which starts the workers.

        Args:
            nodes: the node id of each worker.
            gpus: the number of GPUs of each worker.
        """
        from orchestrator.execution.ray.train import execute

        super().__init__(partial(execute, nodes=nodes, gpus=gpus, listen=self._listen))
        self._hear: Report = self._keep

    def _listen(self, hear: Report) -> None:
        self._hear = hear

    def hear(self, report: dict[str, Any]) -> bool:
        """Receive a report of the first worker, and return whether to stop; an empty report only asks that."""
        if report:
            self._hear(report)
        return self._attempt_id in self._stopped


def slot_actor(work: Execute | None, *, gpus: float, labels: Mapping[str, str]) -> Any:
    """Start the actor of a slot on a node with these labels; it imports the worker in the background."""
    actor = _remote(Slot, num_cpus=1, num_gpus=gpus, label_selector=dict(labels)).remote(work)
    actor.warm.remote()
    return actor


def group_actor(nodes: list[str], *, gpus: float) -> Any:
    """Start the actor of a stage whose workers run on these nodes.

    It runs on the node of the first worker, so that both see the same disk.
    """
    first_node = NodeAffinitySchedulingStrategy(nodes[0], soft=False)
    actor = _remote(WorkerGroup, num_cpus=0, num_gpus=0, scheduling_strategy=first_node,
                    runtime_env={"env_vars": _TRAIN})
    return actor.remote(nodes, gpus)


def _remote(actor: type[Slot], **options: Any) -> Any:
    """Return the actor class without restarts and retries, because the ledger decides on retries."""
    groups = {CONTROL: 2, REPORTS: 1}
    return ray.remote(max_restarts=0, max_task_retries=0, concurrency_groups=groups, **options)(actor)
