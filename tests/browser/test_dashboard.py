"""What only a real browser shows: the drawn curve, live progress, links, and that nothing leaves the machine."""

import re
from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from sqlalchemy import Engine

from orchestrator.ledger import read
from tests.support.synthetic import Sketch, finish, lease, sketch

pytestmark = pytest.mark.browser
Visit = Callable[[str], Page]
SIDEBAR = {"list", "listitem"}
"""What axe finds in Streamlit's own side bar; anything else is ours."""


def test_study_page_draws_its_curves(visit: Visit, engine: Engine) -> None:
    sketch(engine, Sketch(published="alpha-science"))
    page = visit("/study?study=quickstart%40tiny")
    expect(page.get_by_role("heading", name="quickstart")).to_be_visible()
    charts = page.get_by_role("figure")
    expect(charts).to_have_count(3)
    expect(charts.first).to_have_attribute("aria-label", re.compile(r"Knowledge for 3 of 3 arms; highest 0\.5"))
    expect(page.locator(".js-plotly-plot .scatterlayer .trace")).to_have_count(9)


def test_nothing_is_asked_of_another_host(page: Page, visit: Visit, engine: Engine, server: str) -> None:
    sketch(engine, Sketch(state="RUNNING", done=0.5))
    lease(engine)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for path in ("/", "/study", "/tradeoff", "/trials", "/health"):
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
    expect(page.get_by_role("heading", name="newer")).to_be_visible()
    page.get_by_test_id("stSidebar").get_by_role("combobox").click()
    page.get_by_role("option", name="quickstart@tiny", exact=True).click()
    expect(page).to_have_url(re.compile(r"study=quickstart%40tiny"))
    page.get_by_role("link", name="Trials").click()
    expect(page.get_by_role("heading", name="Trials")).to_be_visible()
    expect(page.get_by_text("quickstart at scale tiny")).to_be_visible()


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


@pytest.mark.parametrize("path", ["/", "/study", "/tradeoff", "/trials", "/health"])
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
