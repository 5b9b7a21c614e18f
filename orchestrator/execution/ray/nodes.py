"""Check whether a cluster can host the slots of a study at all, when the study is submitted.

- A slot (one CPU and `gpus_per_slot` GPUs, on a node with `slot_labels`) must fit on at least one node that is up, and
  all slots of a stage on these nodes together. A stage for which there is only no room at present waits, and says so.
- A cluster that autoscales can start further nodes, and Ray does not tell which. With `ABLATE_RAY_AUTOSCALES=true`
  nothing is refused.
- If the cluster does not answer, or has just started and lists no node yet, nothing is refused either: the study waits
  in the ledger.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ray._raylet import GcsClient  # type: ignore[attr-defined]  # an extension, without a stub
from ray.core.generated.gcs_pb2 import GcsNodeInfo
from ray.exceptions import RayError
from ray.util.state import list_nodes
from ray.util.state.exception import RayStateApiException

from orchestrator.errors import OrchestratorError
from orchestrator.execution.system_metrics import num_gpus
from orchestrator.settings import Settings

ANSWER_S = 10
"""The seconds that the cluster has to answer."""
LOOK_S = 5.0
"""The seconds between two looks at the nodes while a driver works."""
_SEVERAL = re.compile(r"(?P<no>!?)in\((?P<values>[^)]*)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """The total resources of a node, whether they are in use or not."""

    name: str
    cpus: float
    gpus: float
    labels: Mapping[str, str] | None
    """The node's labels; None if they are not known, then they are not checked."""


def nodes_of(settings: Settings) -> list[Node]:
    """Return the nodes of the running cluster that are up; without a cluster, this machine.

    Raises:
        OrchestratorError: the cluster does not answer.
    """
    address = settings.ray_jobs or settings.ray_address
    if not address:
        return [Node(name="this machine", cpus=settings.slots, gpus=num_gpus(), labels=None)]
    if re.fullmatch(r"[^/]+:\d+", address):
        return _asked(address)
    try:
        alive = list_nodes(address=address, filters=[("state", "=", "ALIVE")], timeout=ANSWER_S)
    except (RayStateApiException, ConnectionError, OSError, RuntimeError, ValueError) as error:
        raise _silent(address, error) from error
    return [Node(name=each.node_ip, cpus=float(each.resources_total.get("CPU", 0)),
                 gpus=float(each.resources_total.get("GPU", 0)), labels=dict(each.labels or {})) for each in alive]


def _asked(address: str) -> list[Node]:
    """Ask the cluster's control service itself, which is there without Ray's dashboard."""
    try:
        client = GcsClient(address=address)
        alive = client.get_all_node_info(timeout=ANSWER_S, state_filter=GcsNodeInfo.GcsNodeState.ALIVE)
    except (RayError, RuntimeError) as error:
        raise _silent(address, error) from error
    return [Node(name=each.node_manager_address, cpus=each.resources_total.get("CPU", 0.0),
                 gpus=each.resources_total.get("GPU", 0.0), labels=dict(each.labels)) for each in alive.values()]


def _silent(address: str, error: Exception) -> OrchestratorError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return OrchestratorError(f"the cluster at {address} does not say what its nodes have: {reason}")


class Room:
    """How many slots the nodes of a cluster hold, asked now and then."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock = settings, clock
        self._slots, self._ask_at = settings.slots, -math.inf

    def slots(self) -> int:
        """Return how many slots there are; while the cluster does not answer, as many as before."""
        if self._settings.slots_follow_nodes and self._settings.ray_address and self._clock() >= self._ask_at:
            with suppress(OrchestratorError):
                self._slots = _total(self._settings, nodes_of(self._settings))
            self._ask_at = self._clock() + LOOK_S
        return self._slots


def _total(settings: Settings, nodes: Sequence[Node]) -> int:
    return sum(_room(node, settings.gpus_per_slot) for node in nodes if _is_meant(node, settings.slot_labels))


def _is_meant(node: Node, labels: Mapping[str, str]) -> bool:
    return node.labels is None or all(has_label(node.labels, *each) for each in labels.items())


def misfit(settings: Settings, nodes: Sequence[Node], workers: int) -> str:
    """Return why a stage can never run on these nodes, "" if it can.

    Args:
        settings: the operator's settings, which say what a slot needs.
        nodes: the nodes that are up; if there are none, the answer is "".
        workers: the number of slots that the largest stage takes.
    """
    if not nodes:
        return ""
    gpus, labels = settings.gpus_per_slot, dict(settings.slot_labels)
    on_gpus = [f"{gpus:g} GPU{'s' if gpus > 1 else ''}"] if gpus else []
    needs = ", ".join(["1 CPU", *on_gpus, *(f"label {key}={value}" for key, value in labels.items())])
    fitting = [node for node in nodes if _is_meant(node, labels)]
    if not fitting:
        known = sorted({f"{key}={value}" for node in nodes for key, value in (node.labels or {}).items()
                        if key in labels})
        return (f"a slot needs {needs}; none of the {len(nodes)} nodes has these labels "
                f"(there are: {', '.join(known) or 'none of these'})")
    room = sum(_room(node, gpus) for node in fitting)
    largest = max(fitting, key=lambda node: (node.gpus, node.cpus))
    has = f"{largest.cpus:g} CPUs and {largest.gpus:g} GPUs"
    if not room:
        return f"a slot needs {needs}; the largest of {len(fitting)} such nodes, {largest.name}, has {has}"
    if room < workers:
        return (f"a stage takes {workers} slots of {needs}; {len(fitting)} such nodes hold {room} in all, the largest, "
                f"{largest.name}, has {has}")
    return ""


def has_label(labels: Mapping[str, str], key: str, selector: str) -> bool:
    """Return whether a node's labels meet a selector of Ray: `value`, `!value`, `in(a, b)` or `!in(a, b)`."""
    several = _SEVERAL.fullmatch(selector.strip())
    if several:
        is_among = labels.get(key) in {value.strip() for value in several["values"].split(",")}
        return is_among != bool(several["no"])
    return labels.get(key) != selector[1:] if selector.startswith("!") else labels.get(key) == selector


def _room(node: Node, gpus: float) -> int:
    """Return the number of slots that fit on an empty node; a fraction of a GPU is never split over two GPUs."""
    on_gpus = math.inf if not gpus else node.gpus // gpus if gpus >= 1 else int(node.gpus) * math.floor(1 / gpus + 1e-9)
    return int(min(node.cpus, on_gpus))
