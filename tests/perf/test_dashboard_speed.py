"""The dashboard over 1,000 trials x 30 benchmarks: a look at the server, and until a person sees the study, beside MLflow's own pages."""

import gc
import json
import math
import shutil
import statistics
import time
from contextlib import contextmanager
from dataclasses import replace

import mlflow
import pytest
from mlflow.entities import Metric, Param, RunTag
from playwright.sync_api import sync_playwright

from dashboard.views.shared import COLLECT_AFTER
from model.evaluation.benchmarks.registry import BENCHMARKS
from orchestrator.ledger import read
from orchestrator.ledger.engine import open_ledger
from orchestrator.results.item_pages import item_page
from orchestrator.results.results import ResultsCache, study_results
from tests.browser.conftest import FLAGS, running_dashboard
from tests.support.mlflow_server import MlflowServer
from tests.support.synthetic import SCIENCE, Sketch, finish, sketch

pytestmark = pytest.mark.perf

ARMS, SEEDS, NAMES = 200, 5, tuple(BENCHMARKS)[:30]
LARGE = Sketch(name="large", arms=tuple({SCIENCE: number / 100} for number in range(ARMS)), seeds=SEEDS, benchmarks=NAMES)
HUGE = Sketch(name="huge", arms=tuple({SCIENCE: number / 1000} for number in range(2000)), seeds=SEEDS, benchmarks=NAMES[:3])
VISITS = 5
VERDICT = "text=cannot be told apart"


@pytest.fixture
def engine(tmp_path):
    return open_ledger(f"sqlite:///{tmp_path}/ledger.db")


def seconds(act):
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


@pytest.fixture
def as_the_dashboard():
    """Collect garbage as seldom as the dashboard's process does."""
    before = gc.get_threshold()
    gc.set_threshold(COLLECT_AFTER)
    yield
    gc.set_threshold(*before)


def test_a_look_of_the_server(measured, engine, as_the_dashboard):
    study_id = sketch(engine, replace(LARGE, state="RUNNING", done=0.9))
    row = read.study(engine, study_id)
    known = ResultsCache()
    first = seconds(lambda: study_results(engine, row, known=known))
    looks = []
    for number in range(VISITS):
        finish(engine, study_id, number)
        looks.append(seconds(lambda: study_results(engine, row, known=known)))
    measured("dashboard, 1,000 trials x 30 benchmarks: a look while it runs", statistics.median(looks), "s", "<= 0.3",
             beside={"the first look": first})


def test_first_page_of_many_items(measured, tmp_path):
    row = {"question": "?", "options": [], "references": ["yes"], "prediction": "yes", "parsed": "yes", "score_lenient": 1.0}
    lines = [json.dumps({"item_id": f"scene-qa/1/{number}", **row, "score": number % 2}) for number in range(200_000)]
    for name in ("mine", "theirs"):
        (tmp_path / name).write_text("\n".join(lines[:: 1 if name == "mine" else -1]) + "\n")
    took = seconds(lambda: item_page(tmp_path / "mine", None, "scene-qa", only="wrong"))
    beside = seconds(lambda: item_page(tmp_path / "mine", tmp_path / "theirs", "scene-qa", only="worse", limit=0))
    measured("first page of 200,000 items, not right", took, "s", "<= 1", beside={"got worse, of two arms": beside})


def test_until_a_person_sees_the_study(measured, engine, tmp_path):
    sketch(engine, LARGE)
    server = MlflowServer(tmp_path)
    server.start()
    experiment = fill(server.uri)
    study = "/study?study=large%40tiny"
    with running_dashboard(tmp_path) as address, chromium() as browser:
        found = seen(browser, {
            "verdict": (address, study, VERDICT), "ours, curves": (address, study, ".js-plotly-plot .scatterlayer .trace"),
            "MLflow, runs": (server.uri, f"/#/experiments/{experiment}/runs", '[role="row"] >> text="run-999"')})
        again = seen(browser, {"verdict": (address, study, VERDICT), "curves": (address, study, ".js-plotly-plot .scatterlayer .trace")},
                     is_new=False)
    server.stop()
    measured("dashboard, 1,000 trials x 30 benchmarks: verdict on the page", again["verdict"], "s", "<= 0.5",
             beside={"in a new window": found.pop("verdict")})
    measured("dashboard, 1,000 trials x 30 benchmarks: curves on the page", again["curves"], "s", "<= 1.5, half of MLflow's in new windows",
             beside=found)


def test_until_a_person_sees_ten_thousand_trials(measured, engine, tmp_path):
    sketch(engine, HUGE)
    with running_dashboard(tmp_path) as address, chromium() as browser:
        pages = {"overview": (address, "/", "text=Open huge@tiny"), "study": (address, "/study?study=huge%40tiny", VERDICT)}
        cold = seen(browser, pages, visits=1, is_warmed=False)
        found = seen(browser, pages)
    for name, value in found.items():
        measured(f"dashboard, 10,000 trials: {name} on the page", value, "s", "<= 2", beside={"the first look of a server": cold[name]})


@contextmanager
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield browser
        browser.close()


def seen(browser, pages, *, visits=VISITS, is_new=True, is_warmed=True):
    """Return the median seconds until what is waited for is on the page: in a new window each time, or in one that knows the site."""
    found = {name: [] for name in pages}
    shared = {}
    for visit in range(visits + is_warmed):
        for name, (address, path, there) in pages.items():
            context = shared.get(address) or browser.new_context(viewport={"width": 1440, "height": 1000}, base_url=address)
            context.set_default_timeout(120_000)
            page = context.new_page()
            began = time.perf_counter()
            page.goto(path)
            page.wait_for_selector(there)
            if visit or not is_warmed:
                found[name].append(time.perf_counter() - began)
            page.close()
            if is_new:
                context.close()
            else:
                shared[address] = context
    return {name: statistics.median(each) for name, each in found.items()}


def fill(uri):
    """Write the same trials as runs."""
    client = mlflow.MlflowClient(uri)
    experiment = client.create_experiment("large")
    for number in range(ARMS * SEEDS):
        run = client.create_run(experiment, run_name=f"run-{number}", start_time=number).info.run_id
        metrics = [Metric(name, 50 + 10 * math.sin(number + place), 0, 0) for place, name in enumerate(NAMES)]
        client.log_batch(run, metrics=metrics, params=[Param("alpha", str(number // SEEDS / 100)), Param("seed", str(number % SEEDS))],
                         tags=[RunTag("arm", str(number // SEEDS))])
        client.set_terminated(run)
    return experiment
