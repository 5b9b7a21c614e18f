"""A few seeds in each run of the tests; `make simulate SEEDS=FROM..TO` runs as many as there is time for."""

import logging
from unittest.mock import patch

import pytest

from orchestrator.driver.in_flight import InFlight
from orchestrator.scheduler import decide as decide_module
from orchestrator.states import StageState
from tests.simulation.__main__ import recorded, seeds_of, summed
from tests.simulation.world import FAULTS, World, simulate

SEEDS = range(25)


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


def test_nothing_is_lost_or_done_twice_whatever_happens() -> None:
    results = [simulate(seed) for seed in SEEDS]
    assert [each for each in results if not each.is_good] == []
    assert sum(each.faults for each in results) > 10 * len(SEEDS) / 2


def test_a_seed_is_a_whole_history() -> None:
    assert [simulate(seed) for seed in range(6)] == [simulate(seed) for seed in range(6)]
    assert len({simulate(seed).history for seed in range(6)}) == 6


def test_every_kind_of_fault_happens_and_is_survived() -> None:
    seen = set()
    with patch("tests.simulation.world.FAULTS", [_noting(each, seen) for each in FAULTS]):
        assert all(simulate(seed).is_good for seed in range(12))
    assert seen == {each.__name__ for each in FAULTS}


def _noting(fault, seen):
    def noted(world: World) -> None:
        seen.add(fault.__name__)
        fault(world)

    return noted


def test_a_driver_that_forgets_what_ended_is_found() -> None:
    """Planted: one that drops every third outcome loses stages."""
    heard, count = InFlight.poll, iter(range(10**9))

    def forgetful(self, timeout_s):
        return [each for each in heard(self, timeout_s) if next(count) % 3]

    with patch.object(InFlight, "poll", forgetful), patch("tests.simulation.world.CALM_ROUNDS", 300):
        assert any(simulate(seed).lost for seed in range(5))


def test_a_take_over_that_gives_nobody_up_is_found() -> None:
    """Planted: what a dead driver had started is taken to run for ever."""
    with patch.object(InFlight, "recover_orphans", lambda *_: []), patch("tests.simulation.world.CALM_ROUNDS", 300):
        assert any(simulate(seed).lost for seed in range(5))


def test_a_result_that_is_not_kept_is_found() -> None:
    """Planted: a stage that succeeded goes back to the queue."""
    with patch.object(decide_module, "_after", lambda *_, **__: (StageState.QUEUED, "")), patch("tests.simulation.world.CALM_ROUNDS", 300):
        found = simulate(0)
    assert found.disagreements


def test_recorded_ranges_are_good_and_add_up() -> None:
    rows = sorted(recorded(), key=lambda row: row["first"])
    assert all(row["schedules"] == row["last"] - row["first"] + 1 for row in rows)
    assert all(before["last"] < after["first"] for before, after in zip(rows, rows[1:], strict=False)), "no seed is counted twice"
    assert [row for row in rows if row["lost"] or row["twice"] or row["disagreements"]] == []
    assert sum(row["schedules"] for row in rows) >= 1000


def test_ranges_are_read_and_summed() -> None:
    assert list(seeds_of("3..5")) == [3, 4, 5]
    assert list(seeds_of("7")) == [7]
    with pytest.raises(SystemExit, match="allowed: FROM..TO"):
        seeds_of("5..3")
    row = summed(range(2), [simulate(0), simulate(1)], 1.4)
    assert (row["schedules"], row["last"], row["lost"], row["processor_seconds"]) == (2, 1, 0, 1)
