"""Every page over made-up ledgers, without a browser."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine
from streamlit import config
from streamlit.testing.v1 import AppTest

from dashboard import learning
from orchestrator.cli.main import main
from orchestrator.ledger import read
from orchestrator.plan.plan import Planner
from orchestrator.results.results import study_results
from orchestrator.study.study import load_study
from tests.support import scored
from tests.support.synthetic import SCIENCE, TEN, Sketch, lease, sketch

Page = Callable[..., AppTest]
ROOT = Path(__file__).resolve().parents[2]
OF_A_STUDY = ("study", "sweep", "resolution", "compare", "benchmarks", "claims", "grid", "mixture", "search", "trial", "items")
OTHERS = ("overview", "splitting", "campaign", "submit", "health")
HOSTILE = ("<img src=x onerror=alert(1)>", "[link](http://evil.example) **bold** $x$ @now", "=cmd|' /C calc'!A0")
ALL_FAILED = {(arm, seed): "FAILED" for arm in range(3) for seed in range(3)}
MIXED = {(0, 0): "FAILED", (1, 1): "DIVERGED", (2, 2): "CANCELLED"}


def shown(app: AppTest) -> str:
    """Return all texts of a page."""
    kinds = (app.markdown, app.info, app.error, app.warning, app.success)
    return "\n".join(str(each.value) for kind in kinds for each in kind).replace("\\", "")  # escapes of markdown


@pytest.mark.parametrize("name", [*OF_A_STUDY, "overview"])
def test_without_a_ledger_pages_say_how_to_begin(page: Page, name: str, tmp_path: Path) -> None:
    (tmp_path / "ledger.db").unlink()
    app = page(name)
    assert not app.exception
    assert "There is no ledger in" in app.info[0].value
    assert not (tmp_path / "ledger.db").exists()


@pytest.mark.parametrize("name", OTHERS[1:])
def test_pages_of_no_study_open_on_an_empty_ledger(page: Page, name: str) -> None:
    assert not page(name).exception


@pytest.mark.parametrize("name", [*OF_A_STUDY, "overview"])
@pytest.mark.parametrize("wanted", [
    Sketch(published="alpha-science", arms=tuple({SCIENCE: level} for level in (0, 0.05, 0.1, 0.2, 0.5))),
    Sketch(state="RUNNING", done=0.5), Sketch(state="QUEUED", done=0.0), Sketch(seeds=1),
    Sketch(state="FAILED", states=ALL_FAILED), Sketch(state="COMPLETED_WITH_FAILURES", states=MIXED),
    Sketch(names=HOSTILE, question="<img src=x onerror=alert(1)> http://evil.example 多少? " + "x" * 400,
           select={"maximize": "knowledge", "baseline": HOSTILE[0]}),
], ids=["finished", "half", "begun", "one seed", "all failed", "mixed", "hostile names"])
def test_page_opens(page: Page, engine: Engine, name: str, wanted: Sketch) -> None:
    sketch(engine, wanted)
    app = page(name)
    assert not app.exception
    assert app.title
    assert "as of" in shown(app)


@pytest.mark.parametrize("arms", [200, 2000])
def test_every_page_opens_on_many_trials(page: Page, engine: Engine, arms: int) -> None:
    sketch(engine, Sketch(name="large", arms=tuple({SCIENCE: number / arms} for number in range(arms)), seeds=5, benchmarks=TEN[:4:2],
                          states={(1, 1): "FAILED", (2, 2): "DIVERGED"}))
    app = page("overview")
    for name in OF_A_STUDY:
        app.switch_page(f"views/{name}.py").run(timeout=240)
        assert not app.exception, name
        assert "as of" in shown(app)


# ---- truths at the edges -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OF_A_STUDY)
def test_an_unknown_study_is_said_and_not_replaced(page: Page, engine: Engine, name: str) -> None:
    sketch(engine, Sketch())
    app = page(name, study="gone@tiny")
    assert not app.exception
    assert "No study **gone" in app.error[0].value
    assert not app.get("plotly_chart")


def test_ledger_of_an_older_release_is_named_with_its_command(page: Page, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    app = page("overview")
    assert "`ablate ledger upgrade`" in app.error[0].value
    assert not app.title


def test_a_link_names_one_version_for_ever(page: Page, engine: Engine) -> None:
    sketch(engine, Sketch(age_s=500))
    sketch(engine, Sketch(name="newer", age_s=5))
    assert page("study").title[0].value == "newer"
    assert page("study", study="quickstart@tiny").title[0].value == "quickstart"


def test_failed_study_says_so_everywhere(page: Page, engine: Engine) -> None:
    sketch(engine, Sketch(state="FAILED", states=ALL_FAILED))
    study = shown(page("study"))
    assert "0 of 9 trials succeeded, 9 failed" in study
    assert "No verdict: of 9 trials 9 failed" in study
    assert "sample 17: 3 images" in study
    row = page("overview").dataframe[0].value.iloc[0]
    assert (row["succeeded"], row["failed"], row["verdict"]) == (0, 9, "no verdict")
    assert row["reason"] == "9 × sample 17: 3 images, allowed: 1"


def test_cancelled_is_not_failed(page: Page, engine: Engine) -> None:
    sketch(engine, Sketch(state="COMPLETED_WITH_FAILURES", states=MIXED))
    assert "1 diverged, 1 failed, 1 cancelled" in shown(page("study"))
    row = page("overview").dataframe[0].value.iloc[0]
    assert (row["failed"], row["diverged"], row["cancelled"]) == (1, 1, 1)


def test_pending_scores_are_not_lacking_arms(page: Page, engine: Engine) -> None:
    sketch(engine, Sketch(state="RUNNING", done=0.3, published="alpha-science"))
    told = shown(page("claims"))
    assert "Undecided: scores of its arms are missing." in told
    assert "lacks the arms" not in told


def test_without_a_driver_nothing_runs(page: Page, engine: Engine) -> None:
    sketch(engine, Sketch(state="RUNNING", done=0.5))
    app = page("study")
    bars = " ".join(bar.proto.text for bar in app.get("progress"))
    assert "stands still: no driver" in bars
    assert "last heard at step 34 of 80" in bars
    assert "waits for a driver" in shown(app)
    assert "samples/s" not in bars


def test_with_a_driver_stages_run(page: Page, engine: Engine) -> None:
    sketch(engine, Sketch(state="RUNNING", done=0.5))
    lease(engine)
    app = page("study")
    bars = " ".join(bar.proto.text for bar in app.get("progress"))
    assert "step 34 of 80 · loss 1.207 · 31.5 samples/s" in bars
    assert "left" in bars
    assert not app.warning


def test_arms_without_scores_are_counted(page: Page, engine: Engine) -> None:
    sketch(engine, Sketch(state="RUNNING", done=0.5))
    assert "1 of 3 arms have no score" in shown(page("study"))


def test_names_are_no_links(page: Page, engine: Engine) -> None:
    sketch(engine, Sketch(question="see http://evil.example or www.evil.example or me@evil.example \u202e"))
    told = shown(page("study"))
    assert "http://evil" not in told
    assert "www.evil" not in told
    assert "me@evil" not in told
    assert "\u202e" not in told


def test_a_ledger_that_cannot_be_read_is_one_line(page: Page, tmp_path: Path) -> None:
    for file in tmp_path.glob("ledger.db*"):
        file.unlink()
    (tmp_path / "ledger.db").write_bytes(b"no database" * 100)
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=30).run()
    assert not app.exception
    assert "cannot be opened" in app.error[0].value
    assert "hint" in app.error[0].value


# ---- what pages show -----------------------------------------------------------------------------------------------


def test_study_page_draws_a_panel_for_each_metric(page: Page, engine: Engine) -> None:
    sketch(engine, Sketch())
    figures = [json.loads(chart.proto.spec) for chart in page("study").get("plotly_chart")]
    means = [trace for figure in figures for trace in figure["data"] if trace.get("name") == "mean ± 95 %"]
    assert [len(trace["y"]) for trace in means] == [3, 3, 3]


def test_numbers_of_the_table_are_numbers(page: Page, engine: Engine) -> None:
    sketch(engine, Sketch())
    (table,) = [each.value for each in page("study").dataframe if "mark" in each.value]
    assert list(table["arm"]) == ["science=0", "science=0.1", "science=0.5"]
    for column in ("Knowledge", "Knowledge ±", "Knowledge n", "Δ Knowledge", "Δ Knowledge low", "Δ Knowledge high"):
        assert table[column].dtype.kind in "if"
    assert list(table["mark"]) == ["baseline", "", "chosen"]


def test_a_further_metric_gets_a_panel_of_its_own(page: Page, engine: Engine) -> None:
    sketch(engine, Sketch())
    app = page("study")
    before = len(app.get("plotly_chart"))
    app.pills(key="metrics").select("text_rich").run()
    assert len(app.get("plotly_chart")) == before + 1


def test_the_address_reproduces_the_view(page: Page, engine: Engine) -> None:
    sketch(engine, Sketch(arms=tuple({SCIENCE: level} for level in (0, 0.1, 0.5, 1))))
    app = page("sweep", study="quickstart@tiny", metrics="General", axis="true to value")
    assert [each.value for each in app.header] == ["General (must hold)"]
    assert app.segmented_control(key="axis").value == "linear"


def test_another_study_has_its_own_metrics(page: Page, engine: Engine) -> None:
    sketch(engine, Sketch(age_s=500))
    sketch(engine, Sketch(name="newer", age_s=5, select={"maximize": "text_rich", "baseline": {SCIENCE: 0}}))
    app = page("sweep")
    assert "text_rich" in app.pills(key="metrics").value
    app.selectbox(key="study").select("quickstart@tiny").run()
    assert not app.exception


def test_smooth_curve_and_probabilities_from_four_levels_on(page: Page, engine: Engine) -> None:
    sketch(engine, Sketch(arms=tuple({SCIENCE: level} for level in (0, 0.05, 0.1, 0.2, 0.5))))
    app = page("sweep")
    names = [trace["name"] for trace in json.loads(app.get("plotly_chart")[0].proto.spec)["data"]]
    assert {"95 % band", "smooth curve"} <= set(names)
    assert "Probability of being the best" in shown(app)


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


def test_events_are_words(page: Page, engine: Engine) -> None:
    sketch(engine, Sketch())
    (table,) = [each.value for each in page("study").dataframe if "event" in each.value]
    assert list(table["event"]) == ["study was submitted"]


def test_trial_of_the_address_shows_its_stages(page: Page, engine: Engine) -> None:
    sketch(engine, Sketch())
    app = page("trial", arm="science=0.5", seed="2")
    assert (app.selectbox(key="arm").value, app.pills(key="seed").value) == ("science=0.5", 2)
    (table,) = [each.value for each in app.dataframe if "kind" in each.value]
    assert list(table["kind"])[:2] == ["import", "sft"]


def test_a_row_of_the_table_opens_its_trial(page: Page, engine: Engine) -> None:
    sketch(engine, Sketch())
    app = page("trial")
    app.session_state["trials"] = {"selection": {"rows": [5], "columns": []}}
    app.run()
    assert not app.exception


def test_health_shows_what_runs_in_which_slots(page: Page, engine: Engine) -> None:
    sketch(engine, Sketch(state="RUNNING", done=0.5))
    assert "Running now" not in [each.value for each in page("health").header]
    lease(engine)
    app = page("health")
    assert {each.label: each.value for each in app.metric}["Slots"].startswith("2 of ")
    (table,) = [each.value for each in app.dataframe if "samples/s" in each.value]
    assert list(table["step"]) == [34, 34]


def test_items_of_an_imported_study_have_questions_and_scores(page: Page, engine: Engine) -> None:
    assert CliRunner().invoke(main, ["import", str(ROOT / "studies" / "results" / "tiny" / "quickstart")]).exit_code == 0
    app = page("items", study="quickstart@tiny", only="got worse")
    assert not app.exception
    told = shown(app)
    assert "This study was imported" in told
    assert "of 200 items match; page 1 of" in told
    assert "reference" in told
    assert "✗ 0" in told


def test_splitting_shows_the_ways_of_other_models(page: Page, engine: Engine) -> None:
    app = page("splitting", benchmark="form-fields")
    assert not app.exception
    (table,) = [each.value for each in app.dataframe if "way" in each.value]
    assert {"AnyRes (LLaVA-NeXT)", "InternVL", "Idefics3"} <= set(table["way"])


def test_overview_finds_studies(page: Page, engine: Engine) -> None:
    sketch(engine, Sketch(age_s=500))
    sketch(engine, Sketch(name="other", question="Which tile?", age_s=5))
    app = page("overview", search="which TILE")
    assert list(app.dataframe[0].value["study"]) == ["other@tiny"]
    row = page("overview").dataframe[0].value.set_index("study").loc["quickstart@tiny"]
    assert (row["verdict"], row["chosen"]) == ("selected", "science=0.5")
    assert row["effect"] > 20


def test_chosen_rows_are_in_the_address(page: Page, engine: Engine) -> None:
    for name in ("first", "second", "third"):
        sketch(engine, Sketch(name=name))
    # Names are text: a joiner keeps Markdown from making an address of what has an @.
    links = [each.proto.label.replace("\u2060", "") for each in page("overview", chosen="second@tiny").get("page_link")]
    assert [each for each in links if each.startswith("Open")] == ["Open second@tiny"]
    app = page("overview")
    app.session_state["studies"] = {"selection": {"rows": [0, 2], "columns": []}}
    app.run()
    assert len(app.query_params["chosen"]) == 2
    assert "Compare these 2" in [each.proto.label for each in app.get("page_link")]


def test_compare_pairs_arms_of_two_studies(page: Page, engine: Engine) -> None:
    sketch(engine, Sketch(age_s=500))
    sketch(engine, Sketch(name="newer", age_s=5))
    app = page("compare", study="newer@tiny", **{"with": "quickstart@tiny"})
    app.multiselect(key="arms").set_value(["newer@tiny · science=0", "quickstart@tiny · science=0.5"]).run()
    assert not app.exception
    (table,) = [each.value for each in app.dataframe if "± Holm" in each.value]
    assert table.set_index("what").loc["Knowledge", "Δ"] > 20


def test_submit_names_the_line_of_a_mistake(page: Page, engine: Engine) -> None:
    app = page("submit")
    app.text_area(key="source-quickstart").set_value("name: mine\nquestion: What?\nrecipe: sft-ablation\nsedes: 3\n").run()
    assert any(each.value.startswith("**Line 4.**") for each in app.error)
    assert not [each for each in app.button if each.key == "submit"]


def test_submit_asks_and_enters_the_study(page: Page, engine: Engine) -> None:
    app = page("submit")
    app.button(key="submit").click().run()
    assert read.studies(engine) == []
    app.button(key="confirmed").click().run()
    assert [(row.name, row.state) for row in read.studies(engine)] == [("quickstart", "QUEUED")]


def test_submit_is_off_where_others_can_reach_the_server(page: Page, engine: Engine) -> None:
    before = config.get_option("server.address")
    config.set_option("server.address", "0.0.0.0")  # noqa: S104
    try:
        app = page("submit")
    finally:
        config.set_option("server.address", before)
    assert "the dashboard would be reached on 0.0.0.0 by whoever comes" in app.error[0].value
    assert not app.text_area


def test_opening_the_dashboard_loads_no_torch(engine: Engine) -> None:
    sketch(engine, Sketch())
    code = ("import sys; from streamlit.testing.v1 import AppTest\n"
            "app = AppTest.from_file(sys.argv[1], default_timeout=60).run()\n"
            "for name in ('study', 'items', 'splitting', 'submit'):\n"
            "    app.switch_page(f'views/{name}.py').run(); assert not app.exception\n"
            "print('found', *sorted({'torch', 'transformers', 'ray', 'mlflow', 'optuna'} & set(sys.modules)))")
    app = str(ROOT / "dashboard" / "app.py")
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code, app], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "found"


def test_scores_at_branching_points_stand_on_their_trials_page(page: Page, engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "cut.yaml").write_text("""
name: cut
question: How long?
recipe: sft-ablation
set: {sft.steps: 40, sft.schedule: wsd, sft.branch_every: 10, sft.warmup_steps: 0, sft.decay_steps: 5}
arms: {one: {}}
seeds: 2
evaluate: {benchmarks: [scene-qa, form-fields], at_branches: [scene-qa]}
""")
    scored.enter(engine, Planner(load_study(tmp_path / "cut.yaml"), "tiny").plan())
    scored.finish(engine)
    app = page("trial")
    assert not app.exception
    assert "Scores over steps" in [each.value for each in app.header]
    assert "Only the final score enters averages and the verdict" in shown(app)
    found = study_results(engine, read.study(engine, "cut"))
    own, quiet = learning.branch_curves(found, found.trial_rows[0])["scene-qa"]
    assert own.steps == (10, 20, 30, 40)
    assert (own.is_quiet, quiet.is_quiet, quiet.name) == (False, True, "seed 1")
    assert own.values[-1] == found.trials[0].metrics["scene-qa"]
