"""The quick-start study on two nodes, PostgreSQL and an MLflow server, one node killed on the way; prints what came of it.

Takes as long as the study. `python -m tests.chaos.on_two_nodes FOLDER [UNDISTURBED_HOME]`; with a home in which
`ablate run quickstart` was done undisturbed, it also says whether the tables are equal to the last bit.
"""

import json
import os
import sys
import time
from collections import Counter
from pathlib import Path

from mlflow.tracking import MlflowClient
from pydantic import SecretStr
from ray.cluster_utils import Cluster
from sqlalchemy import select

from orchestrator.driver.loop import DriverView, drive
from orchestrator.ledger import read
from orchestrator.ledger import tables as t
from orchestrator.ledger.engine import open_ledger
from orchestrator.ledger.submit import submit
from orchestrator.ledger.verify import verify
from orchestrator.plan.plan import Planner
from orchestrator.settings import Settings
from orchestrator.study.study import load_study
from tests.support.ledgers import Server
from tests.support.mlflow_server import MlflowServer
from tests.support.toy import table

KILL_AT = 20
"""Finished stages after which a node is killed."""


def main(folder: Path, undisturbed: Path | None) -> None:
    """Run the study; kill a node once, while both of its nodes train."""
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["HOME"] = str(folder)
    postgres, mlflow = Server(), MlflowServer(folder)
    mlflow.start()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    cluster.wait_for_nodes()
    settings = Settings().model_copy(update={
        "home": folder / "home", "ledger": SecretStr(postgres.fresh()), "mlflow": mlflow.uri, "slots": 2, "ray_address": cluster.address})
    engine = open_ledger(settings.ledger_url)
    study_id = submit(engine, Planner(load_study(Path("studies/quickstart.yaml")), "tiny").plan())
    killed: list[float] = []

    def kill_a_node(view: DriverView) -> None:
        at_work = sum(report.get("step", 0) >= 20 for report in view.progress.values())
        if not killed and at_work == 2 and read.study(engine, study_id).stages_done >= KILL_AT:
            killed.append(time.time())
            cluster.remove_node(nodes.pop(), allow_graceful=False)

    began = time.monotonic()
    ended = drive(settings, until=study_id, on_tick=kill_a_node)
    print(json.dumps({  # noqa: T201
        "ended": ended, "seconds": time.monotonic() - began, "nodes_killed": len(killed), **facts(engine, study_id, mlflow.uri),
        "is_undisturbed_table": table(engine, study_id) == undisturbed_table(undisturbed) if undisturbed else None}, indent=1))
    engine.dispose()
    cluster.shutdown()
    mlflow.stop()
    postgres.close()


def facts(engine, study_id: str, uri: str) -> dict[str, object]:
    """Return how attempts ended, what the ledger says of itself, and what MLflow has of it."""
    with engine.connect() as connection:
        attempts = connection.execute(select(t.attempts.c.state, t.attempts.c.is_charged)).all()
    client = MlflowClient(uri)
    runs = [run for each in client.search_experiments() for run in client.search_runs([each.experiment_id], max_results=1000)]
    rows = read.stages(engine, study_id)
    again = [row.result or {} for row in rows if row.attempts_made > 1]
    return {
        "state": read.study(engine, study_id).state, "ledger": engine.dialect.name, "stages": len(rows),
        "attempts": Counter(f"{row.state}{' charged' if row.is_charged else ''}" for row in attempts),
        "resumed_from": [result["resumed_from"] for result in again if "resumed_from" in result],
        "differences": len(verify(engine).differences), "outbox_lag": read.outbox_lag(engine), "mlflow_runs": len(runs),
        "mlflow_subjects": len({run.data.tags["subject"] for run in runs}), "table": table(engine, study_id)}


def undisturbed_table(home: Path) -> list[tuple[object, ...]]:
    """Return the table of the study that was run in that home."""
    engine = open_ledger(f"sqlite:///{home}/ledger.db")
    return table(engine, read.study(engine, "quickstart").study_id)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), Path(sys.argv[2]).absolute() if len(sys.argv) > 2 else None)
