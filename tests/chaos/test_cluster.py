"""What nodes and workers of a real Ray cluster do to a study: nothing that its table shows."""

import json
import os
import subprocess
import sys

import pytest

from orchestrator.driver.loop import drive
from orchestrator.execution.executor import InlineExecutor
from orchestrator.ledger import read
from orchestrator.ledger.engine import open_ledger
from orchestrator.ledger.submit import submit
from tests.support.toy import table, toy_execute, toy_plan, toy_settings

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]


def figures(program, home):
    """Run a program of this folder and read the JSON on its last line."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {"RAY_raylet_start_wait_time_s": "300", "RAY_USAGE_STATS_ENABLED": "0"}
    command = [sys.executable, "-m", f"tests.chaos.{program}", home]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def happened(tmp_path_factory):
    return figures("on_cluster", tmp_path_factory.mktemp("cluster"))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The table of the arms 0 and 1 in this process."""
    settings = toy_settings(tmp_path_factory.mktemp("undisturbed"))
    engine = open_ledger(settings.ledger_url)
    settings.artifacts.mkdir()
    study_id = submit(engine, toy_plan(levels=(0, 1), seeds=1, benchmarks=("a",)))
    drive(settings, until=study_id, executor=lambda _: InlineExecutor(toy_execute))
    assert read.study(engine, study_id).state == "COMPLETED"
    scores = [row[2] for row in table(engine, study_id) if len(row) > 2]
    engine.dispose()
    return sorted(scores)


def scores(found):
    return sorted(row[2] for row in found["table"] if len(row) > 2)


def test_a_lost_node_costs_an_attempt_that_goes_on_elsewhere(happened, undisturbed):
    found = happened["node_lost"]
    assert (found["state"], found["attempts"]) == ("COMPLETED", {"SUCCEEDED": 5, "LOST charged": 1})
    assert (found["resumed_from"], found["differences"], scores(found)) == ([2], 0, undisturbed)


def test_with_no_node_left_the_driver_waits_says_so_and_goes_on_when_one_joins(happened, undisturbed):
    found = happened["no_node_left"]
    assert (found["state"], found["attempts"]["SUCCEEDED"], found["differences"]) == ("COMPLETED", 5, 0)
    assert scores(found) == undisturbed
    assert "2 attempts wait for a slot: no machine has room, or its processes are starting" in found["troubles"]


def test_what_runs_on_a_node_that_gives_notice_is_saved_and_not_charged(happened, undisturbed):
    found = happened["node_drained"]
    assert (found["state"], found["attempts"], found["resumed_from"]) == ("COMPLETED", {"SUCCEEDED": 5, "PREEMPTED": 1}, [3])
    assert scores(found) == undisturbed


def test_a_killed_worker_is_one_lost_attempt_and_one_execution_more(happened, undisturbed):
    found = happened["worker_killed"]
    assert (found["attempts"], found["executions"]["sft"]) == ({"SUCCEEDED": 5, "LOST charged": 1}, 3)
    assert scores(found) == undisturbed


def test_a_stage_that_kills_every_worker_is_given_up_and_the_others_are_not(happened):
    found = happened["every_worker_killed"]
    assert (found["state"], found["attempts"]) == ("COMPLETED_WITH_FAILURES", {"SUCCEEDED": 3, "LOST charged": 4})
    assert found["failures"][-1]["message"].endswith("given up: the 3 retries that LOST has are spent")


def test_a_stage_that_hangs_is_stalled_with_its_stacks_and_given_up(happened):
    found = happened["worker_hangs"]
    assert found["attempts"] == {"SUCCEEDED": 3, "STALLED charged": 2}
    assert all("in _trouble" in failure["traceback"] for failure in found["failures"])


def test_spent_memory_is_told_with_its_peak_and_a_knob_and_retried_once(happened):
    found = happened["memory_spent"]
    assert found["attempts"] == {"SUCCEEDED": 3, "RESOURCE charged": 2}
    assert all("out of memory at a peak of" in failure["message"] for failure in found["failures"])
    assert all("hint: fewer slots (ABLATE_SLOTS)" in failure["message"] for failure in found["failures"])


def test_after_the_head_is_lost_a_new_cluster_goes_on_from_the_checkpoints(tmp_path, undisturbed):
    found = figures("on_lost_head", tmp_path)
    assert found["code"] != 0
    assert (found["state"], found["differences"], found["resumed_from"]) == ("COMPLETED", 0, [2, 2])
    assert scores(found) == undisturbed


def test_a_dead_driver_leaves_no_workers_and_nothing_reserved(tmp_path):
    assert figures("on_lost_group", tmp_path) == {"workers": 2, "placement_groups": ["REMOVED"]}
