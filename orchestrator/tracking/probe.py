"""Write to the MLflow server and read it back: `python -m orchestrator.tracking.probe`, asked by `ablate doctor`.

Reads the settings as one line of JSON, and prints {"found", "problem"}. It leaves an empty experiment behind, nothing else.
"""

from __future__ import annotations

import json
import sys

from orchestrator.errors import OrchestratorError
from orchestrator.settings import Settings
from orchestrator.tracking.query import open_store

EXPERIMENT = "ablate doctor"
METRIC, VALUE = "probe", 1.5


def main() -> None:
    """Probe, and say what came of it."""
    settings = Settings(**json.loads(sys.stdin.readline()))
    try:
        found, wrong = write_and_read(settings), ""
    except OrchestratorError as error:
        found, wrong = "", str(error).splitlines()[0]
    print(json.dumps({"found": found, "problem": wrong}))  # noqa: T201


def write_and_read(settings: Settings) -> str:
    """Make an mlflow_run with one metric, read the metric, delete the mlflow_run; return what was done.

    Raises:
        OrchestratorError: the server does not answer, refuses, or answers something else.
    """
    with open_store(settings) as client:
        known = client.get_experiment_by_name(EXPERIMENT)
        run = client.create_run(known.experiment_id if known else client.create_experiment(EXPERIMENT))
        client.log_metric(run.info.run_id, METRIC, VALUE)
        read = client.get_run(run.info.run_id).data.metrics
        client.delete_run(run.info.run_id)
    if read != {METRIC: VALUE}:
        raise OrchestratorError(f"a metric of {VALUE} was written, {read} came back")
    return "a metric was written and read"


if __name__ == "__main__":
    main()
