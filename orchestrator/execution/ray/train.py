"""A stage of several workers: inside Ray Train V2, which starts and connects the workers and notices when one is gone.

- Part of Ray's door.
- Used for its worker group alone: checkpoints, results and retries stay ours, since its snapshots are not atomic.
- The caller is the attempt: it checks, journals and writes the record, and holds neither core nor GPU. It lives in a process of
  its own and is imported there, as the worker is.
- The first worker reports to the caller, whose answer says whether to stop. What each worker logs lies beside the attempt's log.
- A worker that fails writes its record before it breaks the group: the first record is the cause, what the others meet then is
  not. A worker that is gone without one makes the attempt LOST.
- All workers see one folder of checkpoints and results.
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
"""Below the attempt's folder: logs, failures, and what Ray Train keeps."""
CAUSE = "cause.json"


class _Trainer(TorchTrainer):  # type: ignore[misc]  # Ray gives no types
    """Starts its workers alone: no actor for data that Ray does not read, and none that would outlive the driver."""

    def _create_default_callbacks(self) -> list[Any]:
        unwanted = (DatasetsCallback, PlacementGroupCleanerCallback)  # `cluster.remove_orphans` does what the second is for
        return [each for each in super()._create_default_callbacks() if not isinstance(each, unwanted)]


def execute(order: Order, report: Report, should_stop: ShouldStop, *, nodes: list[str], gpus: float,
            listen: Callable[[Report], None]) -> dict[str, Any]:
    """Carry out an order by a worker on each of the nodes and return its record.

    Args:
        order: of a training stage.
        report: told what the first worker reports.
        should_stop: for the border of the attempt; workers ask the actor.
        nodes: of each worker; the first is this process's.
        gpus: of each worker.
        listen: given what the actor that this is called in has to pass reports to.
    """
    def fit(work: StageJob) -> dict[str, Any]:
        listen(work.report)
        return _fit(order, Path(order["attempt_dir"]) / FOLDER, nodes, gpus)

    return run_attempt(order, dict.fromkeys(TRAINING, fit), report=report, should_stop=should_stop)


def _fit(order: Order, folder: Path, nodes: list[str], gpus: float) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    given = {"order": dict(order), "folder": str(folder), "caller": ray.get_runtime_context().current_actor}
    trainer = _Trainer(
        _work, train_loop_config=given, torch_config=TorchConfig(backend="nccl" if gpus else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=len(nodes), use_gpu=bool(gpus), resources_per_worker={"CPU": 1, **({"GPU": gpus} if gpus else {})},
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
    """Return the record of the failure that came first; a worker that is gone without a record outweighs what the others met."""
    failed = error.worker_failures if isinstance(error, WorkerGroupError) else {}
    gone = sorted(rank for rank in failed if not (folder / _failure(rank)).exists())
    if not gone and (folder / CAUSE).exists():
        cause: dict[str, Any] = json.loads((folder / CAUSE).read_text())
        return cause
    if any(isinstance(getattr(each, "health_check_failure", each), OutOfMemoryError) for each in failed.values()):
        return {"kind": str(AttemptState.RESOURCE), "hash": "host-memory", "traceback": "",
                "message": f"the host of a worker ran out of memory: {error}\nhint: fewer slots (ABLATE_SLOTS)"}
    who = f"worker {', '.join(map(str, gone))} of the stage died" if gone else "the workers of the stage could not work"
    return {"kind": str(AttemptState.LOST), "message": f"{who}: {str(error)[:2000]}; logs: {folder}", "hash": "", "traceback": ""}


def _failure(rank: int) -> str:
    return f"failure-{rank}.json"


# ---- in each worker --------------------------------------------------------------------------------------------------


def _work(given: Mapping[str, Any]) -> None:
    """Be one of the workers: the same stage function as alone finds the others through torch.distributed."""
    from orchestrator.execution.worker import STAGES

    order, folder, rank = given["order"], Path(given["folder"]), ray.train.get_context().get_world_rank()
    with redirect_output(folder / f"log-{rank}.txt") as log, dump_stacks_before_stall(log, float(order.get("no_progress_s", 0.0))) as watch:
        line = _ActorLink(given["caller"], watch)
        work = StageJob(kind=order["kind"], spec=order["spec"], parent=Path(order["parent"]) if order.get("parent") else None,
                    out=Path(order["out"]), checkpoints=Path(order["checkpoints"]), report=line.report, should_stop=line.should_stop)
        result, failure = run_catching(lambda: STAGES[order["kind"]](work))
    if failure is not None:
        _note(failure, folder, rank)
        raise WorkerFailed(failure)
    if rank == 0:
        write_record(folder, RESULT, result or {})


def _note(failure: dict[str, Any], folder: Path, rank: int) -> None:
    """Write a failure, and call it the cause if it is the first."""
    failure = {**failure, "message": f"worker {rank}: {failure['message']}"}
    write_record(folder, _failure(rank), failure)
    try:
        os.link(folder / _failure(rank), folder / CAUSE)
    except FileExistsError:
        return


class _ActorLink:
    """To the caller: it hears every report, and answers whether to stop."""

    def __init__(self, caller: Any, watch: Callable[[], None]) -> None:
        self._hear = caller.hear.options(concurrency_group=REPORTS)
        self._watch = watch

    def report(self, progress: dict[str, Any]) -> None:
        """Send a report."""
        self._watch()
        ray.get(self._hear.remote(progress))

    def should_stop(self) -> bool:
        """Ask whether to stop; costs a millisecond or two."""
        return bool(ray.get(self._hear.remote({})))
