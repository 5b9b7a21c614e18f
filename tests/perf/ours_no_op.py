"""Ablate with stages that do nothing: seconds per trial of a search, all written, as JSON; run as a program of its own.

A trial is a training and an evaluation stage, each with order, claim, attempt folder, published artifact, result file,
scores, events and MLflow runs; Optuna proposes every arm from the ledger. Time ends when MLflow has everything.
"""

import json
import os
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path

import mlflow
from sqlalchemy import func, select

from model.manifest import publish
from orchestrator.driver.loop import DriverView, drive
from orchestrator.execution.attempt import run_attempt
from orchestrator.execution.ray.executor import RayExecutor
from orchestrator.ledger import read
from orchestrator.ledger import tables as t
from orchestrator.ledger.engine import open_ledger
from orchestrator.ledger.submit import submit
from orchestrator.plan.plan import Plan, Planner
from orchestrator.settings import Settings
from orchestrator.study.study import load_study

STUDY = """
name: {name}
question: How long does a trial take that does nothing?
recipe: sft-ablation
set: {{start: noise, sft.steps: {steps}}}
search:
  sampler: tpe
  trials: {trials}
  parallel: 2
  parameters: {{sft.mixture.alpha.science: {{float: [0, 1]}}}}
evaluate: {{benchmarks: [science-names]}}
select: {{maximize: science-names}}
"""


def main(num_trials: int) -> None:
    """Have one driver carry out a study of two trials, so that all is warm, then one of many; time the second."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder) / "home", slots=2)
        engine = open_ledger(settings.ledger_url)
        ids = [submit(engine, planned(folder, "warm", 80, 2))]
        began: list[float] = []

        def next_study(view: DriverView) -> None:
            if view.num_live:  # asking the ledger each round would be timed too
                return
            if all(read.study(engine, study_id).state == "COMPLETED" for study_id in ids) and not read.outbox_lag(engine):
                if began:
                    os.kill(os.getpid(), signal.SIGTERM)
                else:
                    plan = planned(folder, "timed", 81, num_trials)
                    began.append(time.time())
                    ids.append(submit(engine, plan))

        drive(settings, on_tick=next_study, executor=lambda each: RayExecutor(each, execute=carry_out))
        with engine.connect() as connection:
            ended = connection.execute(select(func.max(t.tracking_outbox.c.sent_at))).scalar_one()
        done = sum(trial.state == "SUCCEEDED" for trial in read.trials(engine, read.study(engine, "timed").study_id))
        mlflow.set_tracking_uri(settings.mlflow_uri)
        logged = len(mlflow.search_runs(experiment_names=["timed"], output_format="list"))
    print(json.dumps({"trials": done, "mlflow_runs": logged, "seconds_per_trial": (ended - began[0]) / num_trials}))


def planned(folder: str, name: str, steps: int, trials: int) -> Plan:
    """Plan a search."""
    path = Path(folder) / f"{name}.yaml"
    path.write_text(STUDY.format(name=name, steps=steps, trials=trials))
    return Planner(load_study(path), "tiny").plan()


def carry_out(order, report, should_stop):
    """Do nothing, in full: whatever surrounds a stage is done."""
    def nothing(work):
        publish(work.out, lambda out: (out / "weights").write_bytes(b"0") and None)
        benchmark = work.spec.get("benchmark")
        score = {"score": 50.0, "score_lenient": 50.0, "num_items": 1, "num_unparseable": 0, "is_complete": True, "tokens_per_image": 0.0}
        return {"seconds": 0.0, **({"benchmark": benchmark, **score} if benchmark else {})}

    return run_attempt(order, {order["kind"]: nothing}, report=report, should_stop=should_stop)


if __name__ == "__main__":
    main(int(sys.argv[1]))
