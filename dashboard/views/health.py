"""Whether driver, ledger and tracking work."""

from __future__ import annotations

import streamlit as st

from dashboard import queries, tables, words
from dashboard.views import frame
from orchestrator.ledger import read


def show() -> None:
    """Show the machinery's vital signs and the newest events."""
    frame.stamp()
    health = queries.health(frame.engine(), frame.studies())
    for column, (label, value, help_text) in zip(st.columns(4), tables.vital_signs(health), strict=True):
        column.metric(label, value, help=help_text, border=True)
    events = read.events(frame.engine(), None, 100)
    st.header("Newest events")
    frame.note(f"showing {words.shown_of(len(events), 100)}")
    st.dataframe(tables.event_rows(events), hide_index=True, key="all-events", alt="Newest events of the ledger")


st.title("Health")
frame.repeating(show, every=frame.FAST_S * 2, key="health")
