"""Every page over made-up ledgers, without a browser."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine
from streamlit.testing.v1 import AppTest

from orchestrator.ledger import read
from tests.support.synthetic import Sketch, lease, sketch

Page = Callable[..., AppTest]
PAGES = ("overview", "study", "tradeoff", "trials", "health")
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", PAGES)
def test_empty_ledger_says_how_to_begin(page: Page, name: str) -> None:
    app = page(name)
    assert not app.exception


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("wanted", [
    Sketch(), Sketch(state="RUNNING", done=0.5), Sketch(state="RUNNING", done=0.0), Sketch(seeds=1),
    Sketch(state="FAILED", states={(arm, seed): "FAILED" for arm in range(3) for seed in range(3)}),
    Sketch(question="<img src=x onerror=alert(1)> Wie viel? 多少? " + "x" * 400), Sketch(published="alpha-science"),
], ids=["finished", "half", "begun", "one seed", "all failed", "hostile words", "with the paper"])
def test_page_opens(page: Page, engine: Engine, name: str, wanted: Sketch) -> None:
    sketch(engine, wanted)
    app = page(name)
    assert not app.exception
    assert app.title


def test_study_page_draws_a_panel_for_each_metric(page: Page, engine: Engine) -> None:
    sketch(engine, Sketch())
    panels = page("study").get("plotly_chart")
    means = [trace for trace in json.loads(panels[0].proto.spec)["data"] if trace["name"] == "mean ± 95 %"]
    assert len(panels) == 3
    assert len(means[0]["y"]) == 3


def test_ledger_of_an_older_release_is_named_with_its_command(page: Page, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    app = page("overview")
    assert "`ablate ledger upgrade`" in app.error[0].value
    assert not app.title


def test_address_chooses_the_study(page: Page, engine: Engine) -> None:
    sketch(engine, Sketch(age_s=500))
    sketch(engine, Sketch(name="newer", age_s=5))
    assert page("study").title[0].value == "newer"
    assert page("study", study="quickstart@tiny").title[0].value == "quickstart"


def test_table_instead_of_panels(page: Page, engine: Engine) -> None:
    sketch(engine, Sketch())
    app = page("study", as_table="true")
    assert not app.get("plotly_chart")
    assert list(app.dataframe[0].value["arm"]) == ["science=0", "science=0.1", "science=0.5"]


def test_a_further_metric_gets_a_panel_of_its_own(page: Page, engine: Engine) -> None:
    study_id = sketch(engine, Sketch())
    app = page("study")
    app.pills(key=f"metrics-{study_id}").select("text_rich").run()
    assert len(app.get("plotly_chart")) == 4


def test_verdict_is_told(page: Page, engine: Engine) -> None:
    sketch(engine, Sketch())
    assert page("study").success[0].value.startswith("**Selected.**")


def test_running_stages_are_shown_with_their_steps(page: Page, engine: Engine) -> None:
    sketch(engine, Sketch(state="RUNNING", done=0.5))
    texts = [bar.proto.text for bar in page("study").get("progress")]
    assert any("step 34 of 80 · loss 1.207 · 31.5 samples/s" in text for text in texts)


def test_stale_ledger_is_told(page: Page, engine: Engine) -> None:
    sketch(engine, Sketch(state="RUNNING", done=0.5))
    assert "no driver is running" in page("overview").warning[0].value
    lease(engine)
    assert not page("overview").warning


def test_cancel_asks_before_it_acts(page: Page, engine: Engine) -> None:
    study_id = sketch(engine, Sketch(state="RUNNING", done=0.5))
    app = page("study")
    app.button(key="act-cancel").click().run()
    assert read.study(engine, study_id).state == "RUNNING"
    app.button(key="confirmed").click().run()
    assert read.study(engine, study_id).state == "CANCELLED"


def test_act_is_recorded_with_its_actor(page: Page, engine: Engine) -> None:
    study_id = sketch(engine, Sketch(state="RUNNING", done=0.5))
    app = page("study")
    app.button(key="act-pause").click().run()
    app.button(key="confirmed").click().run()
    newest = next(event for event in read.events(engine, study_id, 50) if event.entity == "study")
    assert (newest.to_state, newest.actor) == ("PAUSED", "dashboard")


def test_chosen_trial_shows_its_stages(page: Page, engine: Engine) -> None:
    sketch(engine, Sketch())
    app = page("trials")
    app.session_state["trials"] = {"selection": {"rows": [1], "columns": []}}
    app.run()
    assert list(app.dataframe[1].value["kind"])[:2] == ["import", "sft"]


def test_opening_the_dashboard_loads_no_torch(engine: Engine) -> None:
    sketch(engine, Sketch())
    code = ("import sys; from streamlit.testing.v1 import AppTest\n"
            "app = AppTest.from_file(sys.argv[1], default_timeout=60).run()\n"
            "app.switch_page('views/study.py').run(); assert not app.exception\n"
            "print('found', *sorted({'torch', 'transformers', 'ray', 'mlflow', 'optuna'} & set(sys.modules)))")
    app = str(ROOT / "dashboard" / "app.py")
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code, app], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "found"
