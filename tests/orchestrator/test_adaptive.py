"""Searches: the driver asks for arms, enters them and learns from their scores; nothing is kept outside the ledger."""

import hashlib

import pytest

from model.evaluation.benchmarks import SUITES
from orchestrator import adaptive
from orchestrator.adaptive import next_arm
from orchestrator.driver import Exit, drive
from orchestrator.errors import StudyError
from orchestrator.executor import InlineExecutor
from orchestrator.ledger import open_ledger, read
from orchestrator.ledger import tables as t
from orchestrator.ledger.engine import transaction
from orchestrator.submit import submit
from tests.toy import toy_settings

PATH = "sft.mixture.alpha.science"
SEARCH = """
name: searched
question: How much?
recipe: sft-ablation
search:
  trials: 4
  parallel: 2
  parameters: {sft.mixture.alpha.science: {float: [0.0, 1.0]}}
seeds: 2
select: {maximize: knowledge, baseline: {sft.mixture.alpha.science: 0}}
"""


def scored(order, _report, _should_stop):
    """Carry out nothing and say that all went well."""
    digest = hashlib.sha256(order["stage_id"].encode()).digest()
    result = {"benchmark": order["spec"].get("benchmark"), "score": digest[0] / 2.55, "num_items": 4, "loss": 1.0}
    return {"attempt_id": order["attempt_id"], "attempt_no": 1, "state": "SUCCEEDED", "result": result, "failure": None, "seconds": 0.0}


@pytest.fixture
def settings(tmp_path):
    return toy_settings(tmp_path)


@pytest.fixture
def engine(settings):
    engine = open_ledger(settings.ledger_url)
    yield engine
    engine.dispose()


@pytest.fixture
def study_id(engine, planned):
    return submit(engine, planned(text=SEARCH))


def run(settings, study_id):
    return drive(settings, until=study_id, executor=lambda _: InlineExecutor(scored))


def levels(engine, study_id):
    return list(dict.fromkeys(row.levels[PATH] for row in read.trials(engine, study_id)))


def test_a_search_runs_its_baseline_and_all_its_arms(settings, engine, study_id):
    assert run(settings, study_id) is Exit.FINISHED
    row = read.study(engine, "searched")
    assert (row.state, row.num_arms, row.num_trials) == ("COMPLETED", 5, 10)
    assert len(set(levels(engine, study_id))) == 5
    assert len(read.scores(engine, study_id)) == 10 * len(SUITES["workbench"])


def test_a_search_that_was_interrupted_proposes_what_it_would_have_proposed(settings, engine, study_id):
    assert [next_arm(engine, study_id).arms[0].levels for _ in range(2)] == [next_arm(engine, study_id).arms[0].levels] * 2


def test_a_space_without_anything_new_ends_the_search(settings, engine, planned):
    study_id = submit(engine, planned(("{float: [0.0, 1.0]}", "{choice: [0, 0.5]}"), text=SEARCH))
    assert run(settings, study_id) is Exit.FINISHED
    assert levels(engine, study_id) == [0, 0.5]


def test_what_cannot_be_proposed_pauses_the_study_with_the_reason(settings, engine, study_id, monkeypatch):
    monkeypatch.setattr(adaptive, "propose", lambda *_, **__: {PATH: -1.0})
    assert run(settings, study_id) is Exit.PAUSED
    assert "allowed: 0 to 1000" in read.study(engine, "searched").reason


def test_a_changed_library_is_noticed(engine, study_id):
    with transaction(engine) as connection:
        connection.execute(t.studies.update().values(spec_hash="another"))
    with pytest.raises(StudyError, match="recipe sft-ablation or scale tiny changed since the study was submitted"):
        next_arm(engine, study_id)


def test_a_designed_study_has_no_next_arm(engine, planned):
    with pytest.raises(StudyError, match="has no search"):
        next_arm(engine, submit(engine, planned()))


def test_a_proposal_that_needs_torch_is_made_in_another_process(engine, planned):
    study_id = submit(engine, planned(("trials: 4", "trials: 4\n  sampler: gp"), text=SEARCH))
    assert 0 <= next_arm(engine, study_id).arms[0].levels[PATH] <= 1
