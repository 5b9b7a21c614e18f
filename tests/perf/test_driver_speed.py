"""What the driver itself costs: with 500 running stages, and over 10,000 trials, on an executor that pretends."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.perf, pytest.mark.timeout(3600)]

SIZES = (2500, 5000, 10_000)
SLOTS = 64


def figures(*arguments: object) -> dict[str, float]:
    """Run the program of this folder and read the JSON on its last line."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "tests.perf.simulated", *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_the_driver_with_500_running_stages(measured):
    found = figures("held", 500, 30)
    assert found["running"] == 500
    measured("driver with 500 running stages, share of a core", 100 * found["cpu_share"], "%", "< 5")


def test_deciding_ten_thousand_trials(measured):
    found = [figures("decide", trials, SLOTS) for trials in SIZES]
    for smaller, larger in zip(found, found[1:], strict=False):
        growth = larger["cpu_s"] / smaller["cpu_s"]
        measured(f"deciding alone, growth from {smaller['trials']} to {larger['trials']} trials", growth, "times", "2 is linear")
    measured(f"deciding alone, {found[-1]['trials']} trials", found[-1]["cpu_s"], "s", "end to end")


def test_ten_thousand_trials(measured):
    found = [figures("end", trials, SLOTS) for trials in SIZES]
    for each in found:
        measured(f"{each['trials']} trials, simulated executor, CPU of the driver", each["cpu_s"], "s", "end to end")
    for smaller, larger in zip(found, found[1:], strict=False):
        growth = larger["cpu_s"] / smaller["cpu_s"]
        measured(f"growth from {smaller['trials']} to {larger['trials']} trials", growth, "times", "2 is linear")
    measured(f"memory grown over {found[-1]['stages']} stages", found[-1]["grown_mib"], "MiB", "flat")
