"""Stages of several workers on a real local Ray: they end as those of one do, whatever happens to the workers on the way."""

import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import pytest
import ray
import torch
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError
from ray.train.v2.api.exceptions import WorkerGroupError
from safetensors.torch import load_file
from sqlalchemy import select

from orchestrator.artifacts.store import Artifacts
from orchestrator.driver.loop import Exit, drive
from orchestrator.execution import worker
from orchestrator.execution.executor import InlineExecutor
from orchestrator.execution.ray import train
from orchestrator.execution.ray.executor import RayExecutor, _Slot
from orchestrator.execution.record import failure_of
from orchestrator.ledger import actions, read
from orchestrator.ledger import tables as t
from orchestrator.ledger.engine import open_ledger
from orchestrator.ledger.submit import submit
from orchestrator.states import AttemptState
from tests.support.together import STEPS, WAIT_S, of_groups, order_of, plan_of, steps_of, until, workers
from tests.support.toy import toy_settings

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def executor(ray_home):
    """Two slots on a Ray whose home is not the user's."""
    executor = RayExecutor(toy_settings(ray_home))
    close = executor.close
    executor.close = lambda: None  # a driver that leaves closes its executor
    yield executor
    close()


class Home:
    """A ledger with the study in it, and its artifacts."""

    def __init__(self, folder, *, workers):
        self.settings = toy_settings(folder, lease_ttl_s=60.0, no_progress_s=WAIT_S, stop_grace_s=WAIT_S)
        self.store = Artifacts(self.settings.artifacts)
        self.engine = open_ledger(self.settings.ledger_url)
        self.study_id = submit(self.engine, plan_of(folder, workers=workers), slots=self.settings.slots)

    def drive(self, executor):
        return drive(self.settings, until=self.study_id, executor=lambda _: executor)

    def row(self, kind):
        row, = [each for each in read.stages(self.engine, self.study_id) if each.kind == kind]
        return row

    def attempts(self):
        """Return the state of each attempt of the training stage, and whether it was charged."""
        columns = (t.attempts.c.state, t.attempts.c.is_charged)
        with self.engine.connect() as connection:
            query = select(*columns).where(t.attempts.c.stage_id == self.row("sft").stage_id).order_by(t.attempts.c.attempt_no)
            return [tuple(row) for row in connection.execute(query)]

    def weights(self):
        return load_file(self.store.out_dir(self.row("sft").stage_id, len(self.attempts())) / "model.safetensors")


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The study by one worker, in this process."""
    home = Home(tmp_path_factory.mktemp("alone"), workers=1)
    assert home.drive(InlineExecutor(worker.execute)) is Exit.FINISHED
    yield home
    home.engine.dispose()


# ---- what happens on the way ----


def equal_to_rounding(mine, theirs):
    assert mine.keys() == theirs.keys()
    for name, weight in mine.items():
        if "qkv.bias" not in name:  # attention does not feel the biases of keys: their gradient is rounding alone
            torch.testing.assert_close(weight, theirs[name], rtol=0, atol=2e-5, msg=lambda text, name=name: f"{name}: {text}")


def test_a_study_ends_as_with_one_worker_though_one_of_two_is_killed_and_the_other_attempt_is_paused(executor, alone, tmp_path):
    home = Home(tmp_path, workers=2)
    store, stage_id = home.store, home.row("sft").stage_id
    second, third = (store.attempt_dir(stage_id, i) for i in (2, 3))

    def disturb():
        until(lambda: store.newest_checkpoint(stage_id) >= 3)
        workers()[-1].kill()
        until(lambda: steps_of(second))
        actions.pause(home.engine, home.study_id)

    with ThreadPoolExecutor(1) as meanwhile:
        disturbed = meanwhile.submit(disturb)
        assert home.drive(executor) is Exit.PAUSED
        disturbed.result()
    assert home.attempts() == [("LOST", True), ("PREEMPTED", False)]
    actions.resume(home.engine, home.study_id)
    assert home.drive(executor) is Exit.FINISHED
    assert home.attempts()[2:] == [("SUCCEEDED", False)]
    mine, theirs = home.row("sft").result, alone.row("sft").result
    assert (mine["workers"], theirs["workers"]) == (2, 1)
    assert mine["resumed_from"] == steps_of(second)[-1]
    assert steps_of(second)[0] > 3
    assert steps_of(third) == list(range(mine["resumed_from"] + 1, STEPS + 1))
    assert mine["loss"] == pytest.approx(theirs["loss"], rel=1e-4)
    assert mine["drawn"] == theirs["drawn"]
    equal_to_rounding(home.weights(), alone.weights())
    assert home.row("evaluate").result["score"] == alone.row("evaluate").result["score"]
    home.engine.dispose()


def ended(executor, number):
    """Return so many outcomes, by attempt."""
    outcomes = []
    deadline = time.monotonic() + WAIT_S
    while len(outcomes) < number and time.monotonic() < deadline:
        outcomes += executor.poll(1.0)
    return {each.attempt_id: each for each in outcomes}


def test_nothing_is_left_of_a_group_that_was_ended_by_force_and_slots_take_its_place(executor, tmp_path):
    plan = plan_of(tmp_path, workers=2)
    order = order_of(plan, tmp_path, workers=2)
    executor.submit(order)
    while len(steps_of(order["attempt_dir"])) < 3:
        assert executor.poll(0.05) == []
    assert len(workers()) == 2
    executor.cancel("a1", kill=True)
    outcome = ended(executor, 1)["a1"]
    assert (outcome.state, outcome.is_charged) == (AttemptState.LOST, True)
    until(lambda: not of_groups())
    for attempt_no in (2, 3):
        executor.submit(order_of(plan, tmp_path if attempt_no == 2 else tmp_path / "other", attempt_no, workers=1))
    outcomes = ended(executor, 2)
    assert {each.state for each in outcomes.values()} == {AttemptState.SUCCEEDED}, outcomes
    last = steps_of(order["attempt_dir"])[-1]
    assert outcomes["a2"].result["resumed_from"] in {last - 1, last}  # a step is reported, then kept
    assert outcomes["a3"].result["resumed_from"] == 0
    assert {each["state"] for each in ray.util.placement_group_table().values()} == {"REMOVED"}


# ---- what a broken group is called ----


def cause(folder, failed, *noted):
    """Return what a group is said to have failed by, where these ranks wrote their failures in this order."""
    for rank, error in noted:
        train._note(failure_of(error), folder, rank)
    return train._cause(WorkerGroupError("as Ray has it", failed), folder)


def test_the_failure_that_was_written_first_is_the_cause(tmp_path):
    failed = {0: ValueError("what followed"), 1: ValueError("what came first")}
    found = cause(tmp_path, failed, (1, failed[1]), (0, failed[0]))
    assert (found["kind"], found["message"], found["type"]) == ("USER_ERROR", "worker 1: what came first", "builtins.ValueError")


def test_a_worker_that_is_gone_without_a_record_outweighs_what_the_others_met(tmp_path):
    gone = WorkerHealthCheckFailedError("gone", RayActorError())
    found = cause(tmp_path, {0: ValueError("met"), 1: gone}, (0, ValueError("met")))
    assert found["kind"] == "LOST"
    assert found["message"].startswith("worker 1 of the stage died: ")
    assert str(tmp_path) in found["message"]


def test_a_worker_that_the_host_had_no_memory_for_is_a_lack_of_resources(tmp_path):
    found = cause(tmp_path, {1: WorkerHealthCheckFailedError("gone", OutOfMemoryError("RSS 7.1 GB"))})
    assert found["kind"] == "RESOURCE"
    assert "hint: fewer slots" in found["message"]


# ---- where the workers go ----


def idle_on(*nodes):
    executor = RayExecutor.__new__(RayExecutor)
    executor._idle, executor._busy, executor._queue, executor._unstarted = [_Slot(None, None, each) for each in nodes], {}, deque(), []
    return executor


def test_workers_take_the_slots_of_any_node_where_all_see_the_artifacts():
    assert [each.node for each in idle_on("a", "b")._places({"workers": 2, "store": ""})] == ["b", "a"]


def test_workers_share_a_node_where_artifacts_go_through_an_object_store():
    assert [each.node for each in idle_on("a", "b", "a", "")._places({"workers": 2, "store": "s3://x"})] == ["a", "a"]


def test_workers_that_no_node_has_room_for_are_an_outcome_that_is_not_tried_again():
    executor = idle_on("a", "b")
    executor._queue.append({"attempt_id": "x", "workers": 2, "store": "s3://x"})
    executor._assign()
    outcome, = executor._unstarted
    assert (outcome.state, outcome.failure["is_certain"]) == (AttemptState.RESOURCE, True)
    assert "no node has 2 slots" in outcome.failure["message"]


def test_workers_that_would_share_a_gpu_are_refused_with_the_share(tmp_path):
    executor = idle_on("a", "b")
    executor._settings = toy_settings(tmp_path, gpus_per_slot=0.5)
    executor.submit({"attempt_id": "x", "workers": 2})
    outcome, = executor._unstarted
    assert (outcome.state, outcome.failure["is_certain"]) == (AttemptState.RESOURCE, True)
    assert "slots have 0.5 of one" in outcome.failure["message"]
