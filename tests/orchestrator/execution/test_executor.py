import pytest

from orchestrator.execution.executor import InlineExecutor
from orchestrator.states import AttemptState
from tests.support.toy import toy_execute, toy_plan


@pytest.fixture
def order(tmp_path):
    stage = next(iter(toy_plan().stages.values()))
    folder = tmp_path / "stages" / "xx" / stage.stage_id
    return {"attempt_id": "a", "attempt_no": 1, "stage_id": stage.stage_id, "kind": stage.kind, "label": "x", "spec": stage.spec,
            "parent": None, "attempt_dir": str(folder / "attempts" / "0001"), "out": str(folder / "attempts" / "0001" / "out"),
            "checkpoints": str(folder / "checkpoints")}


@pytest.fixture
def executor():
    return InlineExecutor(toy_execute)


def test_an_idle_executor_has_nothing_to_say(executor):
    assert executor.poll(0.0) == []


def test_an_order_has_one_outcome(executor, order):
    executor.submit(order)
    assert [outcome.state for outcome in executor.poll(0.0)] == [AttemptState.SUCCEEDED]
    assert executor.poll(0.0) == []


def test_an_order_asked_to_stop_ends_preempted_and_is_resumed_by_the_next(executor, order):
    executor.submit(order)
    executor.cancel("a")
    assert [outcome.state for outcome in executor.poll(0.0)] == [AttemptState.PREEMPTED]
    executor.submit({**order, "attempt_id": "b"})
    assert executor.poll(0.0)[0].state is AttemptState.SUCCEEDED


def test_a_killed_order_is_lost(executor, order):
    executor.submit(order)
    executor.cancel("a", kill=True)
    assert [outcome.state for outcome in executor.poll(0.0)] == [AttemptState.LOST]


def test_closing_forgets_what_was_not_begun(executor, order):
    executor.submit(order)
    assert list(executor.progress()) == ["a"]
    executor.close()
    assert (executor.poll(0.0), executor.progress()) == ([], {})
