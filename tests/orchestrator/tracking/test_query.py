import json
import os
import shlex
import sqlite3

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from orchestrator.cli.main import main
from orchestrator.ledger import tables as t
from orchestrator.tracking.query import columns_of, search
from tests.orchestrator.tracking.conftest import say
from tests.orchestrator.tracking.test_flusher import attempt, finish_trials


@pytest.fixture
def tracked(flusher, settings, engine):
    attempt(engine, settings, value=70.0)
    finish_trials(engine)
    assert flusher.flush_all(60).num_left == 0
    return settings


def ablate(*words):
    return CliRunner().invoke(main, list(words))


def test_filter_over_tags_and_metrics_finds_trials(tracked):
    best = max(search(tracked, "", study=None, stages=False, order_by=[], limit=100), key=lambda each: each.metrics["knowledge"])
    text = f"metrics.knowledge >= {best.metrics['knowledge']} and tags.arm = '{best.tags['arm']}'"
    (found,) = search(tracked, text, study="written", stages=False, order_by=[], limit=100)
    assert found == best


def test_order_and_limit_are_mlflows(tracked):
    found = search(tracked, "", study=None, stages=False, order_by=["metrics.mmbase DESC"], limit=4)
    assert [each.metrics["mmbase"] for each in found] == sorted((each.metrics["mmbase"] for each in found), reverse=True)
    assert len(found) == 4


def test_attempts_are_kept_apart_from_trials(tracked):
    (found,) = search(tracked, "", study=None, stages=True, order_by=[], limit=100)
    assert found.tags["kind"] == "sft"
    assert len(search(tracked, "", study=None, stages=False, order_by=[], limit=100)) == 6
    assert search(tracked, "", study="other", stages=False, order_by=[], limit=100) == []


def test_table_shows_the_fields_that_the_filter_names(tracked):
    result = ablate("query", "metrics.knowledge > 0 and tags.seed = '1'")
    head, *rows = result.stdout.splitlines()
    assert head.split() == ["study", "name", "state", "started", "took", "knowledge", "seed"]
    assert len(rows) == 3


def test_json_holds_all_that_mlflow_has(tracked):
    document = json.loads(ablate("query", "tags.seed = '0'", "--json").stdout)
    assert len(document) == 3
    assert {"metrics", "params", "tags", "mlflow_run_id", "status"} <= document[0].keys()


def test_filter_that_mlflow_cannot_read_is_bad_input_with_an_example(tracked):
    result = ablate("query", "metrics.knowledge >> 20")
    assert result.exit_code == 2
    assert "Invalid comparator" in result.stderr
    assert "hint: for example" in result.stderr


def test_tracking_that_is_off_is_said(home_off):
    result = ablate("query")
    assert result.exit_code == 1
    assert "tracking is off" in result.stderr


@pytest.fixture
def home_off(tmp_path, monkeypatch):
    monkeypatch.setenv("ABLATE_HOME", str(tmp_path))
    monkeypatch.setenv("ABLATE_MLFLOW_URI", "off")


@pytest.mark.parametrize(("texts", "columns"), [
    (["metrics.mmbase > 1", "metrics.mmbase DESC"], ["metrics.mmbase"]),
    (["params.`sft.lr` = '0.1' and tags.arm = 'x'"], ["params.sft.lr", "tags.arm"]),
    (["attributes.status = 'FINISHED'"], []),
])
def test_columns_are_the_fields_named(texts, columns):
    assert columns_of(*texts) == columns


def test_the_table_of_stages_shows_their_metric(engine, settings, flusher):
    attempt(engine, settings, score=70.5)
    flusher.flush_all(60)
    head, row = ablate("query", "--stages").stdout.splitlines()
    assert head.split()[-2:] == ["loss", "result.score"]
    assert row.split()[-1] == "70.5"


def test_a_trial_of_two_versions_says_its_version(tracked, engine, flusher):
    payload = {**outbox_payload(engine), "version": 2}
    say(engine, "trial:another", "trial_created", payload)
    flusher.flush_all(60)
    head, *rows = ablate("query", f"tags.arm = '{payload['arm_name']}' and tags.seed = '{payload['seed']}'").stdout.splitlines()
    assert head.split()[:3] == ["study", "version", "name"]
    assert sorted(row.split()[1] for row in rows) == ["1", "2"]


def outbox_payload(engine):
    with engine.connect() as connection:
        query = select(t.tracking_outbox.c.payload).where(t.tracking_outbox.c.kind == "trial_created")
        return json.loads(connection.execute(query).scalars().first())


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0"], ids=["noise", "noise below a header"])
@pytest.mark.parametrize("words", [("query", "metrics.all > 0"), ("mlflow", "sync")], ids=["query", "sync"])
def test_a_broken_store_is_one_line_with_the_repair(settings, engine, words, content):
    file = settings.home / "mlflow.db"
    file.write_bytes(content + os.urandom(5000))
    result = ablate(*words)
    problem, hint = result.stderr.strip().splitlines()
    assert (result.exit_code, str(result.exception)) == (1, "1")
    assert problem.startswith(f"error: MLflow at sqlite:///{file} does not answer: ")
    quoted = shlex.quote(str(file))
    assert hint == f"hint: mv {quoted} {quoted}.broken && ablate mlflow sync   (it is rebuilt from the ledger)"


def test_a_store_of_a_newer_mlflow_is_told(settings, engine):
    connection = sqlite3.connect(settings.home / "mlflow.db")
    connection.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    connection.commit()
    connection.close()
    result = ablate("query", "metrics.all > 0")
    assert (result.exit_code, len(result.stderr.strip().splitlines())) == (1, 2)
    assert "out-of-date database schema (found version ffffffffffff" in result.stderr
