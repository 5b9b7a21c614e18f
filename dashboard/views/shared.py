"""What all pages share: the ledger, the chosen study, cached results, how often to look again."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

import streamlit as st

from dashboard import charts, queries
from orchestrator.ledger import read
from orchestrator.ledger.engine import Engine, has_ledger, open_for_reading
from orchestrator.ledger.rows import StudyRow
from orchestrator.results.results import Results
from orchestrator.settings import OFF, Settings
from orchestrator.states import TERMINAL_STUDIES

STUDY_KEY = "study"
"""Name of the chosen study in the address: ?study=quickstart@tiny."""
COLLECT_AFTER = 50_000
"""Objects made between two collections: a large study's rows are a hundred thousand, and each collection looks at all of them."""
FRESH_S = 1.0
"""A page asks for the studies several times; what changes without an event is seen so much later."""
FAST_S, SLOW_S = 2.0, 6.0
"""Seconds between two looks at numbers, and at charts."""


@st.cache_resource(show_spinner=False)
def settings() -> Settings:
    """Return the operator's settings, read once."""
    return Settings.load()


def engine() -> Engine:
    """Return the one connection pool, which reads only; of a ledger that comes later it is another one."""
    url = settings().ledger_url
    return _engine(url, has_ledger(url))


@st.cache_resource(show_spinner=False)
def _engine(url: str, is_there: bool) -> Engine:  # noqa: ARG001 (part of the cache's key)
    gc.set_threshold(COLLECT_AFTER)
    return open_for_reading(url)


def studies() -> list[StudyRow]:
    """Return all studies, newest first."""
    return _studies(read.newest_event(engine()))


@st.cache_resource(ttl=FRESH_S, max_entries=1, show_spinner=False)
def _studies(newest: int) -> list[StudyRow]:  # noqa: ARG001 (the cache's key)
    return read.studies(engine())


def choose_study() -> None:
    """Let the reader choose a study in the side bar; the choice is part of the address."""
    labels = list(queries.labelled(studies()))
    if labels:
        # No default: a default would not be part of the address, and a shared link would mean another study tomorrow.
        st.sidebar.selectbox("Study", labels, index=None, placeholder=f"newest: {labels[0]}", key=STUDY_KEY, bind="query-params",
                             persist_state="session")


def chosen() -> StudyRow:
    """Return the chosen study; without any, say how to get one and end the page."""
    known = queries.labelled(studies())
    if not known:
        st.info("No study was submitted yet. In a terminal: `ablate run quickstart`", icon=":material/science:")
        st.stop()
    return known.get(st.session_state.get(STUDY_KEY) or "", next(iter(known.values())))


def results(row: StudyRow) -> Results:
    """Return everything about a study; computed again only when its history grew."""
    return _watched(row.study_id).results()


@st.cache_resource(max_entries=8, show_spinner=False)
def _watched(study_id: str) -> queries.Watched:
    # A resource, not data: results of a thousand trials would be unpickled twice for each page.
    return queries.Watched(engine(), study_id)


def live(row: StudyRow, seconds: float) -> float | None:
    """Return how often to look again: never once the study is over."""
    return None if row.state in TERMINAL_STUDIES else seconds


def repeating(show: Callable[[], None], *, every: float | None, key: str) -> None:
    """Run a part of the page now, and again every so many seconds without the rest."""
    st.fragment(show, run_every=every, key=key)()


def colours() -> charts.Palette:
    """Return the colours for the theme that the reader sees."""
    return charts.palette(st.context.theme.type)


def note(markdown: str) -> None:
    """Show small print; Streamlit's own captions are too faint to read (contrast below 4.5:1)."""
    st.markdown(f":gray[:small[{markdown}]]")


def stamp(*, with_warning: bool = True) -> None:
    """Say how old the page is, and warn when work waits that nobody does."""
    health = queries.health(engine(), studies(), is_tracked=settings().mlflow_uri != OFF)
    behind = f"{health.outbox} events behind" if health.outbox else "up to date"
    driver = "driver running" if health.driver and health.driver.is_live else "no driver"
    note(f"as of {time.strftime('%H:%M:%S')} · {driver} · tracking {behind}")
    if health.is_stale and with_warning:
        st.warning("Studies wait, but no driver is running. In a terminal: `ablate run STUDY`", icon=":material/hourglass_disabled:")
