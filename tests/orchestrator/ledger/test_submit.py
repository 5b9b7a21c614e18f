from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from orchestrator.errors import StudyError
from orchestrator.ledger import read
from orchestrator.ledger.load_snapshot import read_snapshot
from orchestrator.ledger.submit import differences, submit
from tests.support.toy import toy_plan


def test_the_same_study_submitted_twice_is_one(engine):
    assert submit(engine, toy_plan()) == submit(engine, toy_plan())
    assert [(row.num_arms, row.num_trials, row.version) for row in read.studies(engine)] == [(3, 6, 1)]


def test_sixteen_submitters_at_once_make_one_study(engine):
    with ThreadPoolExecutor(16) as pool:
        ids = set(pool.map(lambda _: submit(engine, toy_plan()), range(16)))
    rows = read.studies(engine)
    assert ids == {rows[0].study_id}
    assert (len(rows), rows[0].num_trials, rows[0].requested_stages) == (1, 6, 24)


def test_a_changed_file_under_a_known_name_is_an_error_that_shows_the_difference(engine):
    submit(engine, toy_plan(seeds=2))
    with pytest.raises(StudyError, match=r"(?s)holds 'toy' at scale toy with other contents \(version 1\).*study.seeds: 2 -> 3.*--update"):
        submit(engine, toy_plan(seeds=3))
    assert len(read.studies(engine)) == 1


def test_an_update_is_a_new_version_with_the_old_stages(engine):
    first, second = submit(engine, toy_plan(seeds=2)), submit(engine, toy_plan(seeds=3), update=True)
    assert (read.study(engine, "toy").study_id, read.study(engine, "toy").version) == (second, 2)
    shared = {row.stage_id for row in read.stages(engine, first)} & {row.stage_id for row in read.stages(engine, second)}
    assert len(shared) == 19


def test_changing_back_makes_the_old_study_the_newest(engine):
    first = submit(engine, toy_plan(seeds=2))
    submit(engine, toy_plan(seeds=3), update=True)
    assert submit(engine, toy_plan(seeds=2), update=True) == first
    assert (read.study(engine, "toy").study_id, read.study(engine, "toy").version) == (first, 3)


def test_a_missing_checkpoint_is_said_before_anything_is_entered(engine):
    with pytest.raises(StudyError, match="start checkpoint missing: operator:x"):
        submit(engine, replace(toy_plan(), missing_checkpoints=("operator:x",)))
    assert read.studies(engine) == []


def test_a_stage_that_needs_more_slots_than_there_are_is_refused_with_both_numbers(engine):
    with pytest.raises(StudyError, match=r"(?s)takes 3 slots at scale toy.*there are 2 slots.*ABLATE_SLOTS"):
        submit(engine, toy_plan(workers=3), slots=2)
    assert read.studies(engine) == []


def test_a_stage_that_takes_all_slots_is_entered(engine):
    submit(engine, toy_plan(workers=2), slots=2)
    with engine.connect() as connection:
        assert {stage.workers for stage in read_snapshot(connection).stages.values() if stage.kind == "sft"} == {2}


def test_the_newest_submission_says_how_many_workers_train_a_stage(engine):
    submit(engine, toy_plan(workers=3))
    submit(engine, toy_plan(workers=2))
    with engine.connect() as connection:
        stages = read_snapshot(connection).stages.values()
    assert {(stage.kind, stage.workers) for stage in stages} == {("pretrain", 2), ("sft", 2), ("evaluate", 1)}


def test_an_imported_checkpoint_is_finished_on_entry(engine, planned):
    study_id = submit(engine, planned())
    first = read.stages(engine, study_id)[0]
    assert (first.kind, first.state, first.artifact) == ("import", "SUCCEEDED", "packaged:tiny")


def test_a_real_plan_is_entered_whole(engine, planned):
    plan = planned()
    study_id = submit(engine, plan)
    row = read.study(engine, "written", "tiny")
    assert (row.num_arms, row.num_trials, row.stages_total, row.requested_stages) == (3, 6, plan.num_unique, plan.num_requested)
    assert [trial.stage_ids for trial in read.trials(engine, study_id)] == [trial.stage_ids for trial in plan.trials]
    assert [trial.config for trial in read.trials(engine, study_id)] == [trial.config for trial in plan.trials]
    specs = {stage.stage_id: stage.spec for stage in read.stages(engine, study_id)}
    assert specs == {stage_id: stage.spec for stage_id, stage in plan.stages.items()}


def test_an_unknown_study_is_an_error_that_lists_the_known(engine):
    submit(engine, toy_plan())
    with pytest.raises(StudyError, match=r"the ledger holds no study of this name at scale x; known: toy \(toy\)"):
        read.study(engine, "toy", "x")


def test_a_study_is_found_by_name_and_by_id(engine):
    study_id = submit(engine, toy_plan())
    assert read.study(engine, study_id) == read.study(engine, "toy") == read.study(engine, "toy", "toy")


def test_differences_name_the_path():
    old, new = {"a": {"b": 1, "gone": 2}, "same": [1]}, {"a": {"b": 3}, "same": [1], "new": "x"}
    assert list(differences(old, new)) == ["a.b: 1 -> 3", "a.gone: removed, was 2", 'new: added, "x"']
