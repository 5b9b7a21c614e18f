import json
import time

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, INVALID_PARAMETER_VALUE
from mlflow.tracking import MlflowClient

from orchestrator.artifacts.store import Artifacts
from orchestrator.ledger import outbox, read
from orchestrator.ledger import tables as t
from orchestrator.ledger.engine import transaction
from orchestrator.ledger.journal import Journal
from orchestrator.ledger.write import finish_trial
from orchestrator.settings import Settings
from orchestrator.tracking import payloads
from orchestrator.tracking.flusher import Flusher
from orchestrator.tracking.mlflow_store import MlflowStore
from tests.orchestrator.tracking.conftest import AT, say
from tests.support import scored
from tests.support.mlflow_server import MlflowServer


def finish_trials(engine, state="SUCCEEDED"):
    scored.finish(engine)
    with transaction(engine) as connection:
        record = Journal(connection, now=AT, actor="test")
        for trial in read.trials(engine, "study-1"):
            finish_trial(connection, record, "study-1", trial.trial_key, state)
        record.flush()


def attempt(engine, settings, attempt_no=1, state="SUCCEEDED", **result):
    stage = next(row for row in read.stages(engine, "study-1") if row.kind == "sft")
    base = {"attempt_id": f"a{attempt_no}", "attempt_no": attempt_no, "stage_id": stage.stage_id, "kind": "sft", "label": stage.label}
    directory = Artifacts(settings.artifacts).attempt_dir(stage.stage_id, attempt_no)
    directory.mkdir(parents=True)
    lines = [json.dumps({"step": step, "steps": 3, "loss": 2.0 / step, "at": AT + step}) for step in (1, 2, 3)]
    (directory / "progress.jsonl").write_text("\n".join([*lines, '{"step": 4, "lo']))
    say(engine, f"attempt:a{attempt_no}", "attempt_started",
        {**base, "spec": stage.spec, "parent_ids": ["p"], "flops": 1e9, "samples": 10, "study_id": "study-1"}, at=AT)
    say(engine, f"attempt:a{attempt_no}", "attempt_finished",
        {**base, "state": state, "seconds": 3.5, "result": result or None, "artifact": "x", "failure": None}, at=AT + 9)


def runs(client, experiment, query=""):
    found = client.get_experiment_by_name(experiment)
    return client.search_runs([found.experiment_id], query) if found else []


def test_trials_arrive_with_configuration_scores_and_tags(flusher, engine, client):
    finish_trials(engine)
    assert flusher.flush_all(30).num_left == 0
    (found,) = runs(client, "written", "tags.arm = 'science=0.1' and tags.seed = '1'")
    trial = next(each for each in read.trials(engine, "study-1") if (each.arm_name, each.seed) == ("science=0.1", 1))
    assert found.data.params["sft.mixture.alpha.science"] == "0.1"
    assert found.data.metrics["scene-qa"] == next(row.value for row in read.scores(engine, "study-1")
                                                  if row.trial_key == trial.trial_key and row.benchmark == "scene-qa")
    assert found.data.metrics["mmbase"] == pytest.approx(sum(found.data.metrics[name] for name in (
        "general", "text_rich", "knowledge")) / 3)
    assert (found.data.tags["study"], found.data.tags["scale"], len(found.data.tags["identity"])) == ("written", "tiny", 64)
    assert (found.info.status, found.info.end_time) == ("FINISHED", int(AT * 1000))


def test_all_trials_of_a_study_are_runs_of_one_experiment(flusher, engine, client):
    flusher.flush_all(30)
    assert len(runs(client, "written")) == 6
    assert {run.info.status for run in runs(client, "written")} == {"RUNNING"}


def test_scores_that_come_later_reach_the_same_run(flusher, settings, engine, client):
    flusher.flush_all(30)
    finish_trials(engine)
    Flusher(settings, engine).flush_all(30)
    assert len(runs(client, "written")) == 6
    assert all("knowledge" in run.data.metrics for run in runs(client, "written"))


def test_attempt_arrives_with_curve_at_its_own_times(flusher, settings, engine, client):
    attempt(engine, settings, final_loss=0.6, checkpoint="name")
    flusher.flush_all(30)
    (found,) = runs(client, "stages")
    curve = client.get_metric_history(found.info.run_id, "loss")
    assert [(point.step, point.value, point.timestamp) for point in curve] == [
        (step, 2.0 / step, int((AT + step) * 1000)) for step in (1, 2, 3)]
    assert found.data.metrics["result.final_loss"] == 0.6
    assert found.data.metrics["result.seconds"] == 3.5
    assert found.data.tags["identity"] == found.data.tags["stage_id"]
    assert (found.info.start_time, found.info.end_time) == (int(AT * 1000), int((AT + 9) * 1000))


@pytest.mark.parametrize(("state", "status"), [
    ("SUCCEEDED", "FINISHED"), ("DIVERGED", "FAILED"), ("LOST", "FAILED"), ("CANCELLED", "KILLED")])
def test_state_of_an_attempt(flusher, settings, engine, client, state, status):
    attempt(engine, settings, state=state)
    flusher.flush_all(30)
    (found,) = runs(client, "stages")
    assert (found.info.status, found.data.tags["state"]) == (status, state)


def test_replay_after_a_crash_before_the_ledger_heard_makes_no_second_run(flusher, settings, engine, client):
    attempt(engine, settings)
    flusher.flush_all(30)
    with transaction(engine) as connection:
        connection.execute(t.tracking_outbox.update().values(sent_at=None))
        connection.execute(t.tracking_subjects.delete())
    assert Flusher(settings, engine).flush_all(30).num_left == 0
    assert len(runs(client, "stages")) == 1
    assert len(runs(client, "written")) == 6


def test_deleted_run_is_refused_and_holds_up_nobody(flusher, settings, engine, client):
    flusher.flush_all(30)
    client.delete_run(runs(client, "written")[0].info.run_id)
    finish_trials(engine)
    flushed = Flusher(settings, engine).flush_all(30)
    assert (flushed.num_left, flushed.num_refused) == (0, 1)
    assert len([run for run in runs(client, "written") if run.info.status == "FINISHED"]) == 5


def test_a_message_of_which_nothing_can_be_said_holds_up_nobody(flusher, engine, client):
    with transaction(engine) as connection:
        first = outbox.pending(engine)[0]
        connection.execute(t.tracking_outbox.update().where(t.tracking_outbox.c.id == first.message_id).values(payload="{}"))
    flushed = flusher.flush_all(30)
    assert (flushed.num_left, flushed.num_refused) == (0, 1)
    assert len(runs(client, "written")) == 5


def test_deleted_experiment_comes_back(flusher, settings, engine, client):
    attempt(engine, settings)
    flusher.flush_all(30)
    client.delete_experiment(client.get_experiment_by_name("stages").experiment_id)
    attempt(engine, settings, attempt_no=2)
    assert Flusher(settings, engine).flush_all(30).num_left == 0


def test_messages_of_a_subject_go_out_in_order(flusher, engine, monkeypatch):
    seen = []
    monkeypatch.setattr(MlflowStore, "deliver", lambda _, messages: seen.append([each.seq for each in messages]) or 0)
    finish_trials(engine)
    flusher.flush_all(30)
    assert seen == [[1, 2]] * 6


def test_failure_leaves_what_was_not_sent_and_says_why(flusher, engine, monkeypatch):
    calls = []

    def third_fails(_, messages):
        calls.append(messages)
        return 0 if len(calls) < 3 else 1 / 0

    monkeypatch.setattr(MlflowStore, "deliver", third_fails)
    flushed = flusher.flush_all(30)
    assert (flushed.num_left, flushed.error) == (4, "ZeroDivisionError: division by zero")
    began = time.monotonic()
    flusher.turn()
    assert flusher.next_at - began >= 1.0


def test_failed_create_is_searched_for_before_the_next_one(flusher, engine, client, monkeypatch):
    real = MlflowClient.create_run

    def reply_lost(self, *args, **kwargs):
        real(self, *args, **kwargs)
        monkeypatch.setattr(MlflowClient, "create_run", real)
        raise MlflowException("connection reset")

    say(engine, "warm", "trial_created", {**outbox.pending(engine)[0].payload, "study": "other"})
    monkeypatch.setattr(MlflowClient, "create_run", reply_lost)
    assert flusher.flush_all(30).num_left == 0
    assert len(runs(client, "written")) == 6
    assert len(runs(client, "other")) == 1


def test_an_interrupted_turn_ends_after_the_subject_that_it_sends_and_the_next_one_sends_the_rest(settings, engine, client):
    asked = iter([False, False, True, True])
    Flusher(settings, engine, lambda: next(asked)).turn()
    assert (len(outbox.pending(engine)), len(runs(client, "written"))) == (4, 2)
    assert Flusher(settings, engine).flush_all(60).num_left == 0
    assert len(runs(client, "written")) == 6


def test_no_time_sends_nothing(flusher, engine):
    assert flusher.flush_all(0.0).num_left == 6


def test_tracking_may_be_off(settings, engine, monkeypatch):
    monkeypatch.setenv("ABLATE_MLFLOW_URI", "off")
    assert Flusher(Settings.load(), engine).flush_all(30).num_left == 6


def test_study_called_stages_keeps_apart_from_the_attempts(flusher, engine, client):
    with transaction(engine) as connection:
        payload = {**outbox.pending(engine)[0].payload, "study": "stages"}
        connection.execute(t.tracking_outbox.delete())
        record = Journal(connection, now=AT, actor="test")
        record.message("trial:x", "trial_created", payload)
        record.flush()
    flusher.flush_all(30)
    assert len(runs(client, "study stages")) == 1


def test_server_that_is_down_at_first_loses_nothing(settings, engine, tmp_path, monkeypatch, unused_port):
    server = MlflowServer(tmp_path, unused_port)
    monkeypatch.setenv("ABLATE_MLFLOW_URI", server.uri)
    flusher = Flusher(Settings.load(), engine)
    attempt(engine, settings, final_loss=0.6)
    finish_trials(engine)
    down = flusher.flush_all(60)
    assert (down.num_left, down.num_refused) == (14, 0)
    assert down.error != ""
    server.start()
    try:
        assert flusher.flush_all(120).num_left == 0
        client = MlflowClient(server.uri)
        assert len(runs(client, "written")) == 6
        assert {run.info.status for run in runs(client, "written")} == {"FINISHED"}
        assert len(runs(client, "stages")) == 1
    finally:
        server.stop()


def test_every_connection_to_a_sqlite_store_has_mlflows_settings_and_ours(flusher, engine, client):
    finish_trials(engine)
    assert flusher.flush_all(30).num_left == 0
    pool = client._tracking_client.store.engine
    with pool.connect() as first, pool.connect() as second:  # MLflow's sessions are nested: one run takes several at once
        for connection in (first, second):
            found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                     for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")]
            assert found == ["wal", 1, 1, 20_000]
            assert connection.exec_driver_sql("SELECT 'a' LIKE 'A'").scalar() == 0


# ---- what the store refuses, or fails at ----


def with_config(engine, subject, arm_name="arm", **config):
    """Say that a trial was created, with more in its configuration."""
    message = outbox.pending(engine)[0]
    payload = {**message.payload, "arm_name": arm_name, "config": {**message.payload["config"], **config}}
    say(engine, subject, "trial_created", payload)


def test_what_is_refused_of_a_subject_is_left_out_alone(flusher, engine, client, caplog):
    with_config(engine, "trial:odd", "odd", **{"a\nb": 1, "x" * 300: 2, "fine": 3})
    flushed = flusher.flush_all(60)
    assert (flushed.num_left, flushed.num_refused, flushed.error) == (0, 0, "")
    (odd,) = runs(client, "written", "tags.subject = 'trial:odd'")
    assert odd.data.params["fine"] == "3"
    assert not {"a\nb", "x" * 300} & odd.data.params.keys()
    assert odd.data.params["sft.mixture.alpha.science"]
    assert len([each for each in caplog.records if "refused for run" in each.message]) == 2


def test_a_tag_that_is_refused_costs_no_run(flusher, engine, client, monkeypatch):
    real_run, real_batch = MlflowClient.create_run, MlflowClient.log_batch

    def refuse(tags):
        if "levels" in tags:
            raise MlflowException("not this one", error_code=INVALID_PARAMETER_VALUE)

    def create_run(self, *arguments, tags, **options):
        refuse(tags)
        return real_run(self, *arguments, tags=tags, **options)

    def log_batch(self, run_id, metrics=(), params=(), tags=()):
        refuse({tag.key for tag in tags})
        real_batch(self, run_id, metrics=metrics, params=params, tags=tags)

    monkeypatch.setattr(MlflowClient, "create_run", create_run)
    monkeypatch.setattr(MlflowClient, "log_batch", log_batch)
    assert flusher.flush_all(60).num_refused == 0
    found = runs(client, "written", "tags.arm = 'science=0.1' and tags.seed = '1'")
    assert [("study" in run.data.tags, "levels" in run.data.tags) for run in found] == [(True, False)]


def test_a_subject_at_which_the_store_fails_holds_up_no_other(flusher, engine, client, monkeypatch):
    first = outbox.pending(engine)[0].subject
    real, is_broken = MlflowClient.create_run, [True]

    def create_run(self, *arguments, tags, **options):
        if is_broken and tags["subject"] == first:
            raise MlflowException("the database gave up", error_code=INTERNAL_ERROR)
        return real(self, *arguments, tags=tags, **options)

    monkeypatch.setattr(MlflowClient, "create_run", create_run)
    flushed = flusher.flush_all(60)
    assert {each.subject for each in outbox.pending(engine)} == {first}
    assert (flushed.num_left, flushed.num_refused, flushed.error) == (1, 0, f"Held: {first}: the database gave up")
    assert len(runs(client, "written")) == 5
    is_broken.clear()
    assert flusher.flush_all(60).num_left == 0
    assert len(runs(client, "written")) == 6


def test_a_database_server_that_finds_a_value_too_long_stops_nothing(engine, postgres, tmp_path, monkeypatch):
    """SQLite enforces no length: only a server shows what does not fit."""
    settings = Settings.model_construct(home=tmp_path, mlflow=postgres.empty(), artifacts_at="")
    monkeypatch.setattr(payloads, "LONGEST_NAME", 400)
    with_config(engine, "trial:long", ", ".join(f"factor_{n}=0.12345" for n in range(20)))
    with_config(engine, "trial:behind", "behind \0 it")
    flushed = Flusher(settings, engine).flush_all(120)
    assert (flushed.num_left, flushed.num_refused, flushed.error) == (0, 1, "")
    client = MlflowClient(settings.mlflow_uri)
    assert len(runs(client, "written")) == 6 + 1
    (behind,) = runs(client, "written", "tags.subject = 'trial:behind'")
    assert behind.data.tags["arm"] == "behind \N{REPLACEMENT CHARACTER} it"
