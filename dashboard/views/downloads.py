"""The downloads that pages with results share: tables, figures, the study's file, and the commands that repeat it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from io import BytesIO

import streamlit as st

from dashboard import queries
from orchestrator.results import figures, panels, tables
from orchestrator.results.results import Results
from orchestrator.study.strict_yaml import dump


def offer(results: Results, metrics: Sequence[str]) -> None:
    """Offer the results as CSV, Parquet, JSON, SVG, and the study as YAML; then the commands that repeat the view.

    Args:
        results: of the study.
        metrics: those that the page shows, for the figure.
    """
    row = results.study
    name = f"{row.name}-{row.scale}-v{row.version}"
    with st.container(horizontal=True):
        _button("CSV", f"{name}.csv", lambda: tables.to_csv(results).encode(), "text/csv")
        _button("Parquet", f"{name}.parquet", lambda: _parquet(results), "application/octet-stream")
        _button("JSON", f"{name}.json", lambda: json.dumps(results.to_json(), ensure_ascii=False).encode(),
                "application/json")
        if metrics:
            _button("SVG", f"{name}.svg", lambda: _svg(results, metrics), "image/svg+xml")
        _button("YAML", f"{row.name}.yaml", lambda: dump(row.spec["study"]).encode(), "application/yaml")
    with st.expander("Reproduce"):
        label = queries.label_of(row)
        st.code(f"ablate run {row.name} --scale {row.scale}\n"
                f"ablate results {row.name} --scale {row.scale} --json\n"
                f"# this page: ?study={label}", language="bash")


def _button(label: str, file: str, make: Callable[[], bytes], mime: str) -> None:
    st.download_button(
        label,
        make,
        file_name=file,
        mime=mime,
        key=f"download-{label}",
        on_click="ignore",
        icon=":material/download:",
        type="tertiary",
        help=f"Download {file}",
    )


def _parquet(results: Results) -> bytes:
    buffer = BytesIO()
    tables.to_parquet(results, buffer)
    return buffer.getvalue()


def _svg(results: Results, metrics: Sequence[str]) -> bytes:
    shown = [panels.panel(results, metric) for metric in metrics[:figures.MAX_PANELS]]
    return figures.score_figure(shown).encode()
