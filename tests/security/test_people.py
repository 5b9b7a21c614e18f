"""S4, S10, S17: who may reach the dashboard, who may act in it, and what a role of the database may do."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import psycopg.sql
import pytest
import streamlit as st
from click.testing import CliRunner
from sqlalchemy.exc import DBAPIError
from streamlit.testing.v1 import AppTest

from orchestrator import exposure
from orchestrator.cli.main import main
from orchestrator.exposure import is_loopback, refusal
from orchestrator.ledger import actions, read
from orchestrator.ledger.engine import open_existing, open_for_reading, open_ledger
from orchestrator.ledger.submit import submit
from orchestrator.settings import Settings
from tests.support.ledgers import Server, postgres  # noqa: F401 (fixture)
from tests.support.toy import toy_plan

ROOT = Path(__file__).parents[2]
ALLOWING = ("ABLATE_DASHBOARD_USER_HEADER", "ABLATE_DASHBOARD_INSECURE")
HOSTILE = ["x'; DROP TABLE studies; --", 'x" OR "1"="1', "%_\\", "\N{SNOWMAN}\n\t", "a" * 199]


# ---- S17: fail closed ----


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "", "192.168.1.5", "ablate.lab", "10.0.0.1"])  # noqa: S104
def test_s17_dashboard_beyond_this_machine_does_not_start_without_an_identity(monkeypatch, address):
    monkeypatch.setenv("ABLATE_DASHBOARD_ADDRESS", address)
    started = []
    monkeypatch.setattr(os, "execv", lambda *command: started.append(command))
    refused = CliRunner().invoke(main, ["dashboard"])
    assert (refused.exit_code, started) == (2, [])
    assert all(name in refused.stderr for name in ALLOWING)


@pytest.mark.parametrize(("name", "value"), [("USER_HEADER", "X-Auth-Request-Email"), ("INSECURE", "true"), ("PUBLISHED", "127.0.0.1")])
def test_s17_it_starts_where_the_operator_says_how_it_is_protected(monkeypatch, name, value):
    monkeypatch.setenv("ABLATE_DASHBOARD_ADDRESS", "0.0.0.0")  # noqa: S104
    monkeypatch.setenv(f"ABLATE_DASHBOARD_{name}", value)
    started = []
    monkeypatch.setattr(os, "execv", lambda *command: started.append(command))
    assert CliRunner().invoke(main, ["dashboard"]).exit_code == 0
    assert "--server.address=0.0.0.0" in started[0][1]


def test_s17_what_a_container_publishes_beyond_loopback_is_refused():
    settings = Settings(dashboard_published="0.0.0.0")  # noqa: S104
    assert refusal(settings, "0.0.0.0")  # noqa: S104
    assert refusal(settings, "127.0.0.1")


@pytest.mark.parametrize(("address", "is_ours"), [
    ("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("[::1]", True), ("localhost", True), ("localhost.evil.com", False),
    ("127.0.0.1.evil.com", False), ("", False)])
def test_s17_loopback_is_known_by_number_not_by_a_name_that_looks_like_it(address, is_ours):
    assert is_loopback(address) is is_ours


# ---- S4: identity and roles ----


@pytest.fixture
def paused(tmp_path, monkeypatch):
    """The id of a study in the dashboard's ledger."""
    monkeypatch.setenv("ABLATE_HOME", str(tmp_path))
    st.cache_resource.clear()
    engine = open_ledger(f"sqlite:///{tmp_path}/ledger.db")
    yield engine, submit(engine, toy_plan())
    engine.dispose()
    st.cache_resource.clear()


def study_page():
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=30)
    app.run()
    return app.switch_page("views/study.py").run()


def test_s04_whom_the_proxy_does_not_name_sees_nothing(paused, monkeypatch):
    monkeypatch.setenv("ABLATE_DASHBOARD_USER_HEADER", "X-Auth-Request-Email")
    app = study_page()
    assert "names nobody" in app.error[0].value
    assert not app.title
    assert not app.button


@pytest.mark.parametrize(("who", "may"), [("viewer@lab", False), ("operator@lab", True)])
def test_s04_a_viewer_has_no_buttons_and_his_action_is_refused(paused, monkeypatch, who, may):
    engine, study_id = paused
    monkeypatch.setenv("ABLATE_DASHBOARD_USER_HEADER", "X-Auth-Request-Email")
    monkeypatch.setenv("ABLATE_DASHBOARD_OPERATORS", '["operator@lab"]')
    monkeypatch.setattr(exposure, "person", lambda *_: who)
    app = study_page()
    assert bool([button for button in app.button if str(button.key).startswith("act-")]) is may

    def act():
        from dashboard import acts
        from dashboard.views import shared, study
        from orchestrator.ledger import read

        row = read.studies(shared.engine())[0]
        study.perform(row, next(each for each in acts.allowed_actions(row) if each.name == "pause"))

    assert not AppTest.from_function(act, default_timeout=30).run().exception
    assert read.study(engine, study_id).state == ("PAUSED" if may else "QUEUED")
    actors = {event.actor for event in read.events(engine, study_id, 100)}
    assert (who in actors) is may


# ---- S10: the database ----


@pytest.mark.parametrize("name", HOSTILE)
def test_s10_names_go_to_the_database_and_back_as_they_are(tmp_path, name):
    engine = open_ledger(f"sqlite:///{tmp_path}/ledger.db")
    study_id = submit(engine, toy_plan())
    actions.pause(engine, study_id, actor=name[:100])
    assert name[:100] in {event.actor for event in read.events(engine, study_id, 100)}
    assert [row.name for row in read.studies(engine)] == ["toy"]
    engine.dispose()


def test_s10_a_role_that_may_only_read_reads_and_changes_nothing(postgres: Server):  # noqa: F811
    url = postgres.fresh()
    owner = open_ledger(url)
    study_id = submit(owner, toy_plan())
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in ("DROP ROLE IF EXISTS ablate_reader", "CREATE ROLE ablate_reader LOGIN",
                          "GRANT SELECT ON ALL TABLES IN SCHEMA public TO ablate_reader"):
            connection.execute(statement)
    theirs = url.replace("postgres:@", "ablate_reader:@")
    assert theirs != url
    reading = open_for_reading(theirs)
    assert read.study(reading, "toy").study_id == study_id
    reading.dispose()
    writing = open_existing(theirs)  # whatever it tries, the server says no
    with pytest.raises(DBAPIError, match="permission denied"):
        actions.pause(writing, study_id)
    writing.dispose()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP OWNED BY ablate_reader")
        connection.execute("DROP ROLE ablate_reader")
    owner.dispose()


def test_s17_the_pages_themselves_refuse_an_open_door(tmp_path):
    """Whoever starts Streamlit by hand, on all addresses, gets a page that says so and nothing else."""
    program = ("import streamlit as st; from streamlit.testing.v1 import AppTest; from streamlit import config; "
               "config.set_option('server.address', '0.0.0.0'); "
               "app = AppTest.from_file('dashboard/app.py', default_timeout=60).run(); print([e.value for e in app.error], len(app.title))")
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], cwd=ROOT, capture_output=True, text=True, check=True,
                          env={**os.environ, "ABLATE_HOME": str(tmp_path)})
    assert "ABLATE_DASHBOARD_INSECURE" in done.stdout
    assert done.stdout.strip().endswith(" 0")
