"""The page Study: what it asks, what is known, who runs what, what failed, and the acts that its state allows."""

from __future__ import annotations

import streamlit as st

from dashboard import acts, forests, text
from dashboard.charts import forest, panels, states
from dashboard.rows import arms, events, studies, trials
from dashboard.views import downloads, shared
from orchestrator.errors import OrchestratorError
from orchestrator.ledger import read
from orchestrator.ledger.rows import StudyRow
from orchestrator.results import outcome
from orchestrator.results import panels as described
from orchestrator.results.item_statistics import ItemResults
from orchestrator.results.progress import progress
from orchestrator.results.results import Results
from orchestrator.results.tables import unread
from orchestrator.results.titles import title

MOST_UNREAD = 4
"""The most benchmarks of arms whose unread answers are named before the figures."""
_SIGNS = {"selected": ":material/check_circle:", "tied": ":material/balance:", "underpowered": ":material/query_stats:",
          "infeasible": ":material/block:", "incomplete": ":material/hourglass_top:", "none": ":material/remove:"}


def head(row: StudyRow) -> None:
    """Show the question, the state, and buttons for the allowed actions."""
    shared.title(text.plain_markdown(row.name), row)
    st.markdown(text.plain_markdown(row.spec["study"]["question"]))
    if row.reason:
        st.warning(text.plain_markdown(row.reason), icon=":material/pause_circle:")
    with st.container(horizontal=True):
        for act in acts.allowed_actions(row) if shared.may_move(row) else ():
            if st.button(act.label, icon=act.icon, key=f"act-{act.name}"):
                confirm(row, act)


@st.dialog("Are you sure?")
def confirm(row: StudyRow, act: acts.OperatorAction) -> None:
    """Ask for confirmation of an action, and perform it if the person confirms."""
    st.markdown(f"{act.label} **{text.plain_markdown(row.name)}** at scale {row.scale}? {act.consequence}")
    if st.button(f"Yes, {act.label.lower()}", key="confirmed", type="primary", on_click=perform, args=(row, act)):
        st.rerun()


def perform(row: StudyRow, act: acts.OperatorAction) -> None:
    """Perform an action; if it is refused, show the reason on the page."""
    try:
        acts.perform(shared.settings(), row.study_id, act, who=shared.who())
    except OrchestratorError as error:
        st.toast(text.plain_markdown(str(error)), icon=":material/error:")


def state_strip() -> None:
    """Show the study's progress, and a progress bar for each running stage."""
    row = shared.chosen()
    found = shared.results(row)
    shown = progress(shared.engine(), row, slots=shared.settings().slots)
    is_driven = shared.health().is_driven
    counted = outcome.total(outcome.states_of(found).values())
    if shown.is_terminal:
        tell = st.error if row.state == "FAILED" else shared.note
        tell(text.progress_words(shown, counted))
        _ended(was_live=st.session_state.get("was_live") == row.study_id)
    else:
        st.session_state["was_live"] = row.study_id
        st.progress(text.fraction(shown), text=text.progress_words(shown, counted, is_driven=is_driven))
    for stage in shown.running:
        st.progress(stage.fraction, text=text.stage_words(stage, is_driven=is_driven))


def _ended(*, was_live: bool) -> None:
    """Draw the complete page once more when the study ends, so that its parts stop refreshing."""
    if was_live:
        del st.session_state["was_live"]
        st.rerun()


def answer() -> None:
    """Show the verdict, the chosen metrics as panels, the differences, and all arms as a table."""
    row = shared.chosen()
    results = shared.results(row)
    _verdict(results)
    found = _population(row, results)
    _warnings(results)
    offered = described.offered_metrics(results)
    if not offered:
        st.info(_no_scores(results), icon=":material/hourglass_top:")
        return
    metrics = st.pills("Metrics", offered, selection_mode="multi", default=described.panel_metrics(results),
                       format_func=title, key="metrics", bind="query-params")
    _panels(results, metrics)
    shared.note(text.legend(results))
    _forest(results, found)
    st.header("Arms")
    shared.table(arms.arm_rows(results, metrics), key="arms", alt=f"Arms of {row.name}",
                 column_config={"mark": st.column_config.TextColumn(width=120)})
    shared.note("± is half the width of a 95 % interval. Δ is the difference to the baseline, paired by seed; "
                "told apart: from 0, at 5 % after Holm's correction over the arms. Unread: answers that the "
                "benchmark's rule could not read.")
    downloads.offer(results, metrics)


def _no_scores(results: Results) -> str:
    counted = outcome.total(outcome.states_of(results).values())
    if results.study.state == "FAILED":
        return "No trial succeeded, so there are no scores. The reasons stand below."
    return f"No scores: {outcome.in_words(counted)}. Panels appear with the first evaluated trial."


def _verdict(results: Results) -> None:
    verdict = results.verdict
    is_over = verdict.kind == "incomplete" and results.study.state in ("FAILED", "CANCELLED", "COMPLETED_WITH_FAILURES")
    tell = (
        st.error
        if is_over
        else {"selected": st.success, "incomplete": st.info, "none": st.info}.get(verdict.kind, st.warning)
    )
    name = "" if verdict.kind == "incomplete" else f"**For these items: {verdict.kind}.** "
    tell(f"{name}{text.plain_markdown(outcome.verdict_sentence(results))}",
         icon=":material/error:" if is_over else _SIGNS[verdict.kind])


def _warnings(results: Results) -> None:
    shared.note(f"Rule, declared before the study ran: {text.plain_markdown(results.rule)}.")
    sentences = unread(results)
    if sentences:
        more = f"; and {len(sentences) - MOST_UNREAD} more, on the page Benchmarks" if len(sentences) > MOST_UNREAD else ""
        st.warning(f"**Unread.** {text.plain_markdown('; '.join(sentences[:MOST_UNREAD]))}{more}")
    for confound in results.confounds:
        st.warning(f"**Confound.** {text.plain_markdown(confound.sentence)}")


def _panels(results: Results, metrics: list[str]) -> None:
    shown = [described.panel(results, metric) for metric in metrics]
    columns = st.columns(panels.num_columns(shown), gap="medium")
    for i, panel in enumerate(shown):
        with columns[i % len(columns)]:
            st.markdown(f"**{panel.title}**" + (f" &nbsp; :gray[{panel.role}]" if panel.role else ""))
            shared.draw(panels.panel_figure(panel, study_id=results.study.study_id, colours=shared.colours()),
                        key=f"panel-{panel.metric}", alt=described.words(panel), rows=arms.panel_rows(panel))
            shared.note(text.panel_note(panel))


def _population(row: StudyRow, results: Results) -> ItemResults | None:
    """Show the verdict for the population of items, and which of the two intervals decides."""
    if results.verdict.kind in ("incomplete", "none"):
        return None
    found = shared.stored_answers(row)
    if found is None:
        return None
    if found.verdict is None:
        why = next(iter(found.left_out.values()), "no stored answers")
        shared.note(text.plain_markdown(f"The interval for the population of items is not known: {why}."))
        return found
    tell = {"selected": st.success}.get(found.verdict.kind, st.warning)
    tell(f"**For the population of items: {found.verdict.kind}.** {text.plain_markdown(found.verdict.sentence)}",
         icon=_SIGNS[found.verdict.kind])
    which = "the population of items" if found.decides else "these items"
    shared.note(
        f"By the study's rule (select.items) the interval for **{which}** decides; {found.num_pictures} pictures were "
        "asked about. Other seeds are in both intervals, other questions only in that for the population."
    )
    return found


def _forest(results: Results, found: ItemResults | None) -> None:
    effects = forests.to_baseline(results, results.objective, found)
    if not effects:
        return
    name = title(results.objective)
    st.markdown(f"**Differences to the baseline in {name}**")
    shared.draw(
        forest.forest_figure(
            effects, revision=results.study.study_id, axis=f"Δ {name}, points", colours=shared.colours()
        ),
        key="forest",
        alt=forest.forest_words(effects, f"{name} against the baseline"),
        rows=arms.both_intervals(results, found) if found else (),
    )
    shared.note(forest.forest_legend(effects))
    if len(effects) > forest.MOST_ROWS:
        shared.note(f"showing the {forest.MOST_ROWS} largest of {len(effects)}; the table of arms has all")


def design() -> None:
    """Show the matrix of trials, and the reasons for which stages failed."""
    results = shared.results(shared.chosen())
    st.header("Trials")
    names = {arm.key: arm.name for arm in results.arms}
    seeds = sorted({trial.seed for trial in results.trials})
    cells = {(names[trial.arm_key], trial.seed): trial.state for trial in results.trials}
    counted = outcome.total(outcome.states_of(results).values())
    words = outcome.in_words(counted, with_succeeded=True) or "none yet"
    if cells:
        shared.draw(states.states_figure(cells, list(names.values()), seeds, revision=results.study.study_id,
                                         colours=shared.colours()),
                    key="states", alt=f"{len(names)} arms by {len(seeds)} seeds: {words}",
                    rows=trials.state_rows(cells, list(names.values()), seeds))
    shared.note(f"{words}. Each trial with its stages is on the page Trial.")
    for failure in outcome.failures(results):
        labels = ", ".join(failure.labels[:4]) + (
            f" and {len(failure.labels) - 4} more" if len(failure.labels) > 4 else ""
        )
        st.error(f"**{len(failure.labels)} × {failure.kind}.** {text.plain_markdown(failure.message)} "
                 f"— {text.plain_markdown(labels)}", icon=":material/error:")


def numbers() -> None:
    """Show trials, stages, compute and savings."""
    shared.tiles(studies.tiles(shared.results(shared.chosen())))


def history() -> None:
    """Show the events of the study in words, newest first."""
    row = shared.chosen()
    found = read.events(shared.engine(), row.study_id, 200)
    results = shared.results(row)
    names = {stage.stage_id: stage.label for stage in results.stages}
    names |= {trial.trial_key: f"{trial.arm_name} seed {trial.seed}" for trial in results.trial_rows}
    with st.expander(f"Events ({text.shown_of(len(found), 200)})"):
        shared.table(events.event_rows(found, names), key="events", alt="Events of the study, newest first")


study = shared.chosen()
head(study)
shared.repeating(state_strip, every=shared.live(study, shared.FAST_S), key="strip")
shared.repeating(answer, every=shared.live(study, shared.SLOW_S), key="answer")
shared.repeating(design, every=shared.live(study, shared.SLOW_S), key="design")
shared.repeating(numbers, every=shared.live(study, shared.SLOW_S), key="numbers")
shared.repeating(history, every=shared.live(study, shared.SLOW_S), key="history")
