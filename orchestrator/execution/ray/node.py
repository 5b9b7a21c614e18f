"""A node of a Ray cluster that tells whether it is one: `python -P -m orchestrator.execution.ray.node`.

- It is `ray start --block` with the same options, and two more: `--health FILE` and `--loopback`.
- `--health FILE` keeps a file that is written every few seconds while the cluster's control service lists this node as
  alive. To look at the file's age costs nothing; a command of Ray that asks the same takes seconds of a core each time.
- `--loopback` has all processes of the node listen on 127.0.0.1 alone. Ray replaces that address by one that other
  machines reach, and then listens on all; here it is told that there is no other.
- What is never used here is not started: Ray's Client server, its autoscaler, and what collects workers' output.
"""

from __future__ import annotations

import argparse
import sys
import threading
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ray._private import services
from ray._private.node import Node
from ray._raylet import GcsClient  # type: ignore[attr-defined]  # an extension, without a stub
from ray.core.generated.gcs_pb2 import GcsNodeInfo
from ray.core.generated.gcs_service_pb2 import GetAllNodeInfoRequest
from ray.exceptions import RayError
from ray.scripts import scripts

from orchestrator.settings import take_secret_files

LOOPBACK = "127.0.0.1"
PULSE_S = 5.0
"""Seconds between two writes of `--health`, and the longest wait for an answer."""


def main(arguments: Sequence[str]) -> None:
    """Start the node and stay until a signal ends it, or one of its processes dies.

    Args:
        arguments: ours, then those of `ray start`.
    """
    parser = argparse.ArgumentParser(prog="python -m orchestrator.execution.ray.node")
    parser.add_argument("--health", type=Path, required=True, help="file that says whether the node is alive")
    parser.add_argument("--loopback", action="store_true", help="listen on 127.0.0.1 alone")
    parser.add_argument("--address", help="of the cluster to join, HOST:PORT; without it, this node is the head")
    parser.add_argument("--port", type=int, default=6379, help="of the head's control service")
    take_secret_files()  # workers are children of this process, and take their environment from it
    ours, theirs = parser.parse_known_args(arguments)
    if ours.loopback:
        services.get_node_ip_address = lambda address=None: LOOPBACK  # noqa: ARG005 (Ray's name)
    name = f"ablate-{uuid.uuid4().hex}"
    cluster = ours.address or f"{services.get_node_ip_address()}:{ours.port}"
    address = services.get_node_ip_address(cluster)
    role = [f"--address={cluster}"] if ours.address else ["--head", f"--port={ours.port}"]
    scripts.get_ray_client_dependency_error = lambda: ImportError("not wanted")  # no option says so
    if "--include-dashboard=false" in theirs:
        Node.start_api_server = _no_api_server  # it would serve nothing, and take a core just when the node starts
    ours.health.unlink(missing_ok=True)
    threading.Thread(target=_beat, args=(ours.health, cluster, name), name="health", daemon=True).start()
    scripts.start.main(
        [
            *role,
            "--block",
            "--disable-usage-stats",
            "--no-monitor",
            "--include-log-monitor=false",
            f"--node-name={name}",
            f"--node-ip-address={address}",
            *theirs,
        ]
    )


def _no_api_server(self: Node, **_options: object) -> None:
    self._webui_url = None


def _beat(file: Path, cluster: str, name: str) -> None:
    """Write the file again and again while the cluster says that this node is alive."""
    pause, mine = threading.Event(), GetAllNodeInfoRequest.NodeSelector(node_name=name)
    client: Any = None
    while True:
        with suppress(RayError):  # the control service does not answer yet, or no more
            client = client or GcsClient(address=cluster)
            if client.get_all_node_info(
                timeout=PULSE_S, node_selectors=[mine], state_filter=GcsNodeInfo.GcsNodeState.ALIVE
            ):
                temporary = file.with_name(f".{file.name}.tmp")
                temporary.write_text(f"a node of {cluster}\n")
                temporary.replace(file)
        pause.wait(PULSE_S)


if __name__ == "__main__":
    main(sys.argv[1:])
