"""The page Health: driver, lease, queue and tracking, and the newest events."""

from __future__ import annotations

import streamlit as st

from dashboard import queries, rows, text
from dashboard.views import shared
from orchestrator.ledger import read
from orchestrator.settings import OFF


def show() -> None:
    """Show the state of driver, queue and tracking, and the newest events."""
    shared.stamp()
    health = queries.health(shared.engine(), shared.studies(), is_tracked=shared.settings().mlflow_uri != OFF)
    for column, (label, value, help_text) in zip(st.columns(4), rows.vital_signs(health), strict=True):
        column.metric(label, value, help=help_text, border=True)
    events = read.events(shared.engine(), None, 100)
    st.header("Newest events")
    shared.note(f"showing {text.shown_of(len(events), 100)}")
    st.dataframe(rows.event_rows(events), hide_index=True, key="all-events", alt="Newest events of the ledger")


st.title("Health")
shared.repeating(show, every=shared.FAST_S * 2, key="health")
