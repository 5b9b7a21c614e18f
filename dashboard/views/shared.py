"""The parts that all pages share: the ledger, the chosen study, cached results, and refresh intervals."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

import streamlit as st

from dashboard import charts, queries
from orchestrator import exposure
from orchestrator.ledger import read
from orchestrator.ledger.engine import Engine, is_ledger, open_for_reading
from orchestrator.ledger.rows import StudyRow
from orchestrator.results.results import Results
from orchestrator.settings import OFF, Settings
from orchestrator.states import TERMINAL_STUDIES

STUDY_KEY = "study"
"""The query parameter of the chosen study: ?study=quickstart@tiny."""
COLLECT_AFTER = 50_000
"""The number of new objects between two garbage collections. A large study has a hundred thousand rows, and a
collection may examine all of them."""
FRESH_S = 1.0
"""The seconds for which the list of studies is cached, because a page reads it several times. Changes without an event
become visible after this time."""
FAST_S, SLOW_S = 2.0, 6.0
"""The seconds between two refreshes of numbers, and of charts."""


@st.cache_resource(show_spinner=False)
def settings() -> Settings:
    """Return the operator's settings, read once."""
    return Settings.load()


def refuse_open_door() -> None:
    """Show nothing where anybody could reach the pages, or to somebody whom the proxy does not name."""
    problem = exposure.refusal(settings(), st.get_option("server.address") or "")
    if not problem and not who():
        problem = f"the header {settings().dashboard_user_header} names nobody"
    if problem:
        st.error(problem.replace("\n", "\n\n"), icon=":material/lock:")
        st.stop()


def who() -> str:
    """Return who looks at the page: the person that the proxy names; "" if it should, and does not."""
    return exposure.person(settings(), st.context.headers)


def may_act() -> bool:
    """Return whether the person may pause, resume and cancel studies."""
    return exposure.may_act(settings(), who())


@st.cache_resource(show_spinner=False, validate=is_ledger)
def engine() -> Engine:
    """Return the ledger's connection pool for reading, which all sessions share.

    While there is no ledger, it is looked for again each time.
    """
    gc.set_threshold(COLLECT_AFTER)
    return open_for_reading(settings().ledger_url)


def studies() -> list[StudyRow]:
    """Return all studies, newest first."""
    return _studies(read.newest_event(engine()))


@st.cache_resource(ttl=FRESH_S, max_entries=1, show_spinner=False)
def _studies(newest: int) -> list[StudyRow]:  # noqa: ARG001 (the cache's key)
    return read.studies(engine())


def choose_study() -> None:
    """Show the menu of studies in the side bar; the choice is part of the page's address."""
    labels = list(queries.labelled(studies()))
    if labels:
        # No default: it would not be part of the address, so a shared link would show another study tomorrow.
        st.sidebar.selectbox("Study", labels, index=None, placeholder=f"newest: {labels[0]}", key=STUDY_KEY,
                             bind="query-params", persist_state="session")


def chosen() -> StudyRow:
    """Return the chosen study, by default the newest. If there is none, say how to run one and stop the page."""
    known = queries.labelled(studies())
    if not known:
        st.info("No study was submitted yet. In a terminal: `ablate run quickstart`", icon=":material/science:")
        st.stop()
    return known.get(st.session_state.get(STUDY_KEY) or "", next(iter(known.values())))


def results(row: StudyRow) -> Results:
    """Return the results of a study; they are gathered again only if the study has a new event."""
    return _watched(row.study_id).results()


@st.cache_resource(max_entries=8, show_spinner=False)
def _watched(study_id: str) -> queries.Watched:
    # Cached as a resource, not as data: Streamlit would unpickle the results of a thousand trials twice for each page.
    return queries.Watched(engine(), study_id)


def live(row: StudyRow, seconds: float) -> float | None:
    """Return the refresh interval in seconds: `seconds`, or None (no refresh) for a finished study."""
    return None if row.state in TERMINAL_STUDIES else seconds


def repeating(show: Callable[[], None], *, every: float | None, key: str) -> None:
    """Run a part of the page now, and again every `every` seconds without the rest of the page.

    Args:
        show: draws the part.
        every: the interval in seconds; None to run only once.
        key: the name of the part, unique on the page.
    """
    st.fragment(show, run_every=every, key=key)()


def colours() -> charts.Palette:
    """Return the colours of the reader's theme."""
    return charts.palette(st.context.theme.type)


def note(markdown: str) -> None:
    """Show a note in small print. Streamlit's own captions have too little contrast to read (below 4.5:1)."""
    st.markdown(f":gray[:small[{markdown}]]")


def stamp(*, with_warning: bool = True) -> None:
    """Show the time of the data and the state of driver and tracking; warn if studies wait without a driver."""
    health = queries.health(engine(), studies(), is_tracked=settings().mlflow_uri != OFF)
    behind = f"{health.outbox} events behind" if health.outbox else "up to date"
    driver = "driver running" if health.driver and health.driver.is_live else "no driver"
    note(f"as of {time.strftime('%H:%M:%S')} · {driver} · tracking {behind}")
    if health.is_stale and with_warning:
        st.warning("Studies wait, but no driver is running. In a terminal: `ablate run STUDY`",
                   icon=":material/hourglass_disabled:")
