import json

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from orchestrator.cli.main import main
from orchestrator.driver.loop import drive
from orchestrator.execution.executor import InlineExecutor
from orchestrator.ledger.engine import open_ledger, transaction
from orchestrator.ledger.submit import submit
from tests.support.toy import toy_execute, toy_plan, toy_settings


@pytest.fixture
def engine(tmp_path, monkeypatch):
    monkeypatch.setenv("ABLATE_HOME", str(tmp_path))
    settings = toy_settings(tmp_path)
    engine = open_ledger(settings.ledger_url)
    drive(settings, until=submit(engine, toy_plan(levels=(0,), seeds=1)), executor=lambda _: InlineExecutor(toy_execute))
    return engine


def verify(*options):
    return CliRunner().invoke(main, ["ledger", "verify", *options])


def test_a_ledger_that_agrees_is_said_to(engine):
    result = verify()
    assert (result.exit_code, "they agree" in result.stdout) == (0, True)


def test_a_difference_is_named_and_exits_with_1(engine):
    with transaction(engine) as connection:
        connection.execute(text("UPDATE studies SET state = 'FAILED'"))
    result, document = verify(), json.loads(verify("--json").stdout)
    assert (result.exit_code, "the row says FAILED, the events say COMPLETED" in result.stdout) == (1, True)
    assert [each["entity"] for each in document["differences"]] == ["study"]


def test_without_a_ledger_there_is_a_hint(tmp_path, monkeypatch):
    monkeypatch.setenv("ABLATE_HOME", str(tmp_path / "none"))
    result = verify()
    assert result.exit_code == 1
    assert "hint: `ablate run` creates one" in result.stderr
