from pathlib import Path

import pytest
from sqlalchemy import Engine

from orchestrator.errors import OrchestratorError
from orchestrator.ledger.engine import has_ledger, open_ledger
from orchestrator.ledger.summaries import failed_stages, flops_per_s, live_stages, stage_states, stage_sums
from tests.support.synthetic import Sketch, sketch


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return open_ledger(f"sqlite:///{tmp_path}/ledger.db")


def test_sums_count_every_stage_but_imports(engine: Engine) -> None:
    sums = stage_sums(engine, sketch(engine, Sketch(state="RUNNING", done=0.5)))
    assert sum(each.number for each in sums) == 99
    assert {each.kind for each in sums} == {"sft", "evaluate"}


def test_live_stages_carry_their_last_report(engine: Engine) -> None:
    live = live_stages(engine, sketch(engine, Sketch(state="RUNNING", done=0.5)))
    assert [(stage.kind, stage.progress["step"]) for stage in live] == [("sft", 34), ("sft", 34)]


def test_failed_stages_say_why(engine: Engine) -> None:
    (failed,) = failed_stages(engine, sketch(engine, Sketch(states={(1, 1): "DIVERGED"})))
    assert (failed.state, failed.failure["message"]) == ("DIVERGED", "loss is not finite at step 41")


def test_rates_come_from_finished_stages(engine: Engine) -> None:
    sketch(engine, Sketch(state="RUNNING", done=0.5))
    assert flops_per_s(engine) == pytest.approx({"sft": 1.1e10, "evaluate": 1.1e10})


def test_unknown_stages_have_no_state(engine: Engine) -> None:
    sketch(engine, Sketch())
    assert stage_states(engine, ["absent"] * 1200) == {}


def test_looking_for_a_ledger_makes_none(tmp_path: Path) -> None:
    assert not has_ledger(f"sqlite:///{tmp_path}/ledger.db")
    assert list(tmp_path.iterdir()) == []


def test_ledger_that_cannot_be_opened_says_where_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(OrchestratorError, match=r"ledger postgresql://me:\*\*\*@127\.0\.0\.1:9/x: cannot be opened"):
        open_ledger("postgresql://me:secret@127.0.0.1:9/x")


def test_file_that_is_no_ledger_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"not a database at all, but long enough to be looked at" * 20)
    with pytest.raises(OrchestratorError, match="file is not a database"):
        open_ledger(f"sqlite:///{tmp_path}/ledger.db")
