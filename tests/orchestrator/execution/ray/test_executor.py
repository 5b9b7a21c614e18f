"""Orders on a real local Ray: warm slots, progress while working, dead workers."""

import json
import os
from concurrent.futures import Future
from pathlib import Path

import pytest
import ray

from orchestrator.driver.loop import Exit, drive
from orchestrator.errors import OrchestratorError
from orchestrator.execution.executor import InlineExecutor
from orchestrator.execution.ray.cluster import connect
from orchestrator.execution.ray.executor import RayExecutor
from orchestrator.execution.ray.slot import Slot
from orchestrator.ledger import read
from orchestrator.ledger.engine import open_ledger
from orchestrator.ledger.submit import submit
from orchestrator.search import ObservedTrial, propose, propose_from
from orchestrator.states import AttemptState
from orchestrator.study.study import Search
from tests.support.toy import executions, toy_execute, toy_plan, toy_settings

WAIT_S = 60.0
GP = """
name: searched
question: How much?
recipe: sft-ablation
search: {sampler: gp, trials: 7, parameters: {sft.mixture.alpha.science: {float: [0.0, 1.0]}}}
evaluate: {benchmarks: [science-names]}
select: {maximize: science-names}
"""


class Elsewhere(InlineExecutor):
    """Stages in this process, that score by their level; proposals where it is told."""

    def __init__(self, call):
        super().__init__(self.score)
        self.call = call
        self.levels = {}

    def score(self, order, _report, _should_stop):
        spec = order["spec"]
        if order["kind"] == "sft":
            self.levels[order["stage_id"]] = spec["config"]["mixture"]["alpha"]["science"]
        value = 100 * self.levels.get(spec["parent_id"], 0.0) ** 2
        result = {"benchmark": spec.get("benchmark"), "score": value, "num_items": 4, "loss": 1.0}
        return {"attempt_id": order["attempt_id"], "attempt_no": 1, "state": "SUCCEEDED", "result": result, "failure": None, "seconds": 0.0}


def here(function, *arguments):
    done = Future()
    done.set_result(function(*arguments))
    return done


@pytest.fixture(scope="module")
def executor(ray_home):
    executor = RayExecutor(toy_settings(ray_home), execute=toy_execute)
    yield executor
    executor.close()


@pytest.fixture
def order(tmp_path):
    """Make an order for a toy stage that is troubled in the given way."""

    def make(trouble="", attempt_id="a"):
        stage = next(each for each in toy_plan(trouble={0: trouble}).stages.values() if each.kind == "sft")
        folder = tmp_path / "stages" / "xx" / stage.stage_id
        attempt = folder / "attempts" / attempt_id
        return {"attempt_id": attempt_id, "attempt_no": 1, "stage_id": stage.stage_id, "kind": "sft", "label": "x", "spec": stage.spec,
                "parent": None, "attempt_dir": str(attempt), "out": str(attempt / "out"), "checkpoints": str(folder / "checkpoints")}

    return make


def end(executor):
    outcome, = executor.poll(WAIT_S)
    return outcome


def pid_of(order):
    return json.loads(Path(order["attempt_dir"], "result.json").read_text())["pid"]


def test_an_order_is_carried_out_elsewhere(executor, order):
    executor.submit(order())
    assert end(executor).state is AttemptState.SUCCEEDED
    assert pid_of(order()) != os.getpid()


def test_slots_stay_warm(executor, order):
    pids = []
    for attempt_id in "abc":
        executor.submit(order(attempt_id=attempt_id))
        end(executor)
        pids.append(pid_of(order(attempt_id=attempt_id)))
    assert len(set(pids)) == 1


def test_progress_is_heard_while_work_is_done_and_a_stop_saves_it(executor, order):
    executor.submit(order("wait"))
    assert executor.poll(2.0) == []
    assert executor.progress() == {"a": {"started": True}}
    executor.cancel("a")
    assert end(executor).state is AttemptState.PREEMPTED
    assert list(Path(order("wait")["checkpoints"]).glob("step_*"))
    assert executor.progress() == {}


def test_a_failure_is_an_outcome_of_its_kind(executor, order):
    executor.submit(order("error"))
    outcome = end(executor)
    assert (outcome.state, outcome.failure["message"]) == (AttemptState.USER_ERROR, "trouble was asked for")


def test_a_dead_worker_is_lost_once_and_its_slot_lives_on(executor, order):
    executor.submit(order("kill"))
    outcome = end(executor)
    assert (outcome.state, outcome.is_charged) == (AttemptState.LOST, True)
    assert "the worker died" in outcome.failure["message"]
    executor.submit(order(attempt_id="b"))
    assert end(executor).state is AttemptState.SUCCEEDED


def test_a_killed_attempt_is_lost(executor, order):
    executor.submit(order("wait"))
    assert executor.poll(1.0) == []
    executor.cancel("a", kill=True)
    assert end(executor).state is AttemptState.LOST


def test_a_gp_search_proposes_on_ray_what_it_proposes_here(executor):
    search = Search.model_validate_json('{"sampler": "gp", "trials": 20, "parameters": {"sft.lr": {"float": [0, 1]}, '
                                        '"sft.mixture.weights": {"simplex": ["single", "multi", "text"]}}}')
    history: list[ObservedTrial] = []
    for _ in range(7):  # the first five are drawn, the rest by the process
        there = executor.call(propose_from, search.model_dump_json(by_alias=True, exclude_unset=True), history, 3).result(timeout=WAIT_S)
        assert there == propose(search, history, seed=3)
        history.append(ObservedTrial(levels=there, values=(there["sft.lr"] ** 2,)))


def test_a_study_that_searches_by_gp_is_the_same_with_proposals_made_on_ray(executor, planned, tmp_path):
    def levels(name, call):
        settings = toy_settings(tmp_path / name)
        engine = open_ledger(settings.ledger_url)
        study_id = submit(engine, planned(text=GP))
        assert drive(settings, until=study_id, executor=lambda _: Elsewhere(call)) is Exit.FINISHED
        found = [arm.levels for arm in read.arms(engine, study_id)]
        engine.dispose()
        return found

    there = levels("ray", executor.call)
    assert len(there) == 7
    assert there == levels("here", here)


def test_nothing_is_written_to_the_home_of_the_user(executor, ray_home):
    assert not (ray_home / ".ray").exists()
    assert os.environ["RAY_AUTH_MODE"] == "token"


def test_the_real_worker_is_what_a_slot_uses_by_itself(executor, order):
    slot = ray.remote(Slot).remote(None)
    ray.get(slot.warm.remote(), timeout=WAIT_S)
    record = ray.get(slot.execute.remote({**order(), "spec": {"kind": "sft"}}), timeout=WAIT_S)
    assert record["state"] == "USER_ERROR"
    assert "the spec" in record["failure"]["message"], record["failure"]["message"]


def test_a_cluster_that_does_not_answer_is_an_error_with_a_hint(ray_home):
    with pytest.raises(OrchestratorError, match=r"Ray: nonsense does not answer(.|\n)*hint: ABLATE_RAY_ADDRESS"):
        RayExecutor(toy_settings(ray_home, ray_address="nonsense"))


@pytest.mark.parametrize(("raised", "expected"), [
    (Exception("The current node timed out."), (OrchestratorError, r"did not start: The current node timed out(.|\n)*hint: the machine")),
    (KeyError("a fault of ours"), (KeyError, "a fault of ours"))])
def test_a_start_that_takes_too_long_is_said_and_other_faults_are_passed_on(tmp_path, monkeypatch, raised, expected):
    def fail(**_):
        raise raised

    monkeypatch.setattr(ray, "init", fail)
    with pytest.raises(expected[0], match=expected[1]):
        connect(toy_settings(tmp_path))


def test_a_study_survives_its_dying_workers(executor, tmp_path, monkeypatch):
    settings = toy_settings(tmp_path)
    engine = open_ledger(settings.ledger_url)
    study_id = submit(engine, toy_plan(levels=(0, 1), seeds=1, trouble={1: "kill once"}))
    monkeypatch.setattr(executor, "close", lambda: None)
    assert drive(settings, until=study_id, executor=lambda _: executor) is Exit.FINISHED
    rows = read.stages(engine, study_id)
    assert read.study(engine, "toy").state == "COMPLETED"
    assert {row.kind for row in rows if row.attempts_made == 2} == {"sft"}
    assert executions(settings).count("sft") == 3
    assert [row.result["resumed_from"] for row in rows if row.attempts_made == 2] == [2]
    engine.dispose()
