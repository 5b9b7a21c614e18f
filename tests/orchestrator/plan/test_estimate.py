import pytest

from orchestrator.plan.estimate import TimedStage, time_left


def left(works: list[TimedStage], *, slots: int = 1, measured: dict[str, float] | None = None) -> tuple[float, bool]:
    estimate = time_left(works, slots=slots, declared=10.0, measured=measured or {})
    return estimate.seconds, estimate.is_measured


def test_declared_rate_stands_in() -> None:
    assert left([TimedStage(kind="sft", flops=100)]) == (10.0, False)


def test_finished_stages_of_the_kind_set_the_rate() -> None:
    works = [TimedStage(kind="sft", flops=100, seconds=2, is_done=True), TimedStage(kind="sft", flops=100)]
    assert left(works) == (2.0, True)


def test_own_rate_wins_over_the_ledgers() -> None:
    works = [TimedStage(kind="sft", flops=100, seconds=2, is_done=True), TimedStage(kind="sft", flops=100)]
    assert left(works, measured={"sft": 1.0}) == (2.0, True)


def test_slots_share_the_work() -> None:
    assert left([TimedStage(kind="sft", flops=100)] * 4, slots=2) == (20.0, False)


def test_longest_stage_is_the_floor() -> None:
    assert left([TimedStage(kind="sft", flops=100), TimedStage(kind="sft", flops=10)], slots=8) == (10.0, False)


def test_progress_counts() -> None:
    assert left([TimedStage(kind="sft", flops=100, fraction=0.75)])[0] == pytest.approx(2.5)


def test_nothing_left_takes_no_time() -> None:
    assert left([TimedStage(kind="sft", flops=100, seconds=2, is_done=True)]) == (0.0, True)


def test_a_stage_of_several_workers_fills_several_slots() -> None:
    assert left([TimedStage(kind="sft", flops=100, workers=2)] * 4, slots=4) == (20.0, False)
