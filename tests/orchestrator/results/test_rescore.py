"""Stored answers scored again, up to the averages, without a model."""

import dataclasses
import json

import pytest

from model.evaluation.benchmarks.registry import BENCHMARKS
from orchestrator.artifacts.store import Artifacts
from orchestrator.ledger.rows import ScoreRow, StageRow, TrialRow
from orchestrator.results.rescore import choices_of, rescore

ANSWERS = {
    "docvqa": [
        {
            "item_id": "docvqa/1",
            "question": "?",
            "options": [],
            "references": ["hello"],
            "prediction": "HELLO",
            "parsed": "hello",
            "score": 1.0,
            "score_lenient": 1.0,
        }
    ],
    "scene-probe": [
        {
            "item_id": f"scene-probe/{i}",
            "question": "?",
            "options": [],
            "references": [label],
            "prediction": said,
            "parsed": said,
            "score": float(said == label),
            "score_lenient": 0.0,
        }
        for i, (said, label) in enumerate([("yes", "yes"), ("no", "yes")])
    ],
}
ACCEPTED = {"docvqa": 100.0, "scene-probe": 50.0}


def stage(name, artifact):
    return StageRow(
        stage_id=name,
        kind="evaluate",
        label=name,
        position=0,
        state="SUCCEEDED",
        parent_id=None,
        flops=0,
        samples=0,
        attempts_made=1,
        progress=None,
        spec={"benchmark": name, "config": {"num_items": 1}, "version": "1.1"},
        seconds=1.0,
        started_at=0.0,
        artifact=artifact,
        result={},
        failure=None,
    )


def score(name, value):
    return ScoreRow(
        trial_key="t",
        arm_key="a",
        arm_name="a",
        seed=0,
        stage_id=name,
        benchmark=name,
        value=value,
        value_lenient=value,
        num_items=1,
        num_unparseable=0,
        is_complete=True,
        tokens_per_image=None,
    )


@pytest.fixture
def again(tmp_path):
    """Store answers, then score them again with choices."""
    for name, rows in ANSWERS.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    trial = TrialRow(
        trial_key="t",
        arm_key="a",
        arm_name="a",
        seed=0,
        levels={},
        state="SUCCEEDED",
        stage_ids=tuple(ANSWERS),
        rung=0,
        stopped=None,
        config={"evaluate": {"benchmarks": [*ANSWERS, "mm-vet"]}},
    )
    stages = [stage(name, name) for name in ANSWERS]
    return lambda accepted=ACCEPTED, **choices: rescore(
        [trial], stages, [score(*each) for each in accepted.items()], Artifacts(tmp_path), choices
    )


def test_stored_answers_give_the_accepted_scores_and_their_averages(again):
    found = again()
    assert {each.benchmark: (each.score, each.is_same) for each in found.benchmarks} == {"docvqa": (100, True), "scene-probe": (50, True)}
    assert found.trials["t"]["text_rich"] == 100
    assert "mm-vet" in found.withheld["t"]["general"]
    assert found.withheld["t"]["mm-vet"].startswith("not run: it needs a judge")


def test_another_choice_changes_its_benchmark_alone(again):
    found = again(anls_form="due")
    assert {each.benchmark: each.score for each in found.benchmarks} == {"docvqa": 0, "scene-probe": 50}
    assert found.trials["t"]["text_rich"] == 0


def test_a_number_that_the_answers_do_not_give_is_seen(again):
    found = again(ACCEPTED | {"docvqa": 70.0})
    assert [each.benchmark for each in found.benchmarks if not each.is_same] == ["docvqa"]


@pytest.mark.parametrize(("choice", "message"), [({"pope_scor": "f1"}, "did you mean 'pope_score'"), ({"pope_score": "f2"}, "pope_score")])
def test_a_choice_that_does_not_exist_is_refused(choice, message):
    with pytest.raises(ValueError, match=message):
        choices_of(choice)


def test_choices_are_read_from_text():
    assert choices_of({"dagger_in_average": "true", "pope_score": "f1"}) == {"dagger_in_average": True, "pope_score": "f1"}


def test_a_benchmark_with_a_new_version_is_told_apart(again, monkeypatch):
    monkeypatch.setitem(BENCHMARKS, "docvqa", dataclasses.replace(BENCHMARKS["docvqa"], version=2))
    assert {each.benchmark: each.has_new_version for each in again().benchmarks} == {"docvqa": True, "scene-probe": False}
