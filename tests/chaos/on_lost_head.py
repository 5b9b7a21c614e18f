"""A driver whose cluster loses its head, and its successor on a new cluster; a program of its own, prints what happened as JSON."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from ray.cluster_utils import Cluster

from orchestrator.driver.loop import drive
from orchestrator.execution.ray.executor import RayExecutor
from orchestrator.ledger import read
from orchestrator.ledger.engine import open_ledger
from orchestrator.ledger.submit import submit
from orchestrator.ledger.verify import verify
from tests.support.toy import GATE, table, toy_execute, toy_plan, toy_settings

PATIENCE_S = 150.0
"""Ray gives a lost head a minute; then the driver must be gone by itself."""


def plan():
    return toy_plan(levels=(0, 1), seeds=1, benchmarks=("a",), trouble={0: "gate", 1: "gate"})


def settings_of(home: Path, address: str):
    return toy_settings(home, ray_address=address, lease_ttl_s=30.0, retry_base_s=0.1)


def driver(home: Path, address: str) -> None:
    """Submit and drive, as a process of its own."""
    settings = settings_of(home, address)
    study_id = submit(open_ledger(settings.ledger_url), plan())
    drive(settings, until=study_id, executor=lambda given: RayExecutor(given, execute=toy_execute))


def cluster() -> Cluster:
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    made.add_node(num_cpus=1)
    made.add_node(num_cpus=1)
    made.wait_for_nodes()
    return made


def main(home: Path) -> None:
    """Kill the head's GCS while both stages are at work; then go on elsewhere."""
    os.environ["HOME"] = str(home)
    settings = settings_of(home, "")
    settings.artifacts.mkdir()
    first = cluster()
    child = subprocess.Popen([sys.executable, "-m", "tests.chaos.on_lost_head", str(home), first.address], stderr=subprocess.PIPE)
    engine = open_ledger(settings.ledger_url)
    while sum((row.progress or {}).get("step") == 2 for each in read.studies(engine) for row in read.stages(engine, each.study_id)) < 2:
        assert child.poll() is None
        time.sleep(0.2)
    first.head_node.kill_gcs_server()
    lost_at = time.monotonic()
    try:
        child.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        child.kill()
    seconds, code = time.monotonic() - lost_at, child.wait()
    first.shutdown()
    (settings.artifacts / GATE).touch()
    second = cluster()
    driver(home, second.address)
    second.shutdown()
    study_id = read.studies(engine)[0].study_id
    print(json.dumps({  # noqa: T201
        "code": code, "seconds": seconds, "state": read.study(engine, study_id).state, "table": table(engine, study_id),
        "differences": len(verify(engine).differences), "stderr": child.stderr.read().decode(errors="replace")[-2000:],
        "resumed_from": [row.result["resumed_from"] for row in read.stages(engine, study_id) if row.kind == "sft"]}))


if __name__ == "__main__":
    if len(sys.argv) == 2:
        main(Path(sys.argv[1]))
    else:
        driver(Path(sys.argv[1]), sys.argv[2])
