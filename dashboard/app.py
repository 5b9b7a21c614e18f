"""Define the dashboard's pages; run it by `ablate dashboard` or `streamlit run dashboard/app.py`."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard.views import shared

PAGES = {
    "": [("overview", "Overview", "dashboard")],
    "Study": [
        ("study", "Study", "science"),
        ("sweep", "Score vs α", "show_chart"),
        ("resolution", "Resolution and tokens", "scatter_plot"),
        ("compare", "Compare", "compare_arrows"),
        ("benchmarks", "Benchmarks", "table_chart"),
        ("claims", "Claims", "rule"),
        ("grid", "Grid", "grid_on"),
        ("mixture", "Mixture", "change_history"),
        ("search", "Search", "travel_explore"),
    ],
    "Look inside": [
        ("trial", "Trial", "timeline"),
        ("items", "Items", "image_search"),
        ("splitting", "Splitting", "splitscreen"),
    ],
    "Operate": [
        ("campaign", "Campaign", "account_tree"),
        ("submit", "Submit", "upload_file"),
        ("health", "Health", "monitor_heart"),
    ],
}
"""Section -> file below views, title, icon; the file's name is the page's address."""

# The icon of the browser tab is a local file: Streamlit would fetch a material icon for the tab from Google's servers.
st.set_page_config(page_title="Ablate", page_icon=Path(__file__).with_name("icon.svg"), layout="wide")
page = st.navigation(
    {
        section: [
            st.Page(
                f"views/{file}.py", title=title, icon=f":material/{icon}:", url_path=file, default=file == "overview"
            )
            for file, title, icon in pages
        ]
        for section, pages in PAGES.items()
    },
    expanded=True,
)
st.html(Path(__file__).with_name("print.css"))


def run() -> None:
    """Show the menu of studies and the page, to whom they may be shown."""
    shared.refuse_open_door()
    shared.choose_study()
    page.run()


shared.told(run)
