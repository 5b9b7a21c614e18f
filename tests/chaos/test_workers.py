"""Workers that run out of memory, stall, or wait for a machine, as the driver meets them."""

import faulthandler
from pathlib import Path

import pytest
from ray.exceptions import OutOfMemoryError

from orchestrator.artifacts.store import Artifacts
from orchestrator.driver import in_flight as crew_module
from orchestrator.driver.in_flight import InFlight
from orchestrator.errors import NoResources
from orchestrator.execution.attempt import run_attempt
from orchestrator.execution.ray import executor as ray_executor
from orchestrator.execution.record import failure_of, outcome_of
from orchestrator.scheduler.actions import Assign, Finish, Stop
from orchestrator.scheduler.decide import decide
from orchestrator.scheduler.snapshot import Observed, Snapshot
from orchestrator.scheduler.views import AttemptView, Outcome, StageView, StudyView, TrialView
from orchestrator.states import AttemptState, StageState, StudyState, TrialState
from tests.support.toy import TOY_STAGES, toy_identity, toy_plan, toy_settings


def after(outcome):
    """Return what becomes of a running stage whose attempt ends so."""
    stage = StageView("s", "sft", StageState.RUNNING, 0, attempts_made=1)
    snapshot = Snapshot({"study": StudyView("study", StudyState.RUNNING, 1.0)},
                        {("study", "t"): TrialView("study", "t", "arm", TrialState.RUNNING, ("s",))}, {"s": stage},
                        {"a": AttemptView("a", "s", 1, "study", AttemptState.RUNNING, 0.0)})
    return next(each for each in decide(snapshot, Observed(outcomes=(outcome,)), 10.0)[0] if isinstance(each, Finish))


def test_a_host_out_of_memory_is_a_lack_of_resources_that_is_tried_once_more(tmp_path, monkeypatch):
    """Ray's memory monitor kills a worker: its reference raises OutOfMemoryError."""
    def killed(_reference):
        raise OutOfMemoryError("Task was killed due to the node running low on memory. RSS 7.1 GB")

    executor = ray_executor.RayExecutor.__new__(ray_executor.RayExecutor)
    executor._idle, executor._progress, executor._leaving = [], {}, frozenset()
    slot = ray_executor._Slot(None, None, "node")
    executor._busy = {"a": ray_executor._Assignment(slot, {"attempt_id": "a", "attempt_dir": str(tmp_path)}, None)}
    monkeypatch.setattr(ray_executor.ray, "get", killed)
    monkeypatch.setattr(executor, "_fresh", lambda: slot)
    outcome = executor._end("a")
    assert (outcome.state, outcome.is_charged) == (AttemptState.RESOURCE, True)
    assert "RSS 7.1 GB" in outcome.failure["message"]
    assert "hint: fewer slots (ABLATE_SLOTS)" in outcome.failure["message"]
    assert after(outcome).stage_to is StageState.QUEUED


def test_memory_of_the_device_that_ran_out_is_not_tried_again_blindly():
    failure = failure_of(NoResources("CUDA out of memory\nhint: a smaller micro_batch", is_certain=True))
    finish = after(Outcome("a", AttemptState.RESOURCE, failure=failure))
    assert finish.stage_to is StageState.FAILED
    assert finish.outcome.failure["message"].endswith("given up: it would fail again just so")


class Still:
    """An executor of which no attempt moves, and some wait for a machine."""

    def __init__(self, waiting=()):
        self.killed, self._waiting = [], frozenset(waiting)

    def submit(self, order):
        self.order = order

    def poll(self, _timeout_s):
        return [Outcome(each, AttemptState.LOST, failure={"message": "the worker died", "traceback": "stacks"}) for each in self.killed]

    def progress(self):
        return {"a": {"step": 1}}

    def waiting(self):
        return self._waiting

    def cancel(self, attempt_id, *, kill=False):
        self.killed += [attempt_id] * kill


def crew_of(executor, tmp_path, clock):
    in_flight = InFlight(toy_settings(tmp_path, no_progress_s=60.0), lambda _: executor, Artifacts(tmp_path), clock=lambda: clock[0])
    spec = {"kind": "sft", "label": "x", "spec": "{}", "artifact": None, "workers": 1}
    in_flight.submit(Assign("a", "stage", 1, "study", 0.0), spec)
    in_flight.poll(0.0)
    return in_flight


def test_a_stalled_attempt_is_ended_under_its_right_name_with_its_stacks(tmp_path):
    clock, executor = [0.0], Still()
    in_flight = crew_of(executor, tmp_path, clock)
    assert in_flight.stalled() == frozenset()
    clock[0] = 61.0
    assert in_flight.stalled() == {"a"}
    in_flight.stop(Stop("a", AttemptState.STALLED, is_kill=True), 0.0)
    outcome, = in_flight.poll(0.0)
    assert (outcome.state, outcome.failure["traceback"]) == (AttemptState.STALLED, "stacks")
    assert "no step for 60 s; log with all stacks: " in outcome.failure["message"]


def test_an_attempt_that_waits_for_a_machine_does_not_stall_and_is_told(tmp_path):
    clock = [0.0]
    in_flight = crew_of(Still(waiting=("a",)), tmp_path, clock)
    assert in_flight.waiting_note() == ""
    clock[0] = 10_000.0
    in_flight.poll(0.0)
    assert in_flight.stalled() == frozenset()
    assert in_flight.waiting_note() == "1 attempt waits for a slot: no machine has room, or its processes are starting"
    assert crew_module.WAITS_S < 10_000


def test_a_stage_that_reports_nothing_leaves_its_stacks_in_its_log(tmp_path, monkeypatch):
    """The watchdog is armed at each report, for most of the time that the driver waits, and disarmed at the end."""
    armed = []
    monkeypatch.setattr(faulthandler, "dump_traceback_later", lambda seconds, file: armed.append((seconds, Path(file.name).name)))
    monkeypatch.setattr(faulthandler, "cancel_dump_traceback_later", lambda: armed.append("off"))
    stage = next(each for each in toy_plan(levels=(0,), seeds=1, steps=2).stages.values() if each.kind == "pretrain")
    order = {"attempt_id": "a", "attempt_no": 1, "stage_id": stage.stage_id, "kind": "pretrain", "spec": stage.spec, "parent": None,
             "attempt_dir": str(tmp_path / "x" / "y" / "z" / "a"), "out": str(tmp_path / "out"), "no_progress_s": 100.0,
             "checkpoints": str(tmp_path / "x" / "y" / "z" / "checkpoints")}
    assert outcome_of(run_attempt(order, TOY_STAGES, identify=toy_identity)).state is AttemptState.SUCCEEDED
    assert armed == [(90.0, "log.txt")] * 3 + ["off"]


@pytest.mark.parametrize("error", [MemoryError(), OSError(28, "No space left on device")])
def test_a_host_out_of_memory_or_disk_names_the_knob(error):
    failure = failure_of(error)
    assert (failure["kind"], "hint: " in failure["message"]) == ("RESOURCE", True)
