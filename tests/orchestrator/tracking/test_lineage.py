"""Data, checkpoints and system metrics of attempts, as MLflow's own search finds them."""

import json

import pytest

from orchestrator.artifacts.store import Artifacts
from orchestrator.ledger import read
from orchestrator.ledger import tables as t
from orchestrator.ledger.engine import transaction
from orchestrator.tracking.flusher import Flusher
from tests.orchestrator.tracking.conftest import AT, say


@pytest.fixture
def chain(engine, settings):
    """An import, the sft stage that starts from it and an evaluation of that one, told to the outbox."""
    stages = read.stages(engine, "study-1")
    sft = next(row for row in stages if row.kind == "sft")
    evaluation = next(row for row in stages if row.kind == "evaluate" and row.parent_id == sft.stage_id)
    for attempt_id, stage in (("a1", sft), ("a2", evaluation)):
        base = {"attempt_id": attempt_id, "attempt_no": 1, "stage_id": stage.stage_id, "kind": stage.kind, "label": stage.label}
        directory = Artifacts(settings.artifacts).attempt_dir(stage.stage_id, 1)
        directory.mkdir(parents=True)
        (directory / "system.jsonl").write_text(json.dumps({"at": AT + 2, "step": 1, "system/process_memory_megabytes": 123.0}) + "\n")
        say(engine, f"attempt:{attempt_id}", "attempt_started",
            {**base, "spec": stage.spec, "parent_ids": [stage.parent_id], "flops": 1e9, "samples": 10, "study_id": "study-1"}, at=AT)
        say(engine, f"attempt:{attempt_id}", "attempt_finished",
            {**base, "state": "SUCCEEDED", "seconds": 3.5, "result": None, "artifact": "x", "failure": None}, at=AT + 9)
    return sft, evaluation


def attempts(client):
    found = client.get_experiment_by_name("stages")
    found_runs = client.search_runs([found.experiment_id])  # without their models, so each is asked for
    return {run.data.tags["kind"]: client.get_run(run.info.run_id) for run in found_runs}


def models(client):
    found = client.get_experiment_by_name("stages")
    return {model.tags["stage_id"]: model for model in client.search_logged_models([found.experiment_id])}


def test_checkpoints_lead_from_the_start_to_the_evaluation(flusher, chain, client):
    sft, evaluation = chain
    assert flusher.flush_all(60).num_left == 0
    start, trained = models(client)[sft.parent_id], models(client)[sft.stage_id]
    runs = attempts(client)
    assert [each.model_id for each in runs["sft"].inputs.model_inputs] == [start.model_id]
    assert [each.model_id for each in runs["sft"].outputs.model_outputs] == [trained.model_id]
    assert [each.model_id for each in runs["evaluate"].inputs.model_inputs] == [trained.model_id]
    assert runs["evaluate"].outputs.model_outputs == []
    assert (trained.source_run_id, str(trained.status)) == (runs["sft"].info.run_id, "READY")


def test_data_of_attempts_are_named_by_their_fingerprint(flusher, chain, client):
    sft, evaluation = chain
    flusher.flush_all(60)
    (trained_on,) = attempts(client)["sft"].inputs.dataset_inputs
    (evaluated_on,) = attempts(client)["evaluate"].inputs.dataset_inputs
    assert trained_on.dataset.digest == sft.spec["data_fingerprint"][:36]
    assert "general" in trained_on.dataset.name
    assert (evaluated_on.dataset.name, evaluated_on.dataset.source_type) == (evaluation.spec["benchmark"], "workbench")
    assert [(tag.key, tag.value) for tag in evaluated_on.tags] == [("mlflow.data.context", "evaluation")]


def test_system_metrics_come_with_the_attempt(flusher, chain, client):
    flusher.flush_all(60)
    run = attempts(client)["sft"]
    (point,) = client.get_metric_history(run.info.run_id, "system/process_memory_megabytes")
    assert (point.value, point.timestamp, point.step) == (123.0, int((AT + 2) * 1000), 1)


def test_lineage_said_twice_stands_once(flusher, settings, engine, chain, client):
    flusher.flush_all(60)
    with transaction(engine) as connection:
        connection.execute(t.tracking_outbox.update().values(sent_at=None))
        connection.execute(t.tracking_subjects.delete())
    assert Flusher(settings, engine).flush_all(60).num_left == 0
    assert len(models(client)) == 2
    assert {kind: (len(run.inputs.model_inputs), len(run.inputs.dataset_inputs), len(run.outputs.model_outputs))
            for kind, run in attempts(client).items()} == {"sft": (1, 1, 1), "evaluate": (1, 1, 0)}
