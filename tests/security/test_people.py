"""S4, S10, S17: who may reach the dashboard, who may act in it, and what a role of the database may do."""

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
import streamlit as st
from click.testing import CliRunner
from sqlalchemy.exc import DBAPIError
from streamlit.testing.v1 import AppTest

from dashboard import submission
from orchestrator import exposure
from orchestrator.cli.main import main
from orchestrator.errors import NotAllowed
from orchestrator.exposure import is_loopback, refusal
from orchestrator.ledger import actions, read
from orchestrator.ledger.engine import has_ledger, open_existing, open_for_reading, open_ledger
from orchestrator.ledger.lease import acquire
from orchestrator.ledger.roles import May, fresh, let_in, url_of
from orchestrator.ledger.submit import submit
from orchestrator.settings import Settings
from orchestrator.study import library
from tests.support.ledgers import Server, postgres  # noqa: F401 (fixture)
from tests.support.toy import toy_plan

ROOT = Path(__file__).parents[2]
ALLOWING = ("ABLATE_DASHBOARD_USER_HEADER", "ABLATE_DASHBOARD_INSECURE")
HOSTILE = ["x'; DROP TABLE studies; --", 'x" OR "1"="1', "%_\\", "\N{SNOWMAN}\n\t", "a" * 199]


# ---- S17: fail closed ----


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.1.5", "ablate.lab", "10.0.0.1"])  # noqa: S104
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
    yield engine, submit(engine, toy_plan(), actor="owner@lab")
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


@pytest.fixture
def lab(monkeypatch):
    """A proxy names people; one may do everything, two may submit."""
    for name, value in {"USER_HEADER": "X-Auth-Request-Email", "OPERATORS": '["operator@lab"]',
                        "SUBMITTERS": '["owner@lab", "other@lab"]'}.items():
        monkeypatch.setenv(f"ABLATE_DASHBOARD_{name}", value)


@pytest.mark.parametrize(("who", "may"), [("viewer@lab", False), ("other@lab", False), ("owner@lab", True), ("operator@lab", True)])
def test_s04_who_may_not_change_a_study_has_no_buttons_and_the_action_is_refused(paused, lab, monkeypatch, who, may):
    engine, study_id = paused
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
    moved = [event.actor for event in read.events(engine, study_id, 100) if event.to_state == "PAUSED"]
    assert moved == ([who] if may else [])


@pytest.fixture
def quickstart(tmp_path, lab, monkeypatch):
    """The settings of an empty home, and a planned study."""
    monkeypatch.setenv("ABLATE_HOME", str(tmp_path))
    settings = Settings.load()
    source = library.names("study")["quickstart"].read_text(encoding="utf-8")
    return settings, submission.planned(source, "tiny", settings, None)


@pytest.mark.parametrize("who", ["owner@lab", "operator@lab"])
def test_s04_who_may_submit_is_in_the_record(quickstart, who):
    settings, found = quickstart
    study_id = submission.send(found, settings, update=False, who=who)
    engine = open_for_reading(settings.ledger_url)
    assert read.submitter(engine, study_id) == who
    engine.dispose()


@pytest.mark.parametrize("who", ["viewer@lab", "", "owner"])
def test_s04_who_may_not_submit_is_refused_by_the_action_itself(quickstart, who):
    settings, found = quickstart
    with pytest.raises(NotAllowed, match="ABLATE_DASHBOARD_SUBMITTERS"):
        submission.send(found, settings, update=False, who=who)
    assert not has_ledger(settings.ledger_url)


def test_s04_without_a_proxy_whoever_sits_at_the_machine_may_do_everything():
    assert exposure.role(Settings(), exposure.LOCAL) is exposure.Role.OPERATOR


# ---- S10: the database ----


@pytest.mark.parametrize("name", HOSTILE)
def test_s10_names_go_to_the_database_and_back_as_they_are(tmp_path, name):
    engine = open_ledger(f"sqlite:///{tmp_path}/ledger.db")
    study_id = submit(engine, toy_plan())
    actions.pause(engine, study_id, actor=name[:100])
    assert name[:100] in {event.actor for event in read.events(engine, study_id, 100)}
    assert [row.name for row in read.studies(engine)] == ["toy"]
    engine.dispose()


@pytest.fixture
def roles(postgres: Server):  # noqa: F811
    """A ledger with a study, and the engine of a role for each set of rights, beside its owner's."""
    url = postgres.fresh()
    engines = {"owner": open_ledger(url)}
    study_id = submit(engines["owner"], toy_plan())
    for may in May:
        login = fresh(f"role_{may}_{uuid.uuid4().hex[:8]}")
        let_in(url, login, may)
        engines[may.value] = open_existing(url_of(url, login))
    yield engines, study_id
    for engine in engines.values():
        engine.dispose()


def test_s10_a_role_that_may_only_read_reads_and_changes_nothing(roles):
    engines, study_id = roles
    assert read.study(engines["read"], "toy").study_id == study_id
    with pytest.raises(NotAllowed, match="ablate ledger role"):  # whatever it tries, the server says no
        actions.pause(engines["read"], study_id)
    with engines["read"].connect() as connection:
        assert connection.exec_driver_sql("SHOW default_transaction_read_only").scalar() == "on"
    assert read.study(engines["owner"], "toy").state == "QUEUED"


def test_s10_a_reader_has_five_seconds_for_a_statement(roles):
    engines, _ = roles
    reading = open_for_reading(engines["read"].url.render_as_string(hide_password=False))
    with reading.connect() as connection:
        assert connection.exec_driver_sql("SHOW statement_timeout").scalar() == "5s"
    reading.dispose()


def test_s10_a_person_moves_studies_and_is_named_and_writes_no_results(roles):
    engines, study_id = roles
    mine = engines["submit"]
    actions.pause(mine, study_id, actor=actions.whoami(mine))
    actions.share(mine, study_id, priority=2, actor=actions.whoami(mine))
    actions.resume(mine, study_id, actor=actions.whoami(mine))
    submit(mine, toy_plan(name="second"), actor=actions.whoami(mine))
    actions.cancel(mine, study_id, actor=actions.whoami(mine))
    assert actions.whoami(mine).startswith("role_submit_")
    assert {event.actor for event in read.events(mine, None, 500)} == {"submit", actions.whoami(mine)}
    for forbidden in ("INSERT INTO scores (stage_id) VALUES ('x')", "UPDATE attempts SET state = 'SUCCEEDED'", "DELETE FROM events",
                      "UPDATE driver_lease SET epoch = epoch + 1", "UPDATE events SET actor = 'nobody'", "CREATE TABLE mine (x int)"):
        with pytest.raises(DBAPIError, match="permission denied"), mine.begin() as connection:
            connection.exec_driver_sql(forbidden)
    with pytest.raises(NotAllowed):
        acquire(mine, "person", ttl_s=5, holder={})


def test_s10_a_driver_drives_and_cannot_change_the_schema(roles):
    engines, _ = roles
    assert acquire(engines["drive"], "driver", ttl_s=5, holder={}) is not None
    for forbidden in ("DROP TABLE studies", "UPDATE alembic_version SET version_num = '0001'", "CREATE ROLE other SUPERUSER"):
        with pytest.raises(DBAPIError, match="permission denied|must be owner|insufficient"), engines["drive"].begin() as connection:
            connection.exec_driver_sql(forbidden)


def test_s10_a_ledger_in_a_file_has_no_roles(tmp_path, monkeypatch):
    monkeypatch.setenv("ABLATE_HOME", str(tmp_path))
    refused = CliRunner().invoke(main, ["ledger", "role", "alice", "--may", "submit"])
    assert (refused.exit_code, "has no roles" in refused.stderr) == (1, True)


def test_s17_the_pages_themselves_refuse_an_open_door(tmp_path):
    """Whoever starts Streamlit by hand, on all addresses, gets a page that says so and nothing else."""
    program = ("import streamlit as st; from streamlit.testing.v1 import AppTest; from streamlit import config; "
               "config.set_option('server.address', '0.0.0.0'); "
               "app = AppTest.from_file('dashboard/app.py', default_timeout=60).run(); print([e.value for e in app.error], len(app.title))")
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], cwd=ROOT, capture_output=True, text=True, check=True,
                          env={**os.environ, "ABLATE_HOME": str(tmp_path)})
    assert "ABLATE_DASHBOARD_INSECURE" in done.stdout
    assert done.stdout.strip().endswith(" 0")
