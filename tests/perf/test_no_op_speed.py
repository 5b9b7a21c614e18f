"""Time for each trial that does nothing: ours beside Ray Tune with OptunaSearch, both warm, two at a time, programs of their own."""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.perf, pytest.mark.timeout(600)]

HERE = Path(__file__).parent
TRIALS = 32


def figures(program: str) -> dict[str, float]:
    """Run a program and read the JSON on its last line."""
    tokens = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    environment = {**os.environ, **tokens, "PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, HERE / program, str(TRIALS)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_idle_time_between_two_stages_of_a_warm_slot(measured):
    found = figures("ours_idle.py")
    assert found["gaps"] > TRIALS
    measured("idle time of a warm slot between stages, median", found["median_s"], "s", "< 0.1", {"95th percentile": found["p95_s"]})


def test_seconds_per_no_op_trial(measured):
    rival, ours = figures("rival_ray_tune.py"), figures("ours_no_op.py")
    assert (ours["trials"], ours["mlflow_runs"], rival["trials"]) == (TRIALS, TRIALS, TRIALS)
    measured("no-op trial: ledger, Optuna, artifacts, MLflow written", ours["seconds_per_trial"], "s/trial", "<= 0.1",
             {"Ray Tune + OptunaSearch, without MLflow": rival["seconds_per_trial"]})
