"""A ledger of made-up studies, and the pages over it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import streamlit as st
from sqlalchemy import Engine
from streamlit.testing.v1 import AppTest

from dashboard import queries
from orchestrator.ledger import read
from orchestrator.ledger.engine import open_ledger
from orchestrator.results.results import Results, study_results
from tests.support.synthetic import Sketch, sketch

APP = Path(__file__).resolve().parents[2] / "dashboard" / "app.py"


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setenv("ABLATE_HOME", str(tmp_path))
    return open_ledger(f"sqlite:///{tmp_path}/ledger.db")


@pytest.fixture
def found(engine: Engine) -> Callable[..., Results]:
    """Make up a study and gather its results."""

    def make(**wanted: object) -> Results:
        return study_results(engine, read.study(engine, sketch(engine, Sketch(**wanted))))  # type: ignore[arg-type]

    return make


@pytest.fixture
def page(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Callable[..., AppTest]:
    """Open a page of the dashboard, with these parameters in the address."""
    monkeypatch.setattr(queries, "LOOK_S", 60.0)  # a page of a test waits for every verdict
    st.cache_data.clear()
    st.cache_resource.clear()

    def open_page(name: str, **parameters: str) -> AppTest:
        app = AppTest.from_file(str(APP), default_timeout=30)
        for key, value in parameters.items():
            app.query_params[key] = value
        app.run()
        return app.switch_page(f"views/{name}.py").run()

    return open_page
