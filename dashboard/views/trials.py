"""The page Trials: all trials with their states, and the stages and attempts of the chosen one."""

from __future__ import annotations

import streamlit as st

from dashboard import rows as tables
from dashboard import text
from dashboard.views import shared
from orchestrator.states import TERMINAL_STUDIES


def table() -> None:
    """Show all trials, and the stages of the chosen one."""
    study = shared.chosen()
    results = shared.results(study)
    shared.stamp(with_warning=study.state not in TERMINAL_STUDIES)
    rows = tables.trial_rows(results)
    chosen = st.dataframe(rows, hide_index=True, key="trials", on_select="rerun", selection_mode="single-row",
                          alt=f"{len(rows)} trials of {study.name}")
    picked = chosen["selection"]["rows"] if chosen else []
    if not picked:
        shared.note("Choose a row to see the stages of a trial.")
        return
    st.header(text.plain_markdown(f"{rows[picked[0]]['arm']}, seed {rows[picked[0]]['seed']}"))
    st.dataframe(tables.stage_rows(results, picked[0]), hide_index=True, key="stages", alt="Stages of the chosen trial")


current = shared.chosen()
st.title("Trials")
shared.note(text.plain_markdown(f"{current.name} at scale {current.scale}"))
shared.repeating(table, every=shared.live(current, shared.SLOW_S), key="trial-table")
