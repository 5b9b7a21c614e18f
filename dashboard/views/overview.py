"""The page Overview: all studies with their progress, the time left, and what failed."""

from __future__ import annotations

import streamlit as st

from dashboard import queries, text
from dashboard.views import shared
from orchestrator.results.progress import Progress


def show() -> None:
    """Show a card for each study, newest first."""
    shared.stamp()
    rows = shared.studies()
    if not rows:
        shared.chosen()
    progress = queries.overview(shared.engine(), rows, slots=shared.settings().slots)
    for label, shown in zip(queries.labelled(rows), progress, strict=True):
        _card(label, shown)


def _card(label: str, shown: Progress) -> None:
    row = shown.study
    with st.container(border=True, key=f"card-{row.study_id}"):
        head, link = st.columns([5, 1], vertical_alignment="center")
        head.markdown(f"**{text.plain_markdown(label)}** &nbsp; {text.badge(row.state)}")
        link.page_link("views/study.py", label="Open", icon=":material/arrow_forward:",
                       query_params={shared.STUDY_KEY: label})
        shared.note(text.plain_markdown(row.spec["study"]["question"]))
        st.progress(text.fraction(shown), text=text.progress_words(shown))
        if row.reason:
            st.warning(text.plain_markdown(row.reason), icon=":material/pause_circle:")


st.title("Studies")
is_any_live = any(shared.live(row, 1.0) for row in shared.studies())
shared.repeating(show, every=shared.FAST_S if is_any_live else None, key="overview")
