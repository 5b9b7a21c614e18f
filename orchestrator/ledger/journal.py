"""Events and tracking messages, collected during a transaction and written at its end with two statements.

The outbox is the contract with `tracking/`. Each message has a `subject` (one MLflow run), a `seq` (its number within
the subject, from 1 without gaps), a `kind` and a payload of plain values. `at` is the time in seconds by the database's
clock.

subject `trial:STUDY_ID:TRIAL_KEY`
- `trial_created`: study_id, study, scale, version, spec_hash, trial_key, arm_key, arm_name, levels, seed, config
  (the resolved trial configuration), stage_ids, at
- `trial_finished`: study_id, trial_key, state, stage_ids, scores {benchmark: {value, value_lenient, num_items,
  num_unparseable, is_complete, tokens_per_image, stage_id}}, at. It may be sent again after `ablate resume`.

subject `attempt:ATTEMPT_ID`
- `attempt_started`: attempt_id, attempt_no, stage_id, kind, label, spec, parent_ids, flops, samples, study_id, at.
- `attempt_finished`: attempt_id, attempt_no, stage_id, kind, label, state, seconds, result (the stage function's totals
  or scores, None on failure), failure (kind, message, traceback, hash; None on success), artifact (name for
  `Artifacts.resolve`, None on failure), at. The loss curve is the file progress.jsonl in
  `Artifacts.attempt_dir(stage_id, attempt_no)`: one report a line, each with its time `at`.
"""

from __future__ import annotations

import json
from enum import StrEnum
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, select

from orchestrator.ledger import tables as t


class Journal:
    """The events and tracking messages of one transaction.

    `now` is the time of the transaction by the database's clock, and `actor` who acts: a driver's id or a person's
    name.
    """

    def __init__(self, connection: Connection, *, now: float, actor: str) -> None:
        self._connection, self.now, self._actor = connection, now, actor
        self._events: list[dict[str, Any]] = []
        self._messages: list[dict[str, Any]] = []

    def event(self, entity: str, entity_id: str, source: StrEnum | str, target: StrEnum | str, *,
              study_id: str | None = None, detail: dict[str, Any] | None = None) -> None:
        """Add a change of state to the events."""
        self._events.append({"at": self.now, "study_id": study_id, "entity": entity, "entity_id": entity_id,
                             "from_state": str(source), "to_state": str(target), "actor": self._actor,
                             "detail": dump(detail or {})})

    def message(self, subject: str, kind: str, payload: dict[str, Any]) -> None:
        """Add a message for tracking to the outbox."""
        self._messages.append({"subject": subject, "kind": kind, "payload": dump({**payload, "at": self.now}),
                               "created_at": self.now})

    def flush(self) -> None:
        """Write the collected events and messages."""
        if self._events:
            self._connection.execute(t.events.insert(), self._events)
        if self._messages:
            self._number(self._messages)
            self._connection.execute(t.tracking_outbox.insert(), self._messages)
        self._events, self._messages = [], []

    def _number(self, messages: list[dict[str, Any]]) -> None:
        later = sorted({each["subject"] for each in messages if not each["kind"].endswith(("_created", "_started"))})
        highest: dict[str, int] = {}
        for some in t.chunks(later):
            rows = self._connection.execute(_highest(), {"subjects": some})
            highest |= {subject: seq for subject, seq in rows}
        for each in messages:
            highest[each["subject"]] = each["seq"] = highest.get(each["subject"], 0) + 1


@cache
def _highest() -> Select[Any]:
    outbox = t.tracking_outbox.c
    return (
        select(outbox.subject, func.max(outbox.seq))
        .where(outbox.subject.in_(bindparam("subjects", expanding=True)))
        .group_by(outbox.subject)
    )


def dump(value: object) -> str:
    """Return a value as compact JSON. Non-finite numbers were refused earlier; they raise ValueError here."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
