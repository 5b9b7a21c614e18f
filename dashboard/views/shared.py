"""The parts that all pages share: the ledger, the chosen study, cached results, refreshing, and how things are shown."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import streamlit as st

from dashboard import queries, text
from dashboard.charts import look
from dashboard.queries import Health, Outcomes, Watched
from orchestrator import exposure
from orchestrator.artifacts.opening import artifacts_of
from orchestrator.artifacts.store import Artifacts
from orchestrator.errors import LedgerAway, OrchestratorError, StudyError, parted
from orchestrator.ledger import read
from orchestrator.ledger.engine import Engine, has_ledger, open_for_reading, reachable
from orchestrator.ledger.naming import ledger_id
from orchestrator.ledger.rows import StudyRow
from orchestrator.results.item_statistics import ItemResults, item_results
from orchestrator.results.results import Results
from orchestrator.settings import OFF, Settings, redact
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
MOST_FILES = 400
"""Files of stored answers that are read without being asked to."""


# ---- the ledger ----------------------------------------------------------------------------------------------------


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
    try:
        engine()
    except OrchestratorError as error:  # such as a ledger of an older release: its command is what the reader needs
        st.error(redact(str(error)).replace("\n", "\n\n"), icon=":material/database_off:")
        st.stop()


def who() -> str:
    """Return who looks at the page: the person that the proxy names; "" if it should, and does not."""
    return exposure.person(settings(), st.context.headers)


def may_submit() -> bool:
    """Return whether the person may submit studies."""
    return exposure.may_submit(settings(), who())


def may_move(row: StudyRow) -> bool:
    """Return whether the person may pause, resume and cancel a study."""
    return exposure.may_move(settings(), who(), read.submitter(engine(), row.study_id))


def engine() -> Engine:
    """Return the ledger's connection pool for reading, which all sessions share.

    There is another one once a ledger exists, if there was none at first.
    """
    url = settings().ledger_url
    return _engine(url, has_ledger(url))


@st.cache_resource(show_spinner=False)
def _engine(url: str, is_there: bool) -> Engine:  # noqa: ARG001 (part of the cache's key)
    gc.set_threshold(COLLECT_AFTER)
    return open_for_reading(url)


@st.cache_resource(show_spinner=False)
def artifacts() -> Artifacts:
    """Return where checkpoints and answers are stored."""
    return artifacts_of(settings(), ledger_id(engine()))


def studies() -> list[StudyRow]:
    """Return all studies, newest first."""
    return _studies(settings().ledger_url, read.newest_event(engine()))


@st.cache_resource(ttl=FRESH_S, max_entries=1, show_spinner=False)
def _studies(url: str, newest: int) -> list[StudyRow]:  # noqa: ARG001 (the cache's key)
    return read.studies(engine())


def health() -> Health:
    """Return the state of driver, queue and tracking."""
    return queries.health(engine(), studies(), is_tracked=settings().mlflow_uri != OFF)


def told(show: Callable[[], None]) -> None:
    """Draw a part; where the ledger cannot be read, say so in one line with a hint instead."""
    try:
        with reachable():
            show()
    except LedgerAway as error:
        _trouble("The ledger does not answer; the page looks again by itself.", error)
    except OrchestratorError as error:
        _trouble("This cannot be shown.", error)


def _trouble(opening: str, error: OrchestratorError) -> None:
    problem, hint = parted(redact(str(error)))
    st.error(f"**{opening}** {text.plain_markdown(problem)}" + (f" Hint: {text.plain_markdown(hint)}" if hint else ""),
             icon=":material/error:")
    note(f"as of {time.strftime('%H:%M:%S')}")


# ---- the chosen study ----------------------------------------------------------------------------------------------


def choose_study() -> None:
    """Show the menu of studies in the side bar; the choice is part of the page's address."""
    labels = list(queries.labelled(studies()))
    asked = st.query_params.get(STUDY_KEY)
    st.session_state["unknown_study"] = asked if asked and asked not in labels else None
    if not labels or st.session_state["unknown_study"]:
        return  # the menu would drop an unknown name from the address and show another study in its place
    if st.session_state.get(STUDY_KEY) not in labels:
        st.session_state[STUDY_KEY] = asked or labels[0]  # so that the address names the study from the first look
    st.sidebar.selectbox("Study", labels, index=None, key=STUDY_KEY, bind="query-params", persist_state="session")


def chosen() -> StudyRow:
    """Return the chosen study. Without one, say what there is and stop the page."""
    known = queries.labelled(studies())
    unknown = st.session_state.get("unknown_study")
    if unknown:
        _say_unknown(unknown, list(known))
        st.stop()
    if not known:
        say_empty()
        st.stop()
    return known[st.session_state.get(STUDY_KEY) or next(iter(known))]


def say_empty() -> None:
    """Say that there is no study, or no ledger, and how to begin."""
    is_there = has_ledger(settings().ledger_url)
    what = (
        "No study was submitted yet."
        if is_there
        else f"There is no ledger in {text.plain_markdown(str(settings().home))}."
    )
    hint = "" if is_there else " If there should be one, check ABLATE\\_HOME and ABLATE\\_LEDGER\\_URL."
    st.info(f"{what} To run the first study, in a terminal: `ablate run quickstart`{hint}", icon=":material/science:")
    note(f"as of {time.strftime('%H:%M:%S')}")


def _say_unknown(asked: str, labels: Sequence[str]) -> None:
    st.error(f"No study **{text.plain_markdown(asked)}** is in this ledger.", icon=":material/link_off:")
    note("A link names a study as NAME@SCALE, and a later version of it as NAME@SCALE v2." if labels
         else "The ledger has no study yet: `ablate run quickstart`")
    for label in labels[:10]:
        st.page_link("views/study.py", label=text.plain_markdown(label), query_params={STUDY_KEY: label})


def results(row: StudyRow) -> Results:
    """Return the results of a study; they are gathered again only if the study has a new event."""
    return _watched(settings().ledger_url, row.study_id).results()


@st.cache_resource(max_entries=8, show_spinner=False)
def _watched(url: str, study_id: str) -> Watched:  # noqa: ARG001 (part of the cache's key)
    # Cached as a resource, not as data: Streamlit would unpickle the results of a thousand trials twice for each page.
    return Watched(engine(), study_id)


@st.cache_resource(show_spinner=False)
def outcomes(url: str) -> Outcomes:  # noqa: ARG001 (the cache's key)
    """Return the outcomes of all studies of a ledger, as far as they were computed."""
    return Outcomes()


def stored_answers(row: StudyRow) -> ItemResults | None:
    """Return what the stored answers add to a study's results; None while it runs, or unless many files are asked for.

    Shows a switch where there are many.
    """
    found = results(row)
    number = sum(stage.kind == "evaluate" and stage.artifact is not None for stage in found.stages)
    if row.state not in TERMINAL_STUDIES:
        note("The interval for the population of items is computed when the study has ended.")
        return None
    if number > MOST_FILES and not st.toggle(f"Read the answers in {number} files, for the interval over items too",
                                             key="answers", bind="query-params"):
        return None
    return _stored_answers(settings().ledger_url, row.study_id, queries.version(engine(), row.study_id))


@st.cache_resource(max_entries=8, show_spinner="Reading stored answers")
def _stored_answers(url: str, study_id: str, newest: int) -> ItemResults:  # noqa: ARG001 (the cache's key)
    row = read.study(engine(), study_id)
    return item_results(results(row), read.scores(engine(), study_id), artifacts())


# ---- refreshing ----------------------------------------------------------------------------------------------------


def live(row: StudyRow, seconds: float) -> float | None:
    """Return the refresh interval in seconds: `seconds`, or None (no refresh) for a finished study."""
    return None if row.state in TERMINAL_STUDIES else seconds


def live_any(seconds: float) -> float | None:
    """Return the refresh interval in seconds of a page about several studies: None if all of them are finished."""
    return None if all(row.state in TERMINAL_STUDIES for row in studies()) else seconds


def repeating(show: Callable[[], None], *, every: float | None, key: str) -> None:
    """Run a part of the page now, and again every `every` seconds without the rest of the page.

    Args:
        show: draws the part; where the ledger cannot be read, that is said in its place.
        every: the interval in seconds; None to run only once.
        key: the name of the part, unique on the page.
    """
    def part() -> None:
        told(show)

    st.fragment(part, run_every=every, key=key)()


# ---- how things are shown ------------------------------------------------------------------------------------------


def colours() -> look.Palette:
    """Return the colours of the reader's theme."""
    return look.palette(st.context.theme.type)


def note(markdown: str) -> None:
    """Show a note in small print. Streamlit's own captions have too little contrast to read (below 4.5:1)."""
    if markdown:
        st.markdown(f":gray[:small[{markdown}]]")


def title(name: str, row: StudyRow | None = None) -> None:
    """Show the title of a page, then the study with its state and the time of the data, which are kept fresh."""
    st.title(name)
    if row is None:
        stamp()
    else:
        repeating(_head, every=live(row, FAST_S), key="head")
        _stop_unless_readable(row)


def _stop_unless_readable(row: StudyRow) -> None:
    """Say once, and not in each part of the page, that a study's record cannot be read."""
    try:
        with suppress(LedgerAway), reachable():
            results(row)
    except StudyError as error:
        _trouble("This study cannot be shown.", error)
        st.stop()


def _head() -> None:
    row = chosen()
    shown = text.badge(queries.shown_state(row, health()))
    st.markdown(f"**{text.plain_markdown(queries.label_of(row))}** &nbsp; {shown}")
    stamp(row)


def stamp(row: StudyRow | None = None, *, with_warning: bool = True) -> None:
    """Show the time of the data and the state of driver and tracking; warn if studies wait without a driver."""
    found = health()
    behind = f"{found.outbox} events behind" if found.outbox else "up to date"
    driver = "driver running" if found.is_driven else "no driver"
    note(f"as of {time.strftime('%H:%M:%S')} · {driver} · tracking {behind}")
    waits = found.is_stale if row is None else row.state not in (*TERMINAL_STUDIES, "PAUSED") and not found.is_driven
    if waits and with_warning:
        which = "Studies wait" if row is None else "This study waits"
        st.warning(f"{which}, but no driver is running: nothing advances. In a terminal: `ablate run STUDY`",
                   icon=":material/hourglass_disabled:")


def draw(figure: Any, *, key: str, alt: str, rows: Sequence[Mapping[str, Any]] = ()) -> None:
    """Show a figure, and the numbers behind it as a table that can be opened.

    Args:
        figure: of Plotly.
        key: of the figure, unique on the page.
        alt: the figure in words.
        rows: the table behind it; none is offered if it is empty.
    """
    st.plotly_chart(figure, theme=None, key=key, config=look.CONFIG, alt=text.visible(alt))
    if rows:
        with st.expander("Table behind this figure"):
            table(rows, key=f"{key}-table", alt=f"Numbers of the figure: {alt}")


def table(rows: Sequence[Mapping[str, Any]], *, key: str, alt: str, **options: Any) -> Any:
    """Show a table whose columns sort by their type, the first one pinned; `options` are those of `st.dataframe`."""
    first = next(iter(rows[0]), "") if rows else ""
    columns = {first: st.column_config.Column(pinned=True)} | options.pop("column_config", {})
    return st.dataframe(
        list(rows), hide_index=True, key=key, alt=text.visible(alt), column_config=columns, placeholder="–", **options
    )


def tiles(found: Sequence[tuple[str, str, str]]) -> None:
    """Show numbers side by side, each with its label and an explanation."""
    with st.container(horizontal=True):  # which wraps where columns would cut the numbers
        for label, value, words in found:
            with st.container(border=True, width=225):
                st.metric(label, value)
                note(text.plain_markdown(words))
