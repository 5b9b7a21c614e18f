"""Join the Ray cluster as a driver does, or ask Ray Jobs: `python -m orchestrator.execution.ray.probe`, asked by `ablate doctor`.

Reads the settings as one line of JSON, and prints {"found", "problem"}. A process of its own, since Ray reads its token
once in the life of a process, and a join may hang.
"""

from __future__ import annotations

import json
import sys

import ray
from ray.exceptions import RayError
from ray.job_submission import JobSubmissionClient

from orchestrator.errors import OrchestratorError
from orchestrator.execution.ray.cluster import connect, disconnect
from orchestrator.settings import Settings


def main() -> None:
    """Probe, and say what came of it."""
    settings = Settings(**json.loads(sys.stdin.readline()))
    try:
        found, wrong = (jobs(settings) if "--jobs" in sys.argv else cluster(settings)), ""
    except (OrchestratorError, RayError, ConnectionError, RuntimeError, ValueError) as error:
        found, wrong = "", (str(error).strip().splitlines() or [type(error).__name__])[0]
    print(json.dumps({"found": found, "problem": wrong}))  # noqa: T201


def cluster(settings: Settings) -> str:
    """Join the cluster, and return version, nodes, and what is free.

    Raises:
        OrchestratorError: it does not answer, or refuses the token.
    """
    folder = connect(settings)
    try:
        free, all_there, nodes = ray.available_resources(), ray.cluster_resources(), ray.nodes()
    finally:
        disconnect(folder)
    rooms = (f"{free.get(name, 0):g} of {all_there.get(name, 0):g} {name}s free" for name in ("CPU", "GPU"))
    return f"version {ray.__version__}, {sum(node['Alive'] for node in nodes)} nodes, {', '.join(rooms)}"


def jobs(settings: Settings) -> str:
    """Ask Ray Jobs for its version and jobs.

    Raises:
        RuntimeError, ConnectionError: it does not answer, or refuses the token.
    """
    client = JobSubmissionClient(settings.ray_jobs)
    return f"version {client.get_version()}, {len(client.list_jobs())} jobs"


if __name__ == "__main__":
    main()
