"""Who looks again and again at a study reads what changed, and sees what a first look would see."""

from itertools import chain

import pytest
from sqlalchemy import event

from orchestrator.driver.loop import Driver
from orchestrator.execution.executor import InlineExecutor
from orchestrator.ledger import actions, read
from orchestrator.ledger.rows import RowCache as KnownRows
from orchestrator.ledger.submit import submit
from orchestrator.results.results import ResultsCache, study_results
from tests.support.toy import toy_execute, toy_plan, toy_settings

GATHERED = ("arms", "trials", "trial_rows", "stages", "verdict", "counts", "cost", "data", "confounds", "seen", "varies_with_seed")
"""Of results: all but what time alone changes."""


@pytest.fixture
def driver(engine, tmp_path, ledger_url):
    """A driver that is turned by hand."""
    made = Driver(engine, toy_settings(tmp_path, ledger=ledger_url), lambda _: InlineExecutor(toy_execute))
    made.acquire()
    yield made
    made.close()


def same(engine, study_id, known):
    row = read.study(engine, study_id)
    fresh, again = study_results(engine, row), study_results(engine, row, known=known)
    for name in GATHERED:
        assert getattr(again, name) == getattr(fresh, name), name


def test_every_look_sees_what_a_first_look_would(engine, driver):
    study_id, known = submit(engine, toy_plan(trouble={1: "error", 2: "diverge"}, benchmarks=("a",))), ResultsCache()
    for _ in range(20):
        same(engine, study_id, known)
        driver.one_round()
    actions.resume(engine, study_id)
    for _ in range(6):
        driver.one_round()
        same(engine, study_id, known)
    assert read.study(engine, study_id).trials_done == 6


def test_stages_that_another_study_finished_are_seen(engine, driver):
    first, second = (submit(engine, toy_plan(name=name)) for name in ("one", "two"))
    known = ResultsCache()
    same(engine, second, known)
    while read.study(engine, first).state != "COMPLETED":
        driver.one_round()
    same(engine, second, known)


def test_trials_that_came_later_are_added_in_their_order(engine, driver):
    study_id, known = submit(engine, toy_plan()), KnownRows()
    while read.study(engine, study_id).state != "COMPLETED":
        driver.one_round()
    whole = read.trials(engine, study_id)
    for row in whole[:2]:  # as if the others had not been there yet
        known.links[row.trial_key] = row.stage_ids
    first = {each.stage_id: each for each in read.stages(engine, study_id)}
    known.stages.update({key: first[key] for key in first if key in set(chain.from_iterable(known.links.values()))})
    assert 0 < len(known.stages) < len(first)
    assert read.trials(engine, study_id, known) == whole
    assert read.stages(engine, study_id, known) == list(first.values())


def test_a_look_at_a_finished_study_reads_no_stage_and_no_score(engine, driver):
    study_id, known = submit(engine, toy_plan()), ResultsCache()
    while read.study(engine, study_id).state != "COMPLETED":
        driver.one_round()
    row, said = read.study(engine, study_id), []
    study_results(engine, row, known=known)
    event.listen(engine, "before_cursor_execute", lambda *call: said.append(call[2]))
    study_results(engine, row, known=known)
    assert not [each for each in said if "FROM stages" in each or "scores.value" in each or "trial_stages.trial_key" in each]
    assert any("FROM trials" in each for each in said)
