import pytest

from model.evaluation.benchmarks.registry import BENCHMARKS
from orchestrator.artifacts.store import Artifacts
from orchestrator.ledger import outbox, read
from orchestrator.tracking.payloads import LONGEST_NAME, attempt_content, trial_content


def scoring_of(content, section):
    return {name.removeprefix(f"{section}.scoring.") for name in content.params if name.startswith(f"{section}.scoring.")}


def started(stage, **changes):
    return {"kind": stage.kind, "label": stage.label, "stage_id": stage.stage_id, "attempt_id": "a", "attempt_no": 1, "study_id": "s",
            "parent_ids": ["p"], "flops": 1.0, "at": 0.0, "spec": {**stage.spec, **changes}}


def test_a_trial_says_the_choices_that_its_benchmarks_have(engine):
    message = outbox.pending(engine)[0]
    suite = message.payload["config"]["evaluate"]["benchmarks"]
    content = trial_content([(message.kind, message.payload)], suite)
    assert scoring_of(content, "evaluate") == {name for each in suite for name in BENCHMARKS[each].choices}
    assert content.params["evaluate.images.tile"] == str(message.payload["config"]["evaluate"]["images"]["tile"])


@pytest.mark.parametrize("known", [True, False])
def test_an_evaluation_says_its_own_choices_and_all_of_them_if_its_benchmark_is_gone(engine, tmp_path, known):
    stage = next(row for row in read.stages(engine, "study-1") if row.kind == "evaluate")
    benchmark = stage.spec["benchmark"] if known else "forgotten"
    content = attempt_content([("attempt_started", started(stage, benchmark=benchmark))], Artifacts(tmp_path))
    assert scoring_of(content, "config") == set(BENCHMARKS[benchmark].choices if known else stage.spec["config"]["scoring"])
    assert content.params["benchmark"] == benchmark


@pytest.mark.parametrize("arm", ["short", "long" * 200, "nul \0", "lone \udc80 surrogate"])
def test_a_name_fits_every_database_and_keeps_its_seed(engine, arm):
    message = outbox.pending(engine)[0]
    content = trial_content([(message.kind, {**message.payload, "arm_name": arm, "seed": 17})], ())
    assert len(content.name) <= LONGEST_NAME
    assert content.name.endswith(" s17")
    for text in (content.name, *content.tags.values(), *content.params.values()):
        assert "\0" not in text
        text.encode()
