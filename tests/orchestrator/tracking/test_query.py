import json

import pytest
from click.testing import CliRunner

from orchestrator.cli.main import main
from orchestrator.tracking.query import columns_of, search
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
