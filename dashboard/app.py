"""Define the dashboard's pages; run it by `ablate dashboard` or `streamlit run dashboard/app.py`."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard.views import shared

# The icon of the browser tab is a local file: Streamlit would fetch a material icon for the tab from Google's servers.
st.set_page_config(page_title="Ablate", page_icon=Path(__file__).with_name("icon.svg"), layout="wide")
page = st.navigation([
    st.Page("views/overview.py", title="Overview", icon=":material/dashboard:", url_path="overview", default=True),
    st.Page("views/study.py", title="Study", icon=":material/show_chart:", url_path="study"),
    st.Page("views/tradeoff.py", title="Trade-off", icon=":material/scatter_plot:", url_path="tradeoff"),
    st.Page("views/trials.py", title="Trials", icon=":material/table_rows:", url_path="trials"),
    st.Page("views/health.py", title="Health", icon=":material/monitor_heart:", url_path="health"),
])
shared.refuse_open_door()
shared.choose_study()
page.run()
