"""A real Chromium and a real Streamlit server over made-up ledgers: one of each for a module, a page for each test.

The tests of a module share a ledger, so each makes up studies under names of its own.
"""

import contextlib
import os
import select
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright
from sqlalchemy import Engine

from orchestrator.ledger.engine import open_ledger

ROOT = Path(__file__).resolve().parents[2]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]
READY = '[data-testid="stApp"][data-test-script-state="notRunning"]'
PROBES = ("/_stcore/health", "/_stcore/host-config")
BOUND_S = 240
"""A bound, not a wait: on a machine of two cores that trained at the same time the first page of a cold server took over 90 s."""
expect.set_options(timeout=60_000)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def engine(home: Path) -> Engine:
    return open_ledger(f"sqlite:///{home}/ledger.db")


@pytest.fixture(scope="module")
def server(home: Path, engine: Engine) -> Iterator[str]:
    """Start the dashboard over the ledger of the module; give its address."""
    with running_dashboard(home) as address:
        yield address


@contextlib.contextmanager
def running_dashboard(folder: Path) -> Iterator[str]:
    """Start the dashboard as `ablate dashboard` does, over a home, its log there too; give its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "orchestrator.cli.main", "dashboard", f"--port={port}"]
    surroundings = {**os.environ, "ABLATE_HOME": str(folder)}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=surroundings)
    address = f"http://127.0.0.1:{port}"
    try:
        _await(address, process)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture(scope="module")
def context(browser: Browser, server: str) -> Iterator[BrowserContext]:
    """A window whose cache the tests of a module share, as the pages of a person do."""
    made = browser.new_context(viewport={"width": 1440, "height": 1000}, base_url=server, accept_downloads=True)
    made.set_default_timeout(BOUND_S * 1000)
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext, server: str) -> Iterator[Page]:
    """A page; whatever it does, its console shows no error, and it asks nothing of another host."""
    with silent_page(context, server) as made:
        yield made


@contextlib.contextmanager
def silent_page(context: BrowserContext, server: str) -> Iterator[Page]:
    """Open an empty page; at its end its console must have shown no error, and nothing was asked of another host."""
    made, errors, foreign = context.new_page(), [], []
    made.on("console", lambda message: errors.extend(_error(message)))
    made.on("pageerror", lambda error: errors.append(str(error)))
    own = (server, server.replace("http", "ws"), "data:", "blob:")
    made.on("request", lambda request: foreign.extend([] if request.url.startswith(own) else [request.url]))
    yield made
    made.close()
    assert errors == []
    assert foreign == []


@pytest.fixture
def visit(page: Page) -> Callable[[str], Page]:
    """Open a path and wait until its script has run."""

    def open_path(path: str) -> Page:
        page.goto(path)
        page.wait_for_selector(READY)
        return page

    return open_path


def _error(message: ConsoleMessage) -> list[str]:
    """Return an error of the console; not Streamlit's own search for its server below a deep link, which misses first."""
    where = message.location.get("url", "")
    return [f"{message.text} ({where})"] if message.type == "error" and not where.endswith(PROBES) else []


def _await(address: str, process: "subprocess.Popen[bytes]") -> None:
    """Ask for the server's health until it answers, for two minutes at most: a bound, as above."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError):
            opener.open(f"{address}/_stcore/health", timeout=5).close()
            return
        select.select([], [], [], 0.1)
    raise RuntimeError(f"the dashboard did not start at {address}; see server.log")
