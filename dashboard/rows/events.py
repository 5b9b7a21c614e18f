"""Events in words, and the state of driver, queue and tracking. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dashboard.queries import Health
from dashboard.text import clock, safe, state_word
from orchestrator import formatting
from orchestrator.ledger.rows import DriverRow, EventRow
from orchestrator.ledger.summaries import LiveStage

Row = dict[str, Any]
_YEAR_S = 365 * 86400.0
_VERBS = {"LEASED": "was handed out", "RUNNING": "began", "SUCCEEDED": "succeeded", "FAILED": "failed",
          "DIVERGED": "diverged", "SKIPPED": "was skipped", "CANCELLED": "was cancelled", "COMPLETED": "was completed",
          "COMPLETED_WITH_FAILURES": "was completed with failures", "PAUSED": "was paused",
          "PLANNED": "was planned again", "IMPORTED": "was imported"}


def event_rows(events: Sequence[EventRow], names: Mapping[str, str]) -> list[Row]:
    """Return one row for each event: when, what happened in words, and who caused it.

    Args:
        events: newest first.
        names: id of a stage or key of a trial -> its name for people.
    """
    return [{"at": clock(event.at), "event": safe(event_words(event, names)), "by": safe(actor(event.actor))}
            for event in events]


def event_words(event: EventRow, names: Mapping[str, str]) -> str:
    """Return an event as a sentence, such as `stage sft science=0 seed 1 began (attempt 2)`."""
    name = names.get(event.entity_id, "" if event.entity == "study" else event.entity_id[:12])
    subject = f"{event.entity} {name}".strip()
    details = [f"attempt {event.detail['attempt_no']}"] if event.detail.get("attempt_no", 1) != 1 else []
    details += [str(event.detail[key]) for key in ("kind", "message", "reason") if event.detail.get(key)]
    if event.entity == "share":
        details += [f"{key} {value}" for key, value in event.detail.items()]
    aside = f" ({', '.join(details)})" if details else ""
    return f"{subject} {_verb(event)}{aside}"


def _verb(event: EventRow) -> str:
    if event.to_state == "QUEUED":
        return {"": "was submitted", "PAUSED": "goes on", "PLANNED": "waits for a slot",
                "LEASED": "waits for another attempt", "RUNNING": "waits for another attempt"}.get(
                    event.from_state, "was reopened")
    return _VERBS.get(event.to_state, f"became {state_word(event.to_state)}" if event.to_state else "changed")


def actor(name: str) -> str:
    """Return who caused an event: a driver by its short number, a person by name."""
    kind, _, number = name.partition(" ")
    return f"driver {number[:6]}" if kind == "driver" and number else name


def vital_signs(found: Health, *, since: float | None, busy: int, slots: int) -> list[tuple[str, str, str]]:
    """Return label, value and explanation of the driver, its lease, slots, the queue and tracking.

    Args:
        found: driver, queue and tracking.
        since: when the driver took the lease, in seconds since 1970; None if that is not known.
        busy: slots that running stages take.
        slots: of a driver, by the settings of the dashboard.
    """
    driver = found.driver
    holder = driver.holder if driver else {}
    where = ", ".join(f"{name} {holder[name]}" for name in ("host", "pid") if name in holder)
    return [
        ("Driver", "running" if found.is_driven else "none", where or "no driver has ever run here"),
        ("Lease", _lease(driver),
         f"left until another driver may take over; held since {clock(since)}" if found.is_driven and since
         else "left until another driver may take over" if found.is_driven else "how the last driver left"),
        ("Slots", f"{busy} of {slots} busy" if found.is_driven else "none busy",
         "stages run at the same time (ABLATE_SLOTS)" if found.is_driven else "nothing runs without a driver"),
        ("Waiting studies", f"{found.num_waiting} of {found.num_studies}", "queued or running"),
        ("Tracking", f"{found.outbox} behind", "events that wait to be sent to MLflow")]


def running_rows(running: Sequence[tuple[str, LiveStage]]) -> list[Row]:
    """Return one row for each running stage, with its last report; the label of its study stands first."""
    return [{"study": safe(study), "stage": safe(each.label), "attempt": each.attempt_no, "step": each.step, "of": each.steps,
             "loss": each.loss, "samples/s": each.samples_per_s, "slots": each.workers} for study, each in running]


def _lease(driver: DriverRow | None) -> str:
    """Return the time left of the driver's lease, or how it ended; a released lease expired at the epoch, in 1970."""
    if driver is None:
        return "never taken"
    if driver.is_live:
        return formatting.duration(driver.expires_in_s)
    return "released" if driver.expires_in_s < -_YEAR_S else f"expired {formatting.duration(-driver.expires_in_s)} ago"
