"""What is kept between two proposals of a study, and what never is."""

from functools import partial

import pytest

from orchestrator.ledger import read
from orchestrator.ledger.submit import submit
from orchestrator.plan.plan import Planner
from orchestrator.search.history import Histories
from orchestrator.study.catalogue import catalogue_of
from tests.orchestrator.conftest import SEARCH
from tests.support import corpora
from tests.support.toy import toy_settings

CATALOGUE = """
kind: catalogue
name: lab
datasets:
  general:
    ours: {own: true, layout: llava, files: [general.jsonl], images: images}
  science:
    ours: {own: true, layout: llava, files: [science.jsonl], images: images}
"""


@pytest.fixture
def records(ledger, settings):
    return Histories(ledger, settings)


def test_what_no_trial_can_change_is_kept(records, ledger, planned):
    study_id = submit(ledger, planned(text=SEARCH))
    first, second = records.read(study_id), records.read(study_id)
    assert second.study is first.study
    assert second.rows[0].config is first.rows[0].config
    assert second.rows[0].config == read.trials(ledger, study_id)[0].config
    assert records.planner(second) is records.planner(first)


def test_a_study_that_is_written_anew_is_read_anew(records, ledger, planned):
    study_id = submit(ledger, planned(text=SEARCH))
    before = records.read(study_id)
    planner = records.planner(before)
    assert submit(ledger, planned(text=SEARCH.replace("How much?", "How much more?"))) == study_id
    after = records.read(study_id)
    assert (before.study.question, after.study.question) == ("How much?", "How much more?")
    assert records.planner(after) is not planner


def test_nothing_is_kept_of_a_study_that_grows_no_more(records, ledger, planned):
    study_id = submit(ledger, planned(text=SEARCH))
    before = records.read(study_id)
    records.forget(study_id)
    assert records.read(study_id).study is not before.study


def test_files_of_the_operator_are_looked_at_for_each_plan(ledger, write, checkpoint, tmp_path):
    for name in ("general", "science"):
        corpora.llava(tmp_path, name, 4)
    (tmp_path / "catalogue.yaml").write_text(CATALOGUE)
    settings = toy_settings(tmp_path, catalogue=tmp_path / "catalogue.yaml")
    records = Histories(ledger, settings)
    own = "set: {data.source: catalogue}\nevaluate: {benchmarks: [science-names]}\n"
    study = write(text=SEARCH.replace("knowledge", "science-names") + own)
    plan = Planner(study, "tiny", catalogue=partial(catalogue_of, settings)).plan()
    record = records.read(submit(ledger, plan))
    known = records.planner(record).plan(None).spec_hash
    assert known == plan.spec_hash
    corpora.llava(tmp_path, "science", 5)
    assert records.planner(record).plan(None).spec_hash != known
