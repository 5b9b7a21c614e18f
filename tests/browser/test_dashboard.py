"""What only a real browser shows: drawn curves, live progress, links, downloads, and that nothing leaves the machine."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from sqlalchemy import Engine

from orchestrator.ledger import read
from orchestrator.results.results import study_results
from tests.support.synthetic import Sketch, finish, lease, sketch

pytestmark = pytest.mark.browser
Visit = Callable[[str], Page]
SIDEBAR = {"list", "listitem"}
"""What axe finds in Streamlit's own side bar; anything else is ours."""
PATHS = ("/", "/study", "/sweep", "/resolution", "/compare", "/benchmarks", "/claims", "/grid", "/mixture", "/search", "/trial", "/items",
         "/splitting", "/campaign", "/submit", "/health")


def test_study_page_draws_its_curves(visit: Visit, engine: Engine) -> None:
    sketch(engine, Sketch(published="alpha-science"))
    page = visit("/study?study=quickstart%40tiny")
    expect(page.get_by_role("heading", name="quickstart", exact=True)).to_be_visible()
    expect(page.get_by_role("figure", name=re.compile(r"Knowledge for 3 of 3 arms; highest 0\.5"))).to_be_visible()
    expect(page.get_by_role("figure", name=re.compile(r"Knowledge against the baseline: 2 differences"))).to_be_visible()
    expect(page.get_by_role("figure", name=re.compile(r"3 arms by 3 seeds: 9 succeeded"))).to_be_visible()


def test_nothing_is_asked_of_another_host(page: Page, visit: Visit, engine: Engine, server: str) -> None:
    sketch(engine, Sketch(state="RUNNING", done=0.5))
    lease(engine)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for path in PATHS:
        visit(path)
    foreign = [url for url in asked if not url.startswith((server, server.replace("http", "ws"), "data:", "blob:"))]
    assert asked
    assert foreign == []


def test_live_progress_advances_without_a_reload(visit: Visit, engine: Engine) -> None:
    study_id = sketch(engine, Sketch(state="RUNNING", done=0.5))
    lease(engine)
    page = visit("/study")
    expect(page.get_by_text("step 34 of 80").first).to_be_visible()
    finish(engine, study_id, 61)
    expect(page.get_by_text("step 61 of 80").first).to_be_visible(timeout=15_000)


def test_chosen_study_is_in_the_address_and_stays_across_pages(visit: Visit, engine: Engine) -> None:
    sketch(engine, Sketch(age_s=500))
    sketch(engine, Sketch(name="newer", age_s=5))
    page = visit("/study")
    expect(page.get_by_role("heading", name="newer", exact=True)).to_be_visible()
    page.get_by_test_id("stSidebar").get_by_role("combobox").click()
    page.get_by_role("option", name="quickstart@tiny", exact=True).click()
    expect(page).to_have_url(re.compile(r"study=quickstart%40tiny"))
    page.get_by_role("link", name="Compare").click()
    expect(page.get_by_role("heading", name="Compare")).to_be_visible()
    expect(page.get_by_test_id("stSidebar").get_by_role("combobox")).to_have_value("quickstart@tiny")
    expect(page).to_have_url(re.compile(r"study=quickstart%40tiny"))


def test_a_shared_link_shows_the_same_view(visit: Visit, engine: Engine) -> None:
    sketch(engine, Sketch())
    page = visit("/study?study=quickstart%40tiny")
    page.get_by_role("button", name="Text-rich", exact=True).click()
    expect(page.get_by_role("figure", name=re.compile("^Text-rich for 3"))).to_be_visible()
    expect(page).to_have_url(re.compile("metrics="))
    shared = page.url
    visit("/health")
    page.goto(shared)
    expect(page.get_by_role("figure", name=re.compile("^Text-rich for 3"))).to_be_visible()


def test_unknown_study_of_a_link_is_said(visit: Visit, engine: Engine) -> None:
    sketch(engine, Sketch())
    page = visit("/study?study=gone%40tiny")
    expect(page.get_by_text("is in this ledger")).to_be_visible()
    expect(page).to_have_url(re.compile("gone"))
    page.get_by_role("link", name="quickstart@tiny").click()
    expect(page.get_by_role("heading", name="quickstart", exact=True)).to_be_visible()


def test_downloads_hold_the_results(visit: Visit, engine: Engine, tmp_path: Path) -> None:
    study_id = sketch(engine, Sketch())
    results = study_results(engine, read.study(engine, study_id))
    page = visit("/study?study=quickstart%40tiny")
    for name in ("JSON", "CSV", "SVG", "YAML", "Parquet"):
        with page.expect_download() as waited:
            page.get_by_test_id("stDownloadButton").filter(has_text=re.compile(f"{name}$")).get_by_role("button").click()
        waited.value.save_as(tmp_path / name)
    assert json.loads((tmp_path / "JSON").read_text())["arms"] == json.loads(json.dumps(results.to_json()["arms"]))
    rows = {(row["arm"], row["metric"]): row for row in csv.DictReader((tmp_path / "CSV").open())}
    for arm in results.arms:
        assert float(rows[arm.name, "knowledge"]["mean"]) == pytest.approx(arm.metrics["knowledge"].mean, abs=1e-9)
    assert (tmp_path / "SVG").read_text().startswith("<svg")
    assert "name: quickstart" in (tmp_path / "YAML").read_text()
    assert (tmp_path / "Parquet").read_bytes().startswith(b"PAR1")


def test_a_driver_that_dies_is_told_by_itself(visit: Visit, engine: Engine) -> None:
    sketch(engine, Sketch(state="RUNNING", done=0.5))
    lease(engine, ttl_s=20)
    page = visit("/study")
    expect(page.get_by_text("step 34 of 80").first).to_be_visible()
    lease(engine, ttl_s=-1)
    expect(page.get_by_text("stands still: no driver")).to_be_visible(timeout=15_000)
    expect(page.get_by_text("last heard at step 34 of 80").first).to_be_visible()


def test_a_ledger_that_goes_away_is_said_and_comes_back(visit: Visit, engine: Engine, tmp_path: Path) -> None:
    sketch(engine, Sketch(state="RUNNING", done=0.5))
    engine.dispose()
    page = visit("/study")
    expect(page.get_by_role("heading", name="quickstart", exact=True)).to_be_visible()
    files = [(path, path.rename(path.with_name(f"away-{path.name}"))) for path in tmp_path.glob("ledger.db*")]
    expect(page.get_by_text(re.compile("There is no ledger|does not answer")).first).to_be_visible(timeout=20_000)
    assert not (tmp_path / "ledger.db").exists()
    for path, away in files:
        away.rename(path)
    page.reload()
    expect(page.get_by_role("heading", name="quickstart", exact=True)).to_be_visible()


def test_cancel_by_keyboard_alone(visit: Visit, engine: Engine) -> None:
    study_id = sketch(engine, Sketch(state="RUNNING", done=0.5))
    lease(engine)
    page = visit("/study")
    page.get_by_role("button", name="Cancel", exact=True).focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Yes, cancel").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("cancelled").first).to_be_visible()
    assert read.study(engine, study_id).state == "CANCELLED"


def test_cancel_needs_a_second_word(visit: Visit, engine: Engine) -> None:
    study_id = sketch(engine, Sketch(state="RUNNING", done=0.5))
    lease(engine)
    page = visit("/study")
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert read.study(engine, study_id).state == "RUNNING"
    page.get_by_role("button", name="Yes, cancel").click()
    expect(page.get_by_text("cancelled").first).to_be_visible()
    assert read.study(engine, study_id).state == "CANCELLED"


@pytest.mark.parametrize("path", PATHS)
def test_axe_finds_nothing_of_ours(visit: Visit, engine: Engine, path: str) -> None:
    sketch(engine, Sketch())
    page = visit(path)
    expect(page.get_by_role("heading").first).to_be_visible()
    for table in page.get_by_test_id("stDataFrame").filter(visible=True).all():
        # A grid draws when it is first in sight; axe would else pass over its heads.
        table.scroll_into_view_if_needed()
        expect(table.locator("[role=columnheader]").first).to_be_attached()
    found = [(each["id"], each["nodes"][0]["html"]) for each in Axe().run(page).response["violations"] if each["id"] not in SIDEBAR]
    assert found == []
