"""Records of results: out of one ledger, into another, whatever the engines; what has no weights is trained when it is needed."""

import json
from collections import Counter

import pytest

from model import manifest
from orchestrator.cli.records.export import _keep
from orchestrator.driver.loop import Exit, drive
from orchestrator.errors import StudyError
from orchestrator.execution.executor import InlineExecutor
from orchestrator.ledger import actions, read
from orchestrator.ledger.claim import claimed_artifacts
from orchestrator.ledger.engine import open_ledger
from orchestrator.ledger.records import UNFINISHED, enter
from orchestrator.ledger.submit import submit
from orchestrator.ledger.summaries import measured_rates
from orchestrator.ledger.verify import verify
from orchestrator.results.record import export, load
from orchestrator.results.results import study_results
from orchestrator.results.stored_scores import item_scores, stored_answers
from tests.support.toy import executions, table, toy_execute, toy_plan, toy_settings


class Home:
    """A home of its own: ledger and artifacts."""

    def __init__(self, folder, url):
        self.settings, self.engine = toy_settings(folder, ledger=url), open_ledger(url)
        self.artifacts = claimed_artifacts(self.engine, self.settings)

    def run(self, plan):
        study_id = submit(self.engine, plan)
        if read.study(self.engine, study_id).state == "PAUSED":
            actions.resume(self.engine, study_id)
        assert drive(self.settings, until=study_id, executor=lambda _: InlineExecutor(toy_execute)) is Exit.FINISHED
        return study_id

    def export(self, name, folder):
        return export(self.engine, read.study(self.engine, name), self.artifacts, folder)

    def take(self, folder):
        return enter(self.engine, load(folder), _keep(self.artifacts, folder), actor="test")

    def executed(self):
        return Counter(executions(self.settings))


@pytest.fixture
def first(tmp_path, sqlite_url):
    home = Home(tmp_path / "first", sqlite_url)
    home.run(toy_plan(levels=(0, 1)))
    return home


@pytest.fixture
def second(tmp_path, postgres_url):
    return Home(tmp_path / "second", postgres_url)


@pytest.fixture
def record(first, tmp_path):
    first.export("toy", tmp_path / "record")
    return tmp_path / "record"


def test_a_study_is_the_same_in_the_other_ledger(first, second, record):
    entered = second.take(record)
    assert (entered.state, entered.num_stages, entered.num_known) == ("COMPLETED", 13, 0)
    assert table(second.engine, entered.study_id) == table(first.engine, entered.study_id)
    mine, theirs = (study_results(home.engine, read.study(home.engine, "toy")).to_json() for home in (second, first))
    assert mine["arms"] == theirs["arms"]
    assert mine["verdict"] == theirs["verdict"]
    assert mine["cost"] == theirs["cost"]
    assert (mine["counts"]["stages_imported"], theirs["counts"]["stages_imported"]) == (13, 0)
    assert verify(second.engine).differences == ()


def test_the_scores_of_items_travel_and_the_answers_do_not(first, second, record):
    study_id = second.take(record).study_id
    before = {row.stage_id: row for row in read.stages(first.engine, study_id)}
    for stage in read.stages(second.engine, study_id):
        if stage.kind == "evaluate":
            assert item_scores(stage, second.artifacts) == item_scores(before[stage.stage_id], first.artifacts)
            assert len({each.picture for each in item_scores(stage, second.artifacts)}) == 5
            with pytest.raises(ValueError, match="neither questions nor answers"):
                stored_answers(stage, second.artifacts)
    assert b"said" not in b"".join(path.read_bytes() for path in record.iterdir())


def test_an_imported_study_has_nothing_left_to_run(second, record):
    second.take(record)
    second.run(toy_plan(levels=(0, 1)))
    assert second.executed() == {}


def test_importing_twice_changes_nothing(second, record):
    study_id = second.take(record).study_id
    before = table(second.engine, study_id)
    again = second.take(record)
    assert (again.num_stages, again.num_known) == (0, 13)
    assert table(second.engine, study_id) == before
    assert verify(second.engine).differences == ()


def test_a_stage_that_needs_weights_lets_them_be_trained(second, record):
    second.take(record)
    second.run(toy_plan(name="wider", levels=(1, 2)))
    assert second.executed() == {"pretrain": 1, "sft": 2, "evaluate": 4}
    second.run(toy_plan(name="asked-more", levels=(1,), benchmarks=("a", "c")))
    assert second.executed() == {"pretrain": 1, "sft": 4, "evaluate": 6}
    assert verify(second.engine).differences == ()


def test_what_a_ledger_has_computed_itself_stays(first, record):
    before = read.stages(first.engine, read.study(first.engine, "toy").study_id)
    assert first.take(record).num_stages == 0
    assert read.stages(first.engine, read.study(first.engine, "toy").study_id) == before


def test_an_unfinished_study_goes_on_where_it_was(tmp_path, sqlite_url, second):
    home, plan = Home(tmp_path / "first", sqlite_url), toy_plan(levels=(0, 1))
    home.run(toy_plan(name="part", levels=(0,)))
    submit(home.engine, plan)
    home.export("toy", tmp_path / "record")
    entered = second.take(tmp_path / "record")
    assert (entered.state, entered.num_stages) == ("PAUSED", 7)
    assert read.study(second.engine, "toy").reason == UNFINISHED
    second.run(plan)
    assert second.executed() == {"pretrain": 1, "sft": 2, "evaluate": 4}
    home.run(plan)
    assert table(second.engine, entered.study_id) == table(home.engine, entered.study_id)
    assert verify(second.engine).differences == ()


def test_a_diverged_stage_is_a_result_and_a_failed_one_is_not(tmp_path, sqlite_url, second):
    home = Home(tmp_path / "first", sqlite_url)
    home.run(toy_plan(trouble={1: "error", 2: "diverge"}, seeds=1))
    home.export("toy", tmp_path / "record")
    second.take(tmp_path / "record")
    rows = read.stages(second.engine, read.study(second.engine, "toy").study_id)
    assert Counter(row.state for row in rows if row.kind == "sft") == {"SUCCEEDED": 1, "PLANNED": 1, "DIVERGED": 1}


def test_a_record_of_a_record_is_the_same(second, record, tmp_path):
    second.take(record)
    second.export("toy", tmp_path / "again")
    assert manifest.identity(tmp_path / "again") == manifest.identity(record)


def test_rates_of_another_machine_are_not_ours(second, record):
    second.take(record)
    assert measured_rates(second.engine, "toy") == {}


@pytest.mark.parametrize("file", ["record.json.gz", "items.parquet", "manifest.json"])
def test_a_damaged_record_is_refused(record, file):
    data = bytearray((record / file).read_bytes())
    data[len(data) // 2] ^= 1
    (record / file).write_bytes(data)
    with pytest.raises(StudyError, match="no readable record"):
        load(record)


def test_a_newer_record_is_refused(record):
    text = json.loads((record / "manifest.json").read_text())
    text["meta"]["form"] = 2
    (record / "manifest.json").write_text(json.dumps(text))
    with pytest.raises(StudyError, match="form 2; this release reads forms up to 1"):
        load(record)


def test_only_a_record_is_replaced(first, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    with pytest.raises(StudyError, match="is no record of results"):
        first.export("toy", tmp_path / "mine")
    assert [path.name for path in tmp_path.glob("mine/*")] == ["thesis.txt"]
    first.export("toy", tmp_path / "record")
    first.export("toy", tmp_path / "record")
    assert load(tmp_path / "record").num_results == 13


def test_nothing_is_exported_of_a_study_without_results(tmp_path, second):
    submit(second.engine, toy_plan())
    with pytest.raises(StudyError, match="no stage of it has a result"):
        second.export("toy", tmp_path / "record")
