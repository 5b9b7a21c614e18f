"""The page Health: driver and lease, slots and what runs in them, database, tracking, disk, and the newest events."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import streamlit as st

from dashboard import queries, text
from dashboard.rows import events
from dashboard.views import shared
from orchestrator import formatting
from orchestrator.ledger import read
from orchestrator.ledger.summaries import LiveStage, live_stages
from orchestrator.settings import redact
from orchestrator.states import LIVE_STUDIES


def show() -> None:
    """Show the state of driver, slots, queue, tracking and disk, and the newest events."""
    shared.stamp()
    found, slots = shared.health(), shared.settings().slots
    running = _running() if found.is_driven else []
    since = read.driving_since(shared.engine(), found.driver.driver_id) if found.driver else None
    shared.tiles(events.vital_signs(found, since=since, busy=sum(each.workers for _, each in running), slots=slots))
    if running:
        st.header("Running now")
        shared.table(events.running_rows(running), key="running", alt=f"{len(running)} running stages")
    st.header("Places")
    shared.table(_places(), key="places", alt="Where ledger, artifacts and tracking are")
    shared.note("The nodes of a Ray cluster: `ray status` where Ray runs; the dashboard itself does not connect to it.")
    _events()


def _running() -> list[tuple[str, LiveStage]]:
    engine = shared.engine()
    return [(queries.label_of(row), each) for row in shared.studies() if row.state in LIVE_STUDIES
            for each in live_stages(engine, row.study_id)]


def _events() -> None:
    found = read.events(shared.engine(), None, 100)
    st.header("Newest events")
    shared.note(f"showing {text.shown_of(len(found), 100)}")
    names = {each.entity_id: read.stage_label(shared.engine(), each.entity_id) or each.entity_id[:12]
             for each in found if each.entity == "stage"}
    names |= {row.study_id: row.name for row in shared.studies()}
    names |= {each.entity_id: f"of {names.get(each.study_id or '', 'a study')}" for each in found
              if each.entity == "trial" and each.entity_id not in names}
    shared.table(events.event_rows(found, names), key="all-events", alt="Newest events of the ledger")


def _places() -> list[dict[str, str]]:
    settings = shared.settings()
    return [
        {"what": "ledger", "where": redact(settings.ledger_url), "state": _ledger_state()},
        {
            "what": "artifacts",
            "where": redact(settings.artifact_store or str(settings.artifacts)),
            "state": _disk(settings.artifacts),
        },
        {"what": "tracking", "where": redact(settings.mlflow_uri), "state": f"{shared.health().outbox} events wait"},
    ]


def _ledger_state() -> str:
    engine, began = shared.engine(), time.perf_counter()
    newest = read.newest_event(engine)
    took = f"answers in {1000 * (time.perf_counter() - began):.0f} ms, {newest} events"
    file = Path(engine.url.database or "")
    is_file = engine.dialect.name == "sqlite" and file.is_file()
    return f"{took}, {formatting.size(file.stat().st_size)}; {_disk(file.parent)}" if is_file else took


def _disk(folder: Path) -> str:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there)
    return f"{formatting.size(free.free)} free of {formatting.size(free.total)} on this machine"


st.title("Health")
shared.repeating(show, every=shared.FAST_S * 2, key="health")
