"""The downloads that pages share: tables, figures, the study's file, and the commands that repeat it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from dashboard import queries
from orchestrator.results import figures, panels, tables
from orchestrator.results.plane import Plane
from orchestrator.results.results import Results
from orchestrator.study.strict_yaml import dump


def offer(results: Results, metrics: Sequence[str], plane: Plane | None = None) -> None:
    """Offer the results as CSV, Parquet, JSON, SVG, and the study as YAML; then the commands that repeat the view.

    Args:
        results: of the study.
        metrics: those that the page shows, for the figure.
        plane: what the page shows instead of panels.
    """
    row = results.study
    name = f"{row.name}-{row.scale}-v{row.version}"
    with st.container(horizontal=True):
        _button("CSV", f"{name}.csv", lambda: tables.to_csv(results).encode(), "text/csv")
        _button("Parquet", f"{name}.parquet", lambda: _parquet(results), "application/octet-stream")
        _button("JSON", f"{name}.json", lambda: json.dumps(results.to_json(), ensure_ascii=False).encode(),
                "application/json")
        if metrics:
            _button("SVG", f"{name}.svg", lambda: _svg(results, metrics, plane), "image/svg+xml")
        _button("YAML", f"{row.name}.yaml", lambda: dump(row.spec["study"]).encode(), "application/yaml")
    with st.expander("Reproduce"):
        st.code(f"ablate run {row.name} --scale {row.scale}\n"
                f"ablate results {row.name} --scale {row.scale} --json\n"
                f"# this page: {_address(queries.label_of(row))}", language="bash")


def offer_rows(rows: Sequence[Mapping[str, Any]], name: str) -> None:
    """Offer a table of the page as CSV and Parquet.

    Args:
        rows: of the table; nothing is offered if there are none.
        name: of the files, unique on the page.
    """
    if rows:
        with st.container(horizontal=True):
            _button("CSV", f"{name}.csv", lambda: tables.rows_to_csv(rows, list(rows[0])).encode(), "text/csv")
            _button("Parquet", f"{name}.parquet", lambda: _rows_parquet(rows), "application/octet-stream")


def _address(label: str) -> str:
    """Return the address of the page with all that the reader chose; `label` names the study if nothing was chosen."""
    chosen = {name: st.query_params.get_all(name) for name in st.query_params} or {"study": [label]}
    return f"{(st.context.url or '').partition('?')[0]}?{urlencode(chosen, doseq=True)}"


def _button(label: str, file: str, make: Callable[[], bytes], mime: str) -> None:
    st.download_button(
        label,
        make,
        file_name=file,
        mime=mime,
        key=f"download-{file}",
        on_click="ignore",
        icon=":material/download:",
        type="tertiary",
        help=f"Download {file}",
    )


def _parquet(results: Results) -> bytes:
    buffer = BytesIO()
    tables.to_parquet(results, buffer)
    return buffer.getvalue()


def _rows_parquet(rows: Sequence[Mapping[str, Any]]) -> bytes:
    buffer = BytesIO()
    tables.rows_to_parquet(rows, buffer)
    return buffer.getvalue()


def _svg(results: Results, metrics: Sequence[str], plane: Plane | None) -> bytes:
    if plane is not None:
        return figures.plane_figure(plane).encode()
    shown = [panels.panel(results, metric) for metric in metrics[:figures.MAX_PANELS]]
    return figures.score_figure(shown).encode()
