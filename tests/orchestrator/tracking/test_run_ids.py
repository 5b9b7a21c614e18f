"""What was made in MLflow is noted once for many messages; neither a failure nor another flusher makes anything twice."""

import pytest

from orchestrator.errors import OrchestratorError
from orchestrator.ledger import outbox, read
from orchestrator.tracking.flusher import Flusher
from orchestrator.tracking.run_ids import RunIds
from tests.orchestrator.tracking.test_flusher import attempt, finish_trials, runs


def test_ledger_that_fails_when_all_was_sent_leads_to_no_second_run(flusher, settings, engine, client, monkeypatch):
    attempt(engine, settings)
    finish_trials(engine)
    real = outbox.settle

    def fails_once(*_):
        monkeypatch.setattr(outbox, "settle", real)
        raise OrchestratorError("the ledger is away")

    monkeypatch.setattr(outbox, "settle", fails_once)
    assert flusher.flush_all(60).num_left == 14
    assert flusher.flush_all(60).num_left == 0
    found = runs(client, "stages")
    assert (len(runs(client, "written")), len(found)) == (6, 1)
    assert len(client.get_run(found[0].info.run_id).outputs.model_outputs) == 1


def test_run_that_another_flusher_made_first_counts(flusher, engine, client, monkeypatch):
    subject = outbox.pending(engine)[0].subject
    monkeypatch.setattr(RunIds, "get", lambda *_: None)  # it looked before the other one had noted its own
    outbox.settle(engine, [], {subject: "theirs"})
    assert flusher.flush_all(60).num_left == 0
    assert outbox.external_id(engine, subject) == "theirs"
    duplicates = [run.data.tags["subject"] for run in runs(client, "written") if run.data.tags.get("duplicate_of") == "theirs"]
    assert duplicates == [subject]


@pytest.mark.usefixtures("client")
def test_ids_are_in_the_ledger_when_messages_have_left_the_outbox(flusher, settings, engine):
    attempt(engine, settings)
    subjects = {message.subject for message in outbox.pending(engine)}
    flusher.flush_all(60)
    assert read.outbox_lag(engine) == 0
    assert all(outbox.external_id(engine, subject) for subject in subjects)
    assert Flusher(settings, engine).flush_all(60).num_left == 0
