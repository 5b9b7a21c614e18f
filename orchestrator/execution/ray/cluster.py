"""Ray as a place: join it, see which nodes are about to go, and clear away what groups of workers left. Part of Ray's door.

- The token of a local cluster lives in the environment of this process and its children, never in a file.
- A local cluster keeps its sockets and logs in a folder of its own with a short path, since a socket's path has 107
  characters at most, and TMPDIR may be deep or not there; the folder goes with the cluster.
- A local cluster listens on the loopback address alone. What it imports is what this process would, never a file that
  lies in the folder where it was started.
- A hang-up of the terminal is for the driver alone: Ray's processes live until it has saved and ends them.
- Ray shows neither nodes that drain nor who made a placement group in a public call: what it keeps of both is read
  here alone.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import signal
import site
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any

import ray
from ray._private import ray_constants
from ray.core.generated.gcs_pb2 import PlacementGroupTableData
from ray.exceptions import RayError
from ray.job_config import JobConfig
from ray.util.placement_group import PlacementGroup, remove_placement_group

import orchestrator
from orchestrator.errors import OrchestratorError
from orchestrator.execution.ray.sessions import short_folder
from orchestrator.exposure import is_loopback
from orchestrator.settings import Settings

CONTROL = "control"
"""Concurrency group of what is answered while work is done."""
REPORTS = "reports"
"""Concurrency group of a group's reports: one after the other."""
_OBJECT_STORE_BYTES = 100 * 2**20
_REMOVALS = 3
_logger = logging.getLogger(__name__)


def connect(settings: Settings) -> Path | None:
    """Start a local cluster with a token of its own, or join the one of the settings.

    Returns:
        the folder of the local cluster, to be handed to `disconnect`.

    Raises:
        OrchestratorError: the cluster does not answer, or did not start within the 30 s that Ray gives it.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "namespace": "ablate",
                               "job_config": _job_config()}
    folder = None if settings.ray_address else short_folder()
    if settings.ray_address:
        options["address"] = settings.ray_address
    else:
        # Without a token of our own Ray would write one to the user's home. The mode is left to Ray, which asks for
        # tokens by default: set here it would be ignored, since Ray's core read the environment when it was imported.
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        # "local": with no address Ray would join whatever cluster another program left running on this machine.
        options |= {
            "address": "local",
            "num_cpus": settings.slots,
            "include_dashboard": False,
            "object_store_memory": _OBJECT_STORE_BYTES,
            "_temp_dir": str(folder),
        }
    # A cluster that this process already uses is not ours to end because another one did not start.
    clear_away = _remove if ray.is_initialized() else disconnect
    try:
        with _TimedStart(), _deaf_to_hang_ups(), _on_loopback() if _is_here(settings.ray_address) else nullcontext():
            ray.init(**options)
    except OrchestratorError:
        clear_away(folder)
        raise
    except (ConnectionError, RuntimeError, ValueError) as error:
        clear_away(folder)
        where = settings.ray_address or "a local cluster"
        raise OrchestratorError(f"Ray: {where} does not answer: {error}\n"
                                "hint: ABLATE_RAY_ADDRESS names a standing cluster, empty starts one here") from error
    _logger.debug("Ray is up: %s", ray.cluster_resources())
    return folder


@contextmanager
def _on_loopback() -> Iterator[None]:
    """Have a cluster that starts here listen on 127.0.0.1 alone: GCS, raylet, agents, metrics and workers.

    They bind all addresses unless the node's own is the loopback, and Ray replaces one that is asked for by the machine's
    real one, but where it takes clusters of several machines to be impossible. That is what it is told here. It is told
    the same to join a cluster that listens there, which it would else look for at the machine's real address, for ever.
    """
    before, ray_constants.ENABLE_RAY_CLUSTER = ray_constants.ENABLE_RAY_CLUSTER, False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def _is_here(address: str) -> bool:
    """Whether a cluster starts here, or listens on the loopback address."""
    return not address or is_loopback(address.rpartition(":")[0])


class _Fixed(list[str]):
    """Paths to which nothing is added."""

    def extend(self, _more: Iterable[str]) -> None:
        """Add nothing: Ray would add the current folder, and whatever lies there would come before packages of that name."""


def _job_config() -> JobConfig:
    """Have workers import from where this process takes our packages, and never from the folder where it was started.

    Installed packages are found without it; what is left is a checkout.
    """
    root = str(Path(orchestrator.__file__).parents[1])
    config = JobConfig()
    config._py_driver_sys_path = _Fixed() if root in site.getsitepackages() else _Fixed([root])
    return config


def disconnect(folder: Path | None) -> None:
    """Leave the cluster; a local one ends, and its folder goes."""
    ray.shutdown()
    _remove(folder)


def _remove(folder: Path | None) -> None:
    for _ in range(_REMOVALS if folder else 0):
        shutil.rmtree(str(folder), ignore_errors=True)  # a process that is ending may write a last line of its log meanwhile


@contextmanager
def _deaf_to_hang_ups() -> Iterator[None]:
    """Have processes that begin here never hear of a hang-up; one that comes meanwhile reaches us afterwards."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _TimedStart:
    """Names a start that took longer than the 30 s fixed in Ray, which has no type of its own for it; all else passes untouched."""

    def __enter__(self) -> None:
        """Watch the start."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Raise for a bare Exception, and for that alone."""
        if kind is Exception:
            raise OrchestratorError(
                f"Ray: a local cluster did not start: {error}\n"
                "hint: the machine may be too busy; nothing is lost, run the same command again"
            ) from error


def leaving_nodes() -> frozenset[str]:
    """Return the nodes that drain; a cluster that does not answer says so elsewhere."""
    try:
        return frozenset(ray._private.worker.global_worker.gcs_client.get_draining_nodes(timeout=5))
    except RayError:
        return frozenset()


def remove_orphans() -> int:
    """Give back what dead groups of workers of this driver still reserve; return of how many. To be asked again while some may die.

    Ray ends the workers with the controller that owns them, but keeps its placement group, and thus their cores and
    GPUs, for as long as the driver lives. Ray Train leaves the removal to a detached actor, which needs Ray's
    dashboard to see whether the controller is dead: on a local cluster, which has none, it would wait for ever.
    """
    ours = ray.get_runtime_context().get_job_id()
    table = ray._private.state.state._connect_and_get_accessor().get_placement_group_table()
    orphans = [
        each
        for each in map(PlacementGroupTableData.FromString, table)
        if each.creator_job_id.hex() == ours
        and each.creator_actor_dead
        and each.state != PlacementGroupTableData.REMOVED
    ]
    for each in orphans:
        remove_placement_group(PlacementGroup(ray.PlacementGroupID(each.placement_group_id)))
    return len(orphans)
