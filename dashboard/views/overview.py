"""The page Overview: one row a study, to sort and to search: state, verdict, effect, failures, time left, cost."""

from __future__ import annotations

import streamlit as st

from dashboard import queries, text
from dashboard.rows.studies import Listed, study_rows
from dashboard.views import shared
from orchestrator.ledger.rows import StudyRow
from orchestrator.ledger.summaries import trial_counts
from orchestrator.results.progress import progress
from orchestrator.states import LIVE_STUDIES

COLUMNS = {
    "done": st.column_config.ProgressColumn("done", format="%.0f %%", min_value=0, max_value=100, width="small"),
    "verdict": st.column_config.TextColumn(
        "verdict", help="For these items; the page Study also has the verdict for the population of items"),
    "effect": st.column_config.NumberColumn("effect", format="%+.1f", help="Of the chosen arm against the baseline"),
    "±": st.column_config.NumberColumn("±", format="%.1f", help="Half the width of the effect's 95 % interval"),
    "time left": st.column_config.NumberColumn("min left", format="%.1f", help="Empty without a driver"),
    "hours": st.column_config.NumberColumn("hours", format="%.2f", help="Of all attempts, failed ones too"),
    "GPU-hours": st.column_config.NumberColumn("GPU-hours", format="%.2f"),
    "saved": st.column_config.NumberColumn("hours saved", format="%.2f", help="By sharing stages"),
    "question": st.column_config.TextColumn("question", width="large"),
}


def show() -> None:
    """Show all studies, newest first, then links to each."""
    shared.stamp()
    rows = shared.studies()
    if not rows:
        shared.say_empty()
        return
    wanted = st.text_input("Search", key="search", bind="query-params", type="search",
                           placeholder="name, state, verdict, question").casefold().split()
    found = study_rows(_listed(rows), shared.health())
    kept = [(row, shown) for row, shown in zip(rows, found, strict=True)
            if all(word in " ".join(map(str, shown.values())).casefold() for word in wanted)]
    chosen = shared.table(
        [shown for _, shown in kept],
        key="studies",
        alt=f"{len(kept)} studies",
        column_config=COLUMNS,
        on_select="rerun",
        selection_mode="single-row",
    )
    shared.note(f"{len(kept)} of {len(rows)} studies. Choose a row to open its study.")
    _links(kept, chosen["selection"]["rows"] if chosen else [])


def _listed(rows: list[StudyRow]) -> list[Listed]:
    engine, slots = shared.engine(), shared.settings().slots
    counted, reasons = trial_counts(engine), queries.failure_reasons(engine, rows)
    ranked = sorted(rows, key=lambda row: row.state not in LIVE_STUDIES)
    outcomes = shared.outcomes(shared.settings().ledger_url).look(engine, ranked)
    return [Listed(progress=progress(engine, row, slots=slots), trials=counted.get(row.study_id, {}),
                   reason=reasons.get(row.study_id, ""), outcome=outcomes.get(row.study_id)) for row in rows]


def _links(kept: list[tuple[StudyRow, dict[str, object]]], chosen: list[int]) -> None:
    """Link to the chosen studies, or to the newest ones: a link works by keyboard too."""
    shown = [kept[i][0] for i in chosen if i < len(kept)] or [row for row, _ in kept[:6]]
    with st.container(horizontal=True):
        for row in shown:
            label = queries.label_of(row)
            st.page_link("views/study.py", label=f"Open {text.plain_markdown(label)}", icon=":material/arrow_forward:",
                         query_params={shared.STUDY_KEY: label})


def interval() -> float | None:
    """Return the seconds to the next look: while a study is live, or while verdicts are missing."""
    rows = shared.studies()
    is_live = any(row.state in LIVE_STUDIES for row in rows)
    is_unknown = shared.outcomes(shared.settings().ledger_url).num_missing(rows) > 0
    return shared.FAST_S if is_live or is_unknown else None


st.title("Studies")
shared.repeating(show, every=interval(), key="overview")
