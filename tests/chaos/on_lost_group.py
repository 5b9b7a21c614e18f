"""A driver that dies while several workers train its stage on a standing cluster; prints what is left there.

`python -m tests.chaos.on_lost_group FOLDER`; the same program with an address is the driver.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

from orchestrator.execution.ray.executor import RayExecutor
from tests.support.together import of_groups, order_of, plan_of, steps_of, until, workers
from tests.support.toy import toy_settings


def be_driver(home: Path, address: str) -> None:
    """Hand over a stage of two workers and wait for its end, which does not come."""
    executor = RayExecutor(toy_settings(home, ray_address=address))
    executor.submit(order_of(plan_of(home, workers=2), home, workers=2))
    while not executor.poll(1.0):
        pass


def main(home: Path) -> None:
    """Kill the driver when its workers have come some way; wait until nothing of them is left."""
    os.environ["HOME"] = str(home)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    driver = subprocess.Popen([sys.executable, "-m", "tests.chaos.on_lost_group", home, cluster.address])
    until(lambda: len(steps_of(home / "1")) >= 2)
    found = {"workers": len(workers())}
    driver.kill()
    driver.wait()
    until(lambda: not of_groups())
    ray.init(cluster.address, namespace="ablate")
    until(lambda: ray.available_resources().get("CPU") == 2.0)
    found["placement_groups"] = sorted({each["state"] for each in ray.util.placement_group_table().values()})
    ray.shutdown()
    cluster.shutdown()
    print(json.dumps(found))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1])) if len(sys.argv) == 2 else be_driver(Path(sys.argv[1]), sys.argv[2])
