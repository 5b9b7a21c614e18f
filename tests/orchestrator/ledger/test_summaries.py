import json
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from orchestrator.errors import OrchestratorError
from orchestrator.ledger import tables as t
from orchestrator.ledger.engine import has_ledger, open_ledger, transaction
from orchestrator.ledger.summaries import (
    failed_stages,
    live_stages,
    measured_rates,
    stage_states,
    stage_sums,
    trial_counts,
)
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
    rates = measured_rates(engine, "tiny")
    assert [rates[kind] for kind in ("sft", "evaluate")] == pytest.approx([1.1e10] * 2)
    assert {key.split()[0] for key in rates} == {"sft", "evaluate"}


def test_rates_of_one_scale_say_nothing_of_another(engine: Engine) -> None:
    sketch(engine, Sketch(state="RUNNING", done=0.5))
    assert measured_rates(engine, "mm1.5-3b") == {}


def test_rates_are_of_the_class_of_device_that_worked_last(engine: Engine) -> None:
    sketch(engine, Sketch())
    with transaction(engine) as connection:
        ids = connection.execute(select(t.stages.c.stage_id).where(t.stages.c.kind == "sft")).scalars().all()
        mine = t.attempts.c.stage_id == ids[0]
        connection.execute(t.attempts.update().where(mine).values(ended_at=9e9))
        on_gpu = {"result": json.dumps({"environment": {"device": "NVIDIA H200"}}), "seconds": 0.5, "flops": 1e15}
        connection.execute(t.stages.update().where(t.stages.c.stage_id == ids[0]).values(**on_gpu))
    assert measured_rates(engine, "tiny")["sft"] == 2e15


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


def test_trials_are_counted_by_state(engine: Engine) -> None:
    study_id = sketch(engine, Sketch(states={(0, 0): "FAILED", (1, 1): "DIVERGED"}))
    assert trial_counts(engine) == {study_id: {"SUCCEEDED": 7, "FAILED": 1, "DIVERGED": 1}}
