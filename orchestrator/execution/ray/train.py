"""Run a stage with several workers in Ray Train V2, which starts and connects the workers and notices if one dies.

- Only its worker group is used. We keep our own checkpoints, results and retries, since Ray Train's snapshots are not
  atomic.
- The calling actor (`slot.WorkerGroup`) runs the attempt: it checks the identity, records progress and writes the
  result record. It holds neither a core nor a GPU, and imports this module in its own process.
- The first worker reports to the actor, whose answer says whether to stop. The logs of all workers are in the folder
  `workers` of the attempt.
- A worker that fails writes its failure record before the group breaks. The first record is the cause; the errors of
  the other workers follow from it. If a worker died without a record, the attempt is LOST.
- All workers share one folder of checkpoints and results.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ray
import ray.train
from ray.exceptions import OutOfMemoryError, RayError
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer
from ray.train.v2._internal.callbacks import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2.api.exceptions import TrainingFailedError, WorkerGroupError

from model.config.stages import TRAINING
from orchestrator.artifacts.store import RESULT
from orchestrator.errors import WorkerFailed
from orchestrator.execution.attempt import (
    Order,
    Report,
    ShouldStop,
    StageJob,
    dump_stacks_before_stall,
    redirect_output,
    run_attempt,
)
from orchestrator.execution.ray.cluster import REPORTS
from orchestrator.execution.record import run_catching, write_record
from orchestrator.states import AttemptState

FOLDER = "workers"
"""The folder of logs, failure records and Ray Train's own files, inside the attempt's folder."""
CAUSE = "cause.json"
"""The failure record of the worker that failed first."""


class _Trainer(TorchTrainer):  # type: ignore[misc]  # Ray gives no types
    """A trainer that starts no actors but its workers.

    The two callbacks that it leaves out would start an actor for data sets, which Ray does not read here, and a
    detached actor, which would outlive the driver.
    """

    def _create_default_callbacks(self) -> list[Any]:
        unwanted = (DatasetsCallback, PlacementGroupCleanerCallback)  # `cluster.remove_orphans` replaces the second
        return [each for each in super()._create_default_callbacks() if not isinstance(each, unwanted)]


def execute(order: Order, report: Report, should_stop: ShouldStop, *, nodes: list[str], gpus: float,
            listen: Callable[[Report], None]) -> dict[str, Any]:
    """Execute an order with one worker on each of the nodes, and return its result record.

    Args:
        order: the order of a training stage.
        report: called with the progress of the stage.
        should_stop: whether the attempt was asked to stop; the workers ask the actor instead.
        nodes: the node id of each worker; the first is the node of this process.
        gpus: the number of GPUs of each worker.
        listen: called once with the function to which the actor must forward the workers' reports.
    """
    def fit(work: StageJob) -> dict[str, Any]:
        listen(work.report)
        return _fit(order, Path(order["attempt_dir"]) / FOLDER, nodes, gpus)

    return run_attempt(order, dict.fromkeys(TRAINING, fit), report=report, should_stop=should_stop)


def _fit(order: Order, folder: Path, nodes: list[str], gpus: float) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    arguments = {"order": dict(order), "folder": str(folder), "caller": ray.get_runtime_context().current_actor}
    trainer = _Trainer(
        _work, train_loop_config=arguments, torch_config=TorchConfig(backend="nccl" if gpus else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=len(nodes), use_gpu=bool(gpus),
            resources_per_worker={"CPU": 1, **({"GPU": gpus} if gpus else {})},
            label_selector=[{"ray.io/node-id": node} for node in nodes]),
        run_config=RunConfig(
            name=order["attempt_id"], storage_path=str(folder),
            failure_config=FailureConfig(max_failures=0, controller_failure_limit=0, max_preemption_failures=0)))
    try:
        trainer.fit()
    except (TrainingFailedError, RayError) as error:
        raise WorkerFailed(_cause(error, folder)) from error
    result: dict[str, Any] = json.loads((folder / RESULT).read_text())
    return result


def _cause(error: Exception, folder: Path) -> dict[str, Any]:
    """Return the failure record of the attempt.

    It is the record of the first failure, unless a worker died without a record: then the others failed because of
    that.
    """
    failed = error.worker_failures if isinstance(error, WorkerGroupError) else {}
    dead = sorted(rank for rank in failed if not (folder / _failure(rank)).exists())
    if not dead and (folder / CAUSE).exists():
        cause: dict[str, Any] = json.loads((folder / CAUSE).read_text())
        return cause
    if any(isinstance(getattr(each, "health_check_failure", each), OutOfMemoryError) for each in failed.values()):
        return {"kind": str(AttemptState.RESOURCE), "hash": "host-memory", "traceback": "",
                "message": f"the host of a worker ran out of memory: {error}\nhint: fewer slots (ABLATE_SLOTS)"}
    who = f"worker {', '.join(map(str, dead))} of the stage died" if dead else "the workers of the stage could not work"
    return {"kind": str(AttemptState.LOST), "message": f"{who}: {str(error)[:2000]}; logs: {folder}", "hash": "",
            "traceback": ""}


def _failure(rank: int) -> str:
    return f"failure-{rank}.json"


# ---- in each worker --------------------------------------------------------------------------------------------------


def _work(arguments: Mapping[str, Any]) -> None:
    """Run the stage as one of its workers.

    The stage function is the same as with one worker; it finds the other workers through torch.distributed.
    """
    from orchestrator.execution.worker import STAGES

    order, folder = arguments["order"], Path(arguments["folder"])
    rank = ray.train.get_context().get_world_rank()
    with (redirect_output(folder / f"log-{rank}.txt") as log,
          dump_stacks_before_stall(log, float(order.get("no_progress_s", 0.0))) as watch):
        link = _ActorLink(arguments["caller"], watch, is_heard=rank == 0)
        work = StageJob(kind=order["kind"], spec=order["spec"],
                        parent=Path(order["parent"]) if order.get("parent") else None, out=Path(order["out"]),
                        checkpoints=Path(order["checkpoints"]), report=link.report, should_stop=link.should_stop)
        result, failure = run_catching(lambda: STAGES[order["kind"]](work))
    if failure is not None:
        _note(failure, folder, rank)
        raise WorkerFailed(failure)
    if rank == 0:
        write_record(folder, RESULT, result or {})


def _note(failure: dict[str, Any], folder: Path, rank: int) -> None:
    """Write a failure record, and mark it as the cause if it is the first."""
    failure = {**failure, "message": f"worker {rank}: {failure['message']}"}
    write_record(folder, _failure(rank), failure)
    try:  # link fails if the file exists, so exactly one of several concurrent workers wins
        os.link(folder / _failure(rank), folder / CAUSE)
    except FileExistsError:
        return


class _ActorLink:
    """The connection of a worker to the calling actor, which receives reports and answers whether to stop."""

    def __init__(self, caller: Any, watch: Callable[[], None], *, is_heard: bool) -> None:
        self._hear = caller.hear.options(concurrency_group=REPORTS)
        self._watch, self._is_heard = watch, is_heard

    def report(self, progress: dict[str, Any]) -> None:
        """Restart the timer of the stacks; the first worker also sends the report, and waits until it was received."""
        self._watch()
        if self._is_heard:
            ray.get(self._hear.remote(progress))

    def should_stop(self) -> bool:
        """Ask the actor whether to stop; this takes a millisecond or two."""
        return bool(ray.get(self._hear.remote({})))
