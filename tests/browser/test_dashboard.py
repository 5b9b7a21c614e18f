"""What only a real browser shows: drawn curves, live progress, links, downloads, keyboard, and that nothing leaves the machine."""

import csv
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, expect
from sqlalchemy import Engine

from orchestrator.ledger import read
from tests.browser.conftest import BOUND_S, READY, ROOT, silent_page
from tests.support.synthetic import SCIENCE, Sketch, finish, lease, sketch
from tests.support.toy import GATE

pytestmark = pytest.mark.browser
Visit = Callable[[str], Page]
NOT_OURS = {"list": "stSidebarNavItems", "listitem": "<li ", "presentation-role-conflict": "stFileUploaderDropzone"}
"""What axe finds in Streamlit's own side bar and upload field; anything else is ours."""
PAGES = {"Study": "quickstart", "Score vs α": "Score vs α", "Resolution and tokens": "Resolution and tokens", "Compare": "Compare",
         "Benchmarks": "Benchmarks", "Claims": "Claims", "Grid": "Grid", "Mixture": "Mixture", "Search": "Search", "Trial": "Trial",
         "Items": "Items", "Splitting": "Splitting", "Campaign": "Campaign", "Submit": "Submit", "Health": "Health", "Overview": "Studies"}
"""Name in the side bar -> title."""
TABS = 200
"""A person who needs more presses of Tab than this has given up."""


@pytest.fixture(scope="module")
def plain(engine: Engine) -> str:
    """The label of a finished study that no test changes."""
    sketch(engine, Sketch(published="alpha-science", arms=tuple({SCIENCE: level} for level in (0, 0.05, 0.1, 0.2, 0.5))))
    return "quickstart%40tiny"


# ---- every page ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tour(context: BrowserContext, server: str, plain: str) -> Iterator[Page]:
    """One page that goes from each page to the next, as a person does."""
    with silent_page(context, server) as page:
        page.goto(f"/?study={plain}")
        yield page


@pytest.mark.parametrize("name", PAGES)
def test_page_is_accessible_and_fits(tour: Page, name: str) -> None:
    page = tour
    page.set_viewport_size({"width": 1440, "height": 1000})
    page.get_by_test_id("stSidebarNavLink").get_by_text(name, exact=True).click()
    expect(page.get_by_role("heading", level=1, name=PAGES[name], exact=True)).to_be_visible()
    page.wait_for_selector(READY)
    for table in page.get_by_test_id("stDataFrame").filter(visible=True).all():
        # A grid draws when it is first in sight; axe would else pass over its heads.
        table.scroll_into_view_if_needed()
        expect(table.locator("[role=columnheader]").first).to_be_attached()
    found = [(each["id"], node["html"]) for each in Axe().run(page).response["violations"] for node in each["nodes"]]
    assert [(name, html) for name, html in found if NOT_OURS.get(name, "?") not in html] == []
    page.set_viewport_size({"width": 400, "height": 900})
    page.wait_for_function("document.querySelector('[data-testid=stMain]').clientWidth <= 400")
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 400


def test_study_page_draws_its_curves(visit: Visit, plain: str) -> None:
    page = visit(f"/study?study={plain}")
    expect(page.get_by_role("heading", name="quickstart", exact=True)).to_be_visible()
    expect(page.get_by_role("figure", name=re.compile(r"Knowledge for 5 of 5 arms; highest 0\.5"))).to_be_visible()
    expect(page.get_by_role("figure", name=re.compile(r"Knowledge against the baseline: 4 differences"))).to_be_visible()
    expect(page.get_by_role("figure", name=re.compile(r"5 arms by 3 seeds: 15 succeeded"))).to_be_visible()


# ---- live ----------------------------------------------------------------------------------------------------------


def test_steps_advance_and_the_zoom_stays(visit: Visit, engine: Engine) -> None:
    study_id = sketch(engine, Sketch(name="steps", state="RUNNING", done=0.7))
    lease(engine)
    page = visit("/study?study=steps%40tiny")
    expect(page.get_by_text("step 34 of 80").first).to_be_visible()
    forest = page.get_by_role("figure", name=re.compile("Knowledge against the baseline"))
    forest.scroll_into_view_if_needed()
    box = forest.locator(".nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 0.5 * box["height"], steps=4)
    page.mouse.up()
    zoomed = _range(page, forest)
    finish(engine, study_id, 61)
    expect(page.get_by_text("step 61 of 80").first).to_be_visible()
    sketch(engine, Sketch(name="other", state="RUNNING", done=0.7))  # an event, so that the charts are drawn again
    finish(engine, study_id, 62)
    expect(page.get_by_text("step 62 of 80").first).to_be_visible()
    assert _range(page, forest) == zoomed


def _range(page: Page, figure: object) -> list[float]:
    return [round(each, 6) for each in figure.locator(".js-plotly-plot").first.evaluate("each => each.layout.xaxis.range")]  # type: ignore[attr-defined]


@pytest.fixture
def driver(home: Path, engine: Engine) -> Iterator["subprocess.Popen[bytes]"]:
    """A real driver that works on a study `driven`, whose second arm waits for a gate."""
    lease(engine, ttl_s=-1)
    (home / "artifacts" / GATE).unlink(missing_ok=True)
    process = _drive(home)
    until = time.monotonic() + BOUND_S
    while "driven" not in {row.name for row in read.studies(engine)}:
        assert process.poll() is None, (home / "driver.log").read_text()
        assert time.monotonic() < until
        select.select([], [], [], 0.1)
    yield process
    process.kill()
    process.wait(timeout=20)


def _drive(home: Path) -> "subprocess.Popen[bytes]":
    with (home / "driver.log").open("ab") as log:
        return subprocess.Popen([sys.executable, "-m", "tests.browser.driving", str(home), "driven"], cwd=ROOT, stdout=log, stderr=log)


def test_a_driver_that_dies_is_told_by_itself(visit: Visit, engine: Engine) -> None:
    sketch(engine, Sketch(name="left", state="RUNNING", done=0.5))
    lease(engine, ttl_s=20)
    page = visit("/study?study=left%40tiny")
    expect(page.get_by_text("step 34 of 80").first).to_be_visible()
    lease(engine, ttl_s=-1)
    expect(page.get_by_text("stands still: no driver")).to_be_visible()
    expect(page.get_by_text("last heard at step 34 of 80").first).to_be_visible()


@pytest.mark.chaos
def test_a_driver_that_works_and_is_killed_and_followed_by_another(
    visit: Visit, home: Path, engine: Engine, driver: "subprocess.Popen[bytes]"
) -> None:
    page = visit("/study?study=driven%40toy")
    expect(page.get_by_text("4 of 7 stages done").first).to_be_visible(timeout=BOUND_S * 1000)
    expect(page.get_by_text("driver running").first).to_be_visible()
    os.kill(driver.pid, signal.SIGKILL)
    expect(page.get_by_text("stands still: no driver")).to_be_visible()
    expect(page.get_by_text("waits for a driver").first).to_be_visible()
    (home / "artifacts" / GATE).touch()
    process = _drive(home)
    expect(page.get_by_text("2 of 2 trials succeeded").first).to_be_visible(timeout=BOUND_S * 1000)
    expect(page.get_by_text("completed").first).to_be_visible()
    assert process.wait(timeout=BOUND_S) == 0


def test_a_ledger_that_goes_away_is_said_and_comes_back_by_itself(visit: Visit, home: Path, engine: Engine) -> None:
    sketch(engine, Sketch(name="away", state="RUNNING", done=0.5))
    lease(engine, ttl_s=-1)
    engine.dispose()
    page = visit("/study?study=away%40tiny")
    expect(page.get_by_text("last heard at step 34 of 80").first).to_be_visible()
    files = [(path, path.rename(path.with_name(f"away-{path.name}"))) for path in home.glob("ledger.db*")]
    try:
        expect(page.get_by_text(re.compile("There is no ledger|does not answer")).first).to_be_visible()
        assert not (home / "ledger.db").exists()
    finally:
        for path, away in files:
            away.rename(path)
    expect(page.get_by_text("last heard at step 34 of 80").first).to_be_visible()
    expect(page.get_by_text(re.compile("There is no ledger|does not answer"))).to_have_count(0)


# ---- links ---------------------------------------------------------------------------------------------------------


def test_chosen_study_is_in_the_address_and_stays_across_pages(visit: Visit, engine: Engine, plain: str) -> None:
    sketch(engine, Sketch(name="newer", age_s=1))
    page = visit("/study")
    expect(page.get_by_role("heading", name="newer", exact=True)).to_be_visible()
    page.get_by_test_id("stSidebar").get_by_role("combobox").click()
    page.get_by_role("option", name="quickstart@tiny", exact=True).click()
    expect(page).to_have_url(re.compile(f"study={plain}"))
    page.get_by_role("link", name="Compare").click()
    expect(page.get_by_role("heading", name="Compare")).to_be_visible()
    expect(page.get_by_test_id("stSidebar").get_by_role("combobox")).to_have_value("quickstart@tiny")
    expect(page).to_have_url(re.compile(f"study={plain}"))


def test_a_shared_link_shows_the_same_view(visit: Visit, context: BrowserContext, plain: str) -> None:
    page = visit(f"/study?study={plain}")
    page.get_by_role("button", name="Text-rich", exact=True).click()
    expect(page.get_by_role("figure", name=re.compile("^Text-rich for 5"))).to_be_visible()
    expect(page).to_have_url(re.compile("metrics="))
    other = context.new_page()
    other.goto(page.url)
    other.wait_for_selector(READY)
    expect(other.get_by_role("figure", name=re.compile("^Text-rich for 5"))).to_be_visible()
    other.close()


def test_unknown_study_of_a_link_is_said(visit: Visit, plain: str) -> None:
    page = visit("/study?study=gone%40tiny")
    expect(page.get_by_text("is in this ledger")).to_be_visible()
    expect(page).to_have_url(re.compile("gone"))
    # In a link a joiner stands before the @, so that Markdown makes no address of the name.
    page.get_by_role("link", name=re.compile("^quickstart.?@tiny$")).click()
    expect(page.get_by_role("heading", name="quickstart", exact=True)).to_be_visible()


# ---- downloads -----------------------------------------------------------------------------------------------------


def test_downloads_hold_what_the_command_line_says(visit: Visit, home: Path, plain: str, tmp_path: Path) -> None:
    page = visit(f"/study?study={plain}")
    for name in ("JSON", "CSV", "SVG", "YAML", "Parquet"):
        with page.expect_download() as waited:
            page.get_by_test_id("stDownloadButton").filter(has_text=re.compile(f"{name}$")).get_by_role("button").click()
        waited.value.save_as(tmp_path / name)
    told = json.loads(subprocess.run([sys.executable, "-m", "orchestrator.cli.main", "results", "quickstart", "--json"], cwd=ROOT,
                                     env={**os.environ, "ABLATE_HOME": str(home)}, capture_output=True, check=True).stdout)
    assert json.loads((tmp_path / "JSON").read_text())["arms"] == told["arms"]
    rows = list(csv.DictReader((tmp_path / "CSV").open()))
    means = {(arm["name"], metric): cell["mean"] for arm in told["arms"] for metric, cell in arm["metrics"].items()}
    assert means
    assert {(row["arm"], row["metric"]): float(row["mean"]) for row in rows if row["mean"]} == pytest.approx(means, abs=1e-9)
    assert [row["mean"] for row in pq.read_table(tmp_path / "Parquet").to_pylist()] == [
        float(row["mean"]) if row["mean"] else None for row in rows]
    assert (tmp_path / "SVG").read_text().startswith("<svg")
    assert "name: quickstart" in (tmp_path / "YAML").read_text()


# ---- acts ----------------------------------------------------------------------------------------------------------


def test_cancel_by_keyboard_alone_needs_a_second_word(visit: Visit, engine: Engine) -> None:
    study_id = sketch(engine, Sketch(name="keys", state="RUNNING", done=0.5))
    page = visit("/study?study=keys%40tiny")
    expect(page.get_by_role("button", name="Cancel", exact=True)).to_be_visible()
    _tab_to(page, "Cancel")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert read.study(engine, study_id).state == "RUNNING"
    _tab_to(page, "Yes, cancel")
    page.keyboard.press("Enter")
    expect(page.get_by_text("cancelled").first).to_be_visible()
    assert read.study(engine, study_id).state == "CANCELLED"


def _tab_to(page: Page, name: str) -> None:
    """Press Tab until the button of this name has the focus."""
    for _ in range(TABS):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.innerText?.trim().split('\\n').pop()") == name:
            return
    raise AssertionError(f"{name!r} cannot be reached by Tab")
