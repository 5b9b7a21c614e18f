"""Ray Tune with OptunaSearch: no-op trials, two at a time. Prints seconds per trial as JSON; run as a program of its own."""

import json
import sys
import tempfile
import time
import warnings

import optuna
import ray
from ray import tune
from ray.tune.search import ConcurrencyLimiter
from ray.tune.search.optuna import OptunaSearch


def no_op(config: dict[str, float]) -> None:
    """Report a score of the parameter and end."""
    tune.report({"score": config["alpha"]})


def tuner(num_trials: int, folder: str) -> tune.Tuner:
    """Build what its documentation shows: OptunaSearch, limited to two trials at once, quiet, local storage."""
    search = ConcurrencyLimiter(OptunaSearch(sampler=optuna.samplers.TPESampler(seed=0)), max_concurrent=2)
    return tune.Tuner(
        tune.with_resources(no_op, {"cpu": 1}),
        param_space={"alpha": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(metric="score", mode="max", search_alg=search, num_samples=num_trials),
        run_config=tune.RunConfig(storage_path=folder, verbose=0),
    )


def main(num_trials: int) -> None:
    """Warm up with two trials, then time the rest."""
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    with tempfile.TemporaryDirectory() as folder:
        tuner(2, folder).fit()
        start = time.perf_counter()
        results = tuner(num_trials, folder).fit()
        seconds = time.perf_counter() - start
    ray.shutdown()
    done = sum(result.metrics is not None and "score" in result.metrics for result in results)
    print(json.dumps({"trials": done, "seconds_per_trial": seconds / num_trials, "ray": ray.__version__, "optuna": optuna.__version__}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
