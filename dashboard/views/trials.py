"""Trials with their states; choose one to see its stages and attempts."""

from __future__ import annotations

import streamlit as st

from dashboard import tables, words
from dashboard.views import frame
from orchestrator.states import TERMINAL_STUDIES


def table() -> None:
    """Show all trials, and the stages of the chosen one."""
    study = frame.chosen()
    results = frame.results(study)
    frame.stamp(with_warning=study.state not in TERMINAL_STUDIES)
    rows = tables.trial_rows(results)
    chosen = st.dataframe(rows, hide_index=True, key="trials", on_select="rerun", selection_mode="single-row",
                          alt=f"{len(rows)} trials of {study.name}")
    picked = chosen["selection"]["rows"] if chosen else []
    if not picked:
        frame.note("Choose a row to see the stages of a trial.")
        return
    st.header(words.plain_markdown(f"{rows[picked[0]]['arm']}, seed {rows[picked[0]]['seed']}"))
    st.dataframe(tables.stage_rows(results, picked[0]), hide_index=True, key="stages", alt="Stages of the chosen trial")


current = frame.chosen()
st.title("Trials")
frame.note(words.plain_markdown(f"{current.name} at scale {current.scale}"))
frame.repeating(table, every=frame.live(current, frame.SLOW_S), key="trial-table")
