from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

from orchestrator.ledger import read
from orchestrator.ledger.engine import open_ledger
from orchestrator.results.progress import Progress, progress
from tests.support.synthetic import Sketch, finish, sketch

Shown = Callable[..., Progress]


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return open_ledger(f"sqlite:///{tmp_path}/ledger.db")


@pytest.fixture
def shown(engine: Engine) -> Shown:
    return lambda slots=1, **wanted: progress(engine, read.study(engine, sketch(engine, Sketch(**wanted))), slots=slots)


def test_finished_study_has_nothing_left(shown: Shown) -> None:
    found = shown()
    assert (found.done, found.total, found.fraction, found.left.seconds, found.is_terminal) == (99, 99, 1.0, 0.0, True)


def test_failed_stages_count_as_over(shown: Shown) -> None:
    found = shown(states={(0, 0): "DIVERGED"}, state="COMPLETED_WITH_FAILURES")
    assert (found.done, found.failed, found.fraction) == (88, 11, 1.0)


def test_running_stages_count_by_their_part(engine: Engine) -> None:
    study_id = sketch(engine, Sketch(state="RUNNING", done=0.5))
    before = progress(engine, read.study(engine, study_id), slots=1)
    finish(engine, study_id, 80)
    after = progress(engine, read.study(engine, study_id), slots=1)
    assert after.fraction > before.fraction
    assert after.left.seconds < before.left.seconds


def test_two_slots_halve_the_time(shown: Shown, engine: Engine) -> None:
    one = shown(slots=1, state="RUNNING", done=0.5)
    assert progress(engine, one.study, slots=2).left.seconds == pytest.approx(one.left.seconds / 2)


def test_first_report_is_not_needed(shown: Shown) -> None:
    stage = shown(state="RUNNING", states={(0, 0): "LEASED"}, done=0.0).running[0]
    assert (stage.step, stage.loss, stage.fraction) == (None, None, 0.0)
