"""A real Chromium and a real Streamlit server over a made-up ledger."""

import contextlib
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
from playwright.sync_api import Browser, Page, sync_playwright
from sqlalchemy import Engine

from orchestrator.ledger.engine import open_ledger

ROOT = Path(__file__).resolve().parents[2]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return open_ledger(f"sqlite:///{tmp_path}/ledger.db")


@pytest.fixture
def server(tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Start the dashboard over the ledger of the test; give its address."""
    monkeypatch.setenv("ABLATE_HOME", str(tmp_path))
    with running_dashboard(tmp_path) as address:
        yield address


@contextlib.contextmanager
def running_dashboard(folder: Path) -> Iterator[str]:
    """Start the dashboard as `ablate dashboard` does, its log in a folder; give its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "orchestrator.cli.main", "dashboard", f"--port={port}"]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        _await(address, process)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture
def page(browser: Browser, server: str) -> Iterator[Page]:
    """A page that knows the server's address and waits no longer than 30 s for anything."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000}, base_url=server)
    # A bound, not a wait: the first page of a cold server took over 30 s on a busy machine of two cores.
    context.set_default_timeout(120_000)
    yield context.new_page()
    context.close()


@pytest.fixture
def visit(page: Page) -> Callable[[str], Page]:
    """Open a path and wait until its script has run."""

    def open_path(path: str) -> Page:
        page.goto(path)
        page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
        return page

    return open_path


def _await(address: str, process: "subprocess.Popen[bytes]") -> None:
    """Ask for the server's health until it answers, for a minute at most."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError):
            opener.open(f"{address}/_stcore/health", timeout=5).close()
            return
        select.select([], [], [], 0.1)
    raise RuntimeError(f"the dashboard did not start at {address}; see server.log")
