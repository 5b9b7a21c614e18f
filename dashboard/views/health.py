"""The page Health: driver and lease, database, tracking, disk, and the newest events."""

from __future__ import annotations

import shutil

import streamlit as st

from dashboard import text
from dashboard.rows import events
from dashboard.views import shared
from orchestrator import formatting
from orchestrator.ledger import read
from orchestrator.settings import redact


def show() -> None:
    """Show the state of driver, queue, tracking and disk, and the newest events."""
    shared.stamp()
    shared.tiles(events.vital_signs(shared.health()))
    st.header("Places")
    shared.table(_places(), key="places", alt="Where ledger, artifacts and tracking are")
    shared.note(
        f"{shared.settings().slots} slots a driver. Ray's nodes: `ray status` where Ray runs; the dashboard itself "
        "does not connect to it."
    )
    found = read.events(shared.engine(), None, 100)
    st.header("Newest events")
    shared.note(f"showing {text.shown_of(len(found), 100)}")
    names = {each.entity_id: read.stage_label(shared.engine(), each.entity_id) or each.entity_id[:12]
             for each in found if each.entity == "stage"}
    names |= {row.study_id: row.name for row in shared.studies()}
    shared.table(events.event_rows(found, names), key="all-events", alt="Newest events of the ledger")


def _places() -> list[dict[str, str]]:
    settings = shared.settings()
    folder = next(path for path in (settings.artifacts, *settings.artifacts.parents) if path.exists())
    free = shutil.disk_usage(folder)
    return [
        {"what": "ledger", "where": redact(settings.ledger_url), "state": "answers"},
        {
            "what": "artifacts",
            "where": redact(settings.artifact_store or str(settings.artifacts)),
            "state": f"{formatting.size(free.free)} free of {formatting.size(free.total)} on this machine",
        },
        {"what": "tracking", "where": redact(settings.mlflow_uri), "state": f"{shared.health().outbox} events wait"},
    ]


st.title("Health")
shared.repeating(show, every=shared.FAST_S * 2, key="health")
