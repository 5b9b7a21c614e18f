import pytest

from orchestrator.plan.estimate import Rates, TimedStage, rate_key, time_left


def left(works: list[TimedStage], *, slots: int = 1, measured: dict[str, float] | None = None) -> tuple[float, bool]:
    estimate = time_left(works, slots=slots, rates=Rates(declared=10.0, measured=measured or {}))
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


def test_what_was_measured_of_a_kind_stands_in_for_what_never_ran_so() -> None:
    rates = Rates(declared=10.0, measured={"evaluate": 4.0, "evaluate fp32 short": 50.0})
    keys = ("evaluate fp32 short", "evaluate fp32 long", "sft fp32")
    assert [rates.of(key) for key in keys] == [(50.0, True), (4.0, True), (10.0, False)]


def test_a_rate_is_of_a_kind_a_numeric_type_and_a_benchmark() -> None:
    assert rate_key("sft", {"config": {"dtype": "bf16"}}) == "sft bf16"
    assert rate_key("evaluate", {"config": {"dtype": "fp32"}, "benchmark": "scene-qa"}) == "evaluate fp32 scene-qa"
    assert rate_key("import", {}) == "import fp32"


def test_what_runs_now_sets_the_rate_of_its_kind() -> None:
    works = [TimedStage(kind="sft", flops=100, fraction=0.5, rate=5.0), TimedStage(kind="sft", flops=100)]
    assert left(works, measured={"sft": 1000.0}) == (30.0, True)


def test_kinds_that_never_ran_are_named() -> None:
    works = [TimedStage(kind="sft", flops=100, key="sft fp32"), TimedStage(kind="evaluate", flops=10, key="evaluate fp32 a")]
    estimate = time_left(works, slots=1, rates=Rates(declared=10.0, measured={"sft": 5.0}))
    assert (estimate.seconds, estimate.declared_kinds, estimate.is_measured) == (21.0, ("evaluate",), False)
