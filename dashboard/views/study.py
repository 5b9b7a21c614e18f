"""One study: verdict, progress, a panel for each metric that matters, all arms as a table."""

from __future__ import annotations

import streamlit as st

from dashboard import charts, queries, tables, words
from dashboard.views import frame
from orchestrator import actions
from orchestrator.errors import OrchestratorError
from orchestrator.ledger import read
from orchestrator.ledger.rows import StudyRow
from orchestrator.results.progress import progress
from orchestrator.results.results import Results

_ACTS = {"pause": actions.pause, "resume": actions.resume, "cancel": actions.cancel}
_SIGNS = {"selected": ":material/check_circle:", "tied": ":material/balance:", "underpowered": ":material/query_stats:",
          "infeasible": ":material/block:", "incomplete": ":material/hourglass_top:"}


def head(row: StudyRow) -> None:
    """Show what is asked, the state, and what a person may do."""
    st.title(words.plain_markdown(row.name))
    st.markdown(words.plain_markdown(row.spec["study"]["question"]))
    version = f" · version {row.version}" if row.version > 1 else ""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"{words.badge(row.state)} &nbsp; scale {row.scale}{version}", width="content")
        for act in queries.acts(row):
            if st.button(act.label, icon=act.icon, key=f"act-{act.name}", type="tertiary"):
                confirm(row, act)


@st.dialog("Are you sure?")
def confirm(row: StudyRow, act: queries.Act) -> None:
    """Do nothing before a person said yes."""
    st.markdown(f"{act.label} **{words.plain_markdown(row.name)}** at scale {row.scale}? {act.consequence}")
    if st.button(f"Yes, {act.label.lower()}", key="confirmed", type="primary", on_click=perform, args=(row, act)):
        st.rerun()


def perform(row: StudyRow, act: queries.Act) -> None:
    """Act through the one door; what it refuses is told on the page."""
    try:
        _ACTS[act.name](frame.engine(), row.study_id, actor="dashboard")
    except OrchestratorError as error:
        st.toast(words.plain_markdown(str(error)), icon=":material/error:")


def strip() -> None:
    """Show counts, and a line for each running stage."""
    row = frame.chosen()
    shown = progress(frame.engine(), row, slots=frame.settings().slots)
    frame.stamp(with_warning=not shown.is_terminal)
    if shown.is_terminal:
        _ended(was_live=st.session_state.get("was_live") == row.study_id)
    else:
        st.session_state["was_live"] = row.study_id
        st.progress(words.fraction(shown), text=words.progress_words(shown))
    for stage in shown.running:
        st.progress(stage.fraction, text=words.stage_words(stage))


def _ended(*, was_live: bool) -> None:
    """Draw the whole page once more when the study ends, so that nothing looks again."""
    if was_live:
        del st.session_state["was_live"]
        st.rerun()


def answer() -> None:
    """Show verdict, panels and table."""
    row = frame.chosen()
    results = frame.results(row)
    _verdict(results)
    offered = queries.offered_metrics(results)
    if not offered:
        st.info("No scores yet: panels appear with the first evaluated trial.", icon=":material/hourglass_top:")
        return
    metrics = st.pills("Metrics", offered, selection_mode="multi", default=queries.panel_metrics(results), format_func=words.title,
                       key=f"metrics-{row.study_id}")
    st.toggle("Show as table", key="as_table", bind="query-params")
    if st.session_state.get("as_table"):
        _table(results, metrics)
    else:
        _panels(results, metrics)
    frame.note(words.legend(results))
    for claim in results.claims:
        frame.note(words.plain_markdown(f"Claim of the paper: {claim.claim.statement} — {claim.sentence}"))


def _verdict(results: Results) -> None:
    verdict = results.verdict
    tell = {"selected": st.success, "incomplete": st.info}.get(verdict.kind, st.warning)
    tell(f"**{verdict.kind.capitalize()}.** {words.plain_markdown(verdict.sentence)}", icon=_SIGNS[verdict.kind])
    for confound in results.confounds:
        st.warning(f"**Confound.** {words.plain_markdown(confound.sentence)}")


def _panels(results: Results, metrics: list[str]) -> None:
    panels = [queries.panel(results, metric) for metric in metrics]
    columns = st.columns(queries.num_columns(panels), gap="medium")
    for i, panel in enumerate(panels):
        with columns[i % len(columns)]:
            st.markdown(f"**{panel.title}**" + (f" &nbsp; :gray[{panel.role}]" if panel.role else ""))
            st.plotly_chart(charts.panel_figure(panel, study_id=results.study.study_id, colours=frame.colours()), theme=None,
                            key=f"panel-{panel.metric}", config=charts.CONFIG, alt=charts.panel_words(panel))
            if len(panel.points) < panel.num_arms:
                frame.note(f"{len(panel.points)} of {panel.num_arms} arms: choice, baseline and the highest means; the table has all")


def _table(results: Results, metrics: list[str]) -> None:
    st.dataframe(tables.arm_rows(results, metrics), hide_index=True, key="arms", alt=f"Arms of {results.study.name}")


def _numbers(results: Results) -> None:
    for column, (label, value, help_text) in zip(st.columns(4), tables.tiles(results), strict=True):
        column.metric(label, value, help=help_text, border=True)


def history(row: StudyRow) -> None:
    """Show what happened, newest first."""
    events = read.events(frame.engine(), row.study_id, 200)
    with st.expander(f"History ({words.shown_of(len(events), 200)})"):
        st.dataframe(tables.event_rows(events), hide_index=True, key="events", alt="Events of the study, newest first")


study = frame.chosen()
head(study)
frame.repeating(strip, every=frame.live(study, frame.FAST_S), key="strip")
frame.repeating(answer, every=frame.live(study, frame.SLOW_S), key="answer")
_numbers(frame.results(study))
history(study)
