"""The dashboard over 1,000 trials x 30 benchmarks: a look at the server, and until a person sees the study, beside MLflow's own pages."""

import gc
import json
import math
import shutil
import statistics
import time
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
VISITS = 5


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


def test_until_a_person_sees_the_study(measured, engine, tmp_path, monkeypatch):
    sketch(engine, LARGE)
    monkeypatch.setenv("ABLATE_HOME", str(tmp_path))
    server = MlflowServer(tmp_path)
    server.start()
    experiment = fill(server.uri)
    study = "/study?study=large%40tiny"
    pages = {"ours, verdict": (study, "text=cannot be told apart"), "ours, curves": (study, ".js-plotly-plot .scatterlayer .trace"),
             "MLflow, runs": (f"/#/experiments/{experiment}/runs", '[role="row"] >> text="run-999"')}
    with running_dashboard(tmp_path) as address, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        found = {name: [] for name in pages}
        for visit in range(VISITS + 1):
            for name, (path, there) in pages.items():
                context = chromium.new_context(viewport={"width": 1440, "height": 1000}, base_url=address if "ours" in name else server.uri)
                page = context.new_page()
                began = time.perf_counter()
                page.goto(path)
                page.wait_for_selector(there)
                if visit:  # the first wakes the server
                    found[name].append(time.perf_counter() - began)
                context.close()
        chromium.close()
    server.stop()
    middle = {name: statistics.median(each) for name, each in found.items()}
    ours = middle.pop("ours, verdict")
    measured("dashboard, 1,000 trials x 30 benchmarks: verdict on the page", ours, "s", "<= 1.5, and before MLflow's", beside=middle)


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
