"""All studies: how far, how long still, what failed."""

from __future__ import annotations

import streamlit as st

from dashboard import queries, words
from dashboard.views import frame
from orchestrator.results.progress import Progress


def show() -> None:
    """Show a card for each study, newest first."""
    frame.stamp()
    rows = frame.studies()
    if not rows:
        frame.chosen()
    for label, shown in zip(queries.labelled(rows), queries.overview(frame.engine(), rows, slots=frame.settings().slots), strict=True):
        _card(label, shown)


def _card(label: str, shown: Progress) -> None:
    row = shown.study
    with st.container(border=True, key=f"card-{row.study_id}"):
        head, link = st.columns([5, 1], vertical_alignment="center")
        head.markdown(f"**{words.plain_markdown(label)}** &nbsp; {words.badge(row.state)}")
        link.page_link("views/study.py", label="Open", icon=":material/arrow_forward:", query_params={frame.STUDY_KEY: label})
        frame.note(words.plain_markdown(row.spec["study"]["question"]))
        st.progress(words.fraction(shown), text=words.progress_words(shown))
        if row.reason:
            st.warning(words.plain_markdown(row.reason), icon=":material/pause_circle:")


st.title("Studies")
frame.repeating(show, every=frame.FAST_S if any(frame.live(row, 1.0) for row in frame.studies()) else None, key="overview")
