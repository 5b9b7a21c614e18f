"""The page Overview: one row a study, to sort and to search: state, verdict, effect, failures, time left, cost."""

from __future__ import annotations

import streamlit as st

from dashboard import queries, text
from dashboard.rows.studies import Listed, study_rows
from dashboard.views import downloads, shared
from orchestrator.ledger.rows import StudyRow
from orchestrator.ledger.summaries import trial_counts
from orchestrator.results.progress import progress
from orchestrator.states import LIVE_STUDIES

COLUMNS = {
    "done": st.column_config.ProgressColumn("done", format="%.0f %%", min_value=0, max_value=100, width="small"),
    # Widths of what is filled in after the first look, for which the browser would keep those of an ellipsis.
    "chosen": st.column_config.TextColumn("chosen", width=125),
    "metric": st.column_config.TextColumn("metric", width=110),
    "verdict": st.column_config.TextColumn(
        "verdict", width=110, help="For these items; the page Study also has the verdict for the population of items"),
    "effect": st.column_config.NumberColumn("effect", format="%+.1f", help="Of the chosen arm against the baseline"),
    "±": st.column_config.NumberColumn("±", format="%.1f", help="Half the width of the effect's 95 % interval"),
    "time left": st.column_config.NumberColumn("min left", format="%.1f", help="Empty without a driver"),
    "hours": st.column_config.NumberColumn("hours", format="%.2f", help="Of all attempts, failed ones too"),
    "GPU-hours": st.column_config.NumberColumn("GPU-hours", format="%.2f"),
    "saved": st.column_config.NumberColumn("hours saved", format="%.2f", help="By sharing stages"),
    "reason": st.column_config.TextColumn("reason", width="medium", help="Why most of its stages failed, or why it waits"),
    "question": st.column_config.TextColumn("question", width="large"),
}

CHOSEN_KEY = "chosen"
"""The query parameter of the chosen rows."""


def show() -> None:
    """Show all studies, newest first, then links to each."""
    shared.stamp()
    rows = shared.studies()
    if not rows:
        shared.say_empty()
        return
    wanted = st.text_input("Search", key="search", bind="query-params", type="search",
                           placeholder="name, state, verdict, question").casefold().split()
    listed = study_rows(_listed(rows), shared.health())
    kept = [(row, shown) for row, shown in zip(rows, listed, strict=True)
            if all(word in " ".join(map(str, shown.values())).casefold() for word in wanted)]
    labels = [queries.label_of(row) for row, _ in kept]
    asked = [labels.index(each) for each in st.query_params.get_all(CHOSEN_KEY) if each in labels]
    found = shared.table(
        [shown for _, shown in kept],
        key="studies",
        alt=f"{len(kept)} studies",
        column_config=COLUMNS,
        on_select="rerun",
        selection_mode="multi-row",
        selection_default={"selection": {"rows": asked}},
    )
    shared.note(f"{len(kept)} of {len(rows)} studies. Choose a row to open its study, or several to compare them.")
    chosen = [labels[i] for i in (found["selection"]["rows"] if found else []) if i < len(labels)]
    _remember(chosen)
    _links(chosen or labels[:6], is_choice=len(chosen) > 1)
    downloads.offer_rows([shown for _, shown in kept], "studies")


def _listed(rows: list[StudyRow]) -> list[Listed]:
    engine, slots = shared.engine(), shared.settings().slots
    counted, reasons = trial_counts(engine), queries.failure_reasons(engine, rows)
    ranked = sorted(rows, key=lambda row: row.state not in LIVE_STUDIES)
    outcomes = shared.outcomes(shared.settings().ledger_url).look(engine, ranked)
    return [Listed(progress=progress(engine, row, slots=slots), trials=counted.get(row.study_id, {}),
                   reason=reasons.get(row.study_id, ""), outcome=outcomes.get(row.study_id)) for row in rows]


def _remember(chosen: list[str]) -> None:
    """Keep the chosen rows in the page's address."""
    if chosen != st.query_params.get_all(CHOSEN_KEY):
        st.query_params[CHOSEN_KEY] = chosen


def _links(labels: list[str], *, is_choice: bool) -> None:
    """Link to studies, and to their comparison if several were chosen: a link works by keyboard too."""
    with st.container(horizontal=True):
        for label in labels:
            st.page_link("views/study.py", label=f"Open {text.plain_markdown(label)}", icon=":material/arrow_forward:",
                         query_params={shared.STUDY_KEY: label})
        if is_choice:
            st.page_link("views/compare.py", label=f"Compare these {len(labels)}", icon=":material/compare_arrows:",
                         query_params={shared.STUDY_KEY: labels[0], "with": labels[1:]})


def interval() -> float | None:
    """Return the seconds to the next look: while a study is live, or while verdicts are missing."""
    rows = shared.studies()
    is_live = any(row.state in LIVE_STUDIES for row in rows)
    is_unknown = shared.outcomes(shared.settings().ledger_url).num_missing(rows) > 0
    return shared.FAST_S if is_live or is_unknown else None


st.title("Studies")
shared.repeating(show, every=interval(), key="overview")
