"""Ablate with stages that do nothing: seconds per trial of a search, all written, as JSON; run as a program of its own.

A trial is a training and an evaluation stage, each with order, claim, attempt folder, published artifact, result file,
scores, events and MLflow runs; Optuna proposes every arm from the ledger. Time ends when MLflow has everything.
"""

import json
import sys
import tempfile
import time
import warnings
from pathlib import Path

import mlflow

from model.manifest import publish
from orchestrator.attempt import run_attempt
from orchestrator.driver import drive
from orchestrator.ledger import open_ledger, read
from orchestrator.plan import make_plan
from orchestrator.ray_executor import RayExecutor
from orchestrator.settings import Settings
from orchestrator.study import load_study
from orchestrator.submit import submit

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
    """Warm up with one study of two trials, then time one of many in the same workers."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder) / "home", slots=2)
        workers = Warm(settings)
        studies = (("warm", 80, 2), ("timed", 81, num_trials))
        seconds = [timed(settings, workers, folder, name, steps, trials) for name, steps, trials in studies]
        workers.end()
        engine = open_ledger(settings.ledger_url)
        done = sum(trial.state == "SUCCEEDED" for trial in read.trials(engine, read.study(engine, "timed").study_id))
        mlflow.set_tracking_uri(settings.mlflow_uri)
        logged = len(mlflow.search_runs(experiment_names=["timed"], output_format="list"))
    print(json.dumps({"trials": done, "mlflow_runs": logged, "seconds_per_trial": seconds[-1] / num_trials}))


def timed(settings: Settings, workers: "Warm", folder: str, name: str, steps: int, trials: int) -> float:
    """Submit a search and drive it to its end; return the seconds."""
    path = Path(folder) / f"{name}.yaml"
    path.write_text(STUDY.format(name=name, steps=steps, trials=trials))
    plan = make_plan(load_study(path), "tiny")
    start = time.perf_counter()
    engine = open_ledger(settings.ledger_url)
    study_id = submit(engine, plan)
    drive(settings, until=study_id, executor=lambda _: workers)
    return time.perf_counter() - start


class Warm(RayExecutor):
    """Workers that stay for the next driver."""

    def __init__(self, settings: Settings) -> None:
        """Start Ray with stages that do nothing."""
        super().__init__(settings, execute=carry_out)

    def close(self) -> None:
        """Stay."""

    def end(self) -> None:
        """Go."""
        super().close()


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
