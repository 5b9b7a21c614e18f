"""The page Study: progress, verdict, a panel for each important metric, all arms as a table, and the history."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from dashboard import charts, queries, rows, text
from dashboard.views import shared
from orchestrator.errors import OrchestratorError
from orchestrator.ledger import actions, read
from orchestrator.ledger.engine import Engine, open_existing
from orchestrator.ledger.rows import StudyRow
from orchestrator.results.progress import progress
from orchestrator.results.results import Results
from orchestrator.results.tables import unread

_ACTS = {"pause": actions.pause, "resume": actions.resume, "cancel": actions.cancel}
_SIGNS = {"selected": ":material/check_circle:", "tied": ":material/balance:", "underpowered": ":material/query_stats:",
          "infeasible": ":material/block:", "incomplete": ":material/hourglass_top:", "none": ":material/remove:"}


def head(row: StudyRow) -> None:
    """Show the question, the state, and buttons for the allowed actions."""
    st.title(text.plain_markdown(row.name))
    st.markdown(text.plain_markdown(row.spec["study"]["question"]))
    version = f" · version {row.version}" if row.version > 1 else ""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"{text.badge(row.state)} &nbsp; scale {row.scale}{version}", width="content")
        for act in queries.allowed_actions(row) if shared.may_act() else ():
            if st.button(act.label, icon=act.icon, key=f"act-{act.name}", type="tertiary"):
                confirm(row, act)


@st.dialog("Are you sure?")
def confirm(row: StudyRow, act: queries.OperatorAction) -> None:
    """Ask for confirmation of an action, and perform it if the person confirms."""
    st.markdown(f"{act.label} **{text.plain_markdown(row.name)}** at scale {row.scale}? {act.consequence}")
    if st.button(f"Yes, {act.label.lower()}", key="confirmed", type="primary", on_click=perform_action,
                 args=(row, act)):
        st.rerun()


def perform_action(row: StudyRow, act: queries.OperatorAction) -> None:
    """Perform an action; if the ledger refuses it, show the reason on the page."""
    if not shared.may_act():  # asked here too: a button that is not shown is no lock
        st.toast(f"{text.plain_markdown(shared.who())} may look, but not {act.label.lower()}", icon=":material/lock:")
        return
    try:
        with closing_ledger() as ledger:
            _ACTS[act.name](ledger, row.study_id, actor=shared.who())
    except OrchestratorError as error:
        st.toast(text.plain_markdown(str(error)), icon=":material/error:")


@contextmanager
def closing_ledger() -> Iterator[Engine]:
    """Open the ledger for one action, and close it afterwards; the pages' own connection only reads."""
    ledger = open_existing(shared.settings().ledger_url)
    try:
        yield ledger
    finally:
        ledger.dispose()


def state_strip() -> None:
    """Show the study's progress, and a progress bar for each running stage."""
    row = shared.chosen()
    shown = progress(shared.engine(), row, slots=shared.settings().slots)
    shared.stamp(with_warning=not shown.is_terminal)
    if shown.is_terminal:
        _ended(was_live=st.session_state.get("was_live") == row.study_id)
    else:
        st.session_state["was_live"] = row.study_id
        st.progress(text.fraction(shown), text=text.progress_words(shown))
    for stage in shown.running:
        st.progress(stage.fraction, text=text.stage_words(stage))


def _ended(*, was_live: bool) -> None:
    """Draw the complete page once more when the study ends, so that its parts stop refreshing."""
    if was_live:
        del st.session_state["was_live"]
        st.rerun()


def verdict_box() -> None:
    """Show the verdict, and the chosen metrics as panels or as a table."""
    row = shared.chosen()
    results = shared.results(row)
    _verdict(results)
    offered = queries.offered_metrics(results)
    if not offered:
        st.info("No scores yet: panels appear with the first evaluated trial.", icon=":material/hourglass_top:")
        return
    metrics = st.pills("Metrics", offered, selection_mode="multi", default=queries.panel_metrics(results),
                       format_func=text.title, key=f"metrics-{row.study_id}")
    st.toggle("Show as table", key="as_table", bind="query-params")
    if st.session_state.get("as_table"):
        _table(results, metrics)
    else:
        _panels(results, metrics)
    shared.note(text.legend(results))
    for claim in results.claims:
        shared.note(text.plain_markdown(f"Claim of the paper: {claim.claim.statement} — {claim.sentence}"))


def _verdict(results: Results) -> None:
    verdict = results.verdict
    tell = {"selected": st.success, "incomplete": st.info, "none": st.info}.get(verdict.kind, st.warning)
    tell(f"**{verdict.kind.capitalize()}.** {text.plain_markdown(verdict.sentence)}", icon=_SIGNS[verdict.kind])
    for sentence in unread(results):
        st.warning(f"**Unread.** {text.plain_markdown(sentence)}")
    for confound in results.confounds:
        st.warning(f"**Confound.** {text.plain_markdown(confound.sentence)}")


def _panels(results: Results, metrics: list[str]) -> None:
    panels = [queries.panel(results, metric) for metric in metrics]
    columns = st.columns(queries.num_columns(panels), gap="medium")
    for i, panel in enumerate(panels):
        with columns[i % len(columns)]:
            st.markdown(f"**{panel.title}**" + (f" &nbsp; :gray[{panel.role}]" if panel.role else ""))
            figure = charts.panel_figure(panel, study_id=results.study.study_id, colours=shared.colours())
            st.plotly_chart(figure, theme=None, key=f"panel-{panel.metric}", config=charts.CONFIG,
                            alt=charts.panel_words(panel))
            if len(panel.points) < panel.num_arms:
                shared.note(f"{len(panel.points)} of {panel.num_arms} arms: the chosen arm, the baseline and the "
                            "highest means; the table has all arms")


def _table(results: Results, metrics: list[str]) -> None:
    st.dataframe(rows.arm_rows(results, metrics), hide_index=True, key="arms", alt=f"Arms of {results.study.name}")


def _numbers(results: Results) -> None:
    for column, (label, value, help_text) in zip(st.columns(4), rows.tiles(results), strict=True):
        column.metric(label, value, help=help_text, border=True)


def event_history(row: StudyRow) -> None:
    """Show the events of the study, newest first."""
    events = read.events(shared.engine(), row.study_id, 200)
    with st.expander(f"History ({text.shown_of(len(events), 200)})"):
        st.dataframe(rows.event_rows(events), hide_index=True, key="events", alt="Events of the study, newest first")


study = shared.chosen()
head(study)
shared.repeating(state_strip, every=shared.live(study, shared.FAST_S), key="strip")
shared.repeating(verdict_box, every=shared.live(study, shared.SLOW_S), key="answer")
_numbers(shared.results(study))
event_history(study)
