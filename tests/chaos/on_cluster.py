"""Toy studies on a real Ray `Cluster` whose nodes come and go; a program of its own, prints what happened as JSON.

A process of its own, so that no other test meets its Ray, and what it leaves behind dies with it.
"""

import json
import os
import sys
import time
from collections import Counter
from pathlib import Path

import ray
from ray.cluster_utils import Cluster
from ray.core.generated import autoscaler_pb2
from sqlalchemy import select

from orchestrator.driver import in_flight
from orchestrator.driver.loop import DriverView, drive
from orchestrator.execution.ray.executor import RayExecutor
from orchestrator.ledger import read
from orchestrator.ledger import tables as t
from orchestrator.ledger.engine import open_ledger
from orchestrator.ledger.submit import submit
from orchestrator.ledger.verify import verify
from tests.support.toy import GATE, executions, table, toy_execute, toy_plan, toy_settings

PREEMPTION = autoscaler_pb2.DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION")


class World:
    """A cluster of a head without slots and nodes of one slot each, and a study that is driven on it."""

    def __init__(self, home: Path, num_nodes: int) -> None:
        self.home = home
        self.cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        self.nodes = [self.cluster.add_node(num_cpus=1) for _ in range(num_nodes)]
        self.cluster.wait_for_nodes()
        self.done: list[str] = []

    def study(self, name: str, plan, on_tick=lambda _: None, **changes):
        """Drive a study to its end; return what became of it."""
        home = self.home / name
        home.mkdir()
        settings = toy_settings(home, ray_address=self.cluster.address, lease_ttl_s=30.0, stop_grace_s=20.0, **changes)
        settings.artifacts.mkdir()
        engine = open_ledger(settings.ledger_url)
        study_id = submit(engine, plan)
        drive(settings, until=study_id, executor=lambda given: RayExecutor(given, execute=toy_execute), on_tick=on_tick)
        with engine.connect() as connection:
            attempts = connection.execute(select(t.attempts.c.state, t.attempts.c.is_charged, t.attempts.c.failure)).all()
        rows = read.stages(engine, study_id)
        found = {
            "state": read.study(engine, study_id).state, "table": table(engine, study_id), "differences": len(verify(engine).differences),
            "attempts": Counter(f"{row.state}{' charged' if row.is_charged else ''}" for row in attempts),
            "resumed_from": sorted(row.result["resumed_from"] for row in rows if row.attempts_made > 1 and row.result),
            "failures": [json.loads(row.failure) for row in attempts if row.failure], "executions": Counter(executions(settings)),
        }
        engine.dispose()
        return found

    def gate(self, name: str) -> None:
        (self.home / name / "artifacts" / GATE).touch()

    def once(self, name: str) -> bool:
        """Say whether this is the first time that it is asked."""
        is_new = name not in self.done
        self.done.append(name)
        return is_new


def num_at_gate(view: DriverView) -> int:
    return sum(report.get("step", 0) == 2 for report in view.progress.values())


def gated(levels=(0, 1)):
    return toy_plan(levels=levels, seeds=1, benchmarks=("a",), trouble=dict.fromkeys(levels, "gate"))


def node_lost(world: World):
    """Of two nodes at work one is lost: its attempt is, the other goes on, and does the work of both."""
    def lose(view: DriverView) -> None:
        if num_at_gate(view) == 2 and world.once("node_lost"):
            world.cluster.remove_node(world.nodes.pop(), allow_graceful=False)
        elif num_at_gate(view) == 1 and "node_lost" in world.done:
            world.gate("node_lost")

    return world.study("node_lost", gated(), lose)


def no_node_left(world: World):
    """The last node is lost; the driver waits and says so, and goes on when one joins."""
    in_flight.WAITS_S = 1.0
    troubles = []

    def lose(view: DriverView) -> None:
        troubles.append(view.trouble)
        if num_at_gate(view) == 1 and world.once("no_node_left"):
            world.cluster.remove_node(world.nodes.pop(), allow_graceful=False)
        elif view.trouble.startswith("2 of 2") and world.once("joined"):
            world.gate("no_node_left")
            world.nodes.append(world.cluster.add_node(num_cpus=1))

    return {**world.study("no_node_left", gated(), lose), "troubles": sorted(set(troubles))}


def node_drained(world: World):
    """A node gives notice: what runs there saves, is not charged, and goes on elsewhere."""
    world.nodes.append(world.cluster.add_node(num_cpus=1))
    world.cluster.wait_for_nodes()

    def drain(view: DriverView) -> None:
        if num_at_gate(view) == 2 and world.once("drained"):
            client = ray._private.worker.global_worker.gcs_client
            deadline_ms = (time.time_ns() // 10**6) + 60_000
            assert client.drain_node(world.nodes[-1].node_id, PREEMPTION, "test", deadline_ms)[0]
        elif num_at_gate(view) == 1 and "drained" in world.done:
            world.gate("node_drained")

    return world.study("node_drained", gated(), drain)


def worker_killed(world: World):
    """A worker is killed once."""
    plan = toy_plan(levels=(0, 1), seeds=1, benchmarks=("a",), trouble={1: "kill once"})
    return world.study("worker_killed", plan)


def every_worker_killed(world: World):
    """A stage kills every worker that it touches; the other arm is finished."""
    return world.study("every_worker_killed", toy_plan(levels=(0, 1), seeds=1, benchmarks=("a",), trouble={1: "kill"}))


def worker_hangs(world: World):
    """A stage hangs, whatever it is asked."""
    plan = toy_plan(levels=(0, 1), seeds=1, benchmarks=("a",), trouble={1: "hang"})
    return world.study("worker_hangs", plan, no_progress_s=2.0)


def memory_spent(world: World):
    """A stage wants more memory than its process may have."""
    return world.study("memory_spent", toy_plan(levels=(0, 1), seeds=1, benchmarks=("a",), trouble={1: "memory"}))


def main(home: Path) -> None:
    """Run all scenarios on one cluster, node by node."""
    os.environ["HOME"] = str(home)
    world = World(home, 2)
    found = {scenario.__name__: scenario(world) for scenario in (
        node_lost, no_node_left, worker_killed, every_worker_killed, worker_hangs, memory_spent, node_drained)}
    world.cluster.shutdown()
    print(json.dumps(found))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
