"""Events and tracking messages, collected in a transaction and written at its end in two statements.

The outbox is the contract with `tracking/`. Each message has a `subject` (what one MLflow run stands for), a `seq`
(order within it, without gaps), a `kind` and a payload of plain values; `at` is seconds by the database clock.

subject `trial:STUDY_ID:TRIAL_KEY`
- `trial_created`: study_id, study, scale, version, spec_hash, trial_key, arm_key, arm_name, levels, seed, config
  (the resolved trial configuration), stage_ids, at
- `trial_finished`: study_id, trial_key, state, stage_ids, scores {benchmark: {value, value_lenient, num_items,
  num_unparseable, is_complete, tokens_per_image, stage_id}}, at. May come again after `ablate resume`.

subject `attempt:ATTEMPT_ID`
- `attempt_started`: attempt_id, attempt_no, stage_id, kind, label, spec, parent_ids, flops, samples, study_id, at.
- `attempt_finished`: attempt_id, attempt_no, stage_id, kind, label, state, seconds, result (the stage function's totals
  or scores, None on failure), failure (kind, message, traceback, hash; None on success), artifact (name for
  `Artifacts.resolve`, None on failure), at. The curve lies in `Artifacts.attempt_dir(stage_id, attempt_no)` as
  progress.jsonl, a report a line, each with its time `at`.
"""

from __future__ import annotations

import json
from enum import StrEnum
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, select

from orchestrator.ledger import tables as t


class Journal:
    """Collects what happened in one transaction."""

    def __init__(self, connection: Connection, *, now: float, actor: str) -> None:
        """Start empty; `actor` is who acts: a driver's id or a person's name."""
        self._connection, self.now, self._actor = connection, now, actor
        self._events: list[dict[str, Any]] = []
        self._messages: list[dict[str, Any]] = []

    def event(self, entity: str, entity_id: str, source: StrEnum | str, target: StrEnum | str, *,
              study_id: str | None = None, detail: dict[str, Any] | None = None) -> None:
        """Note a change of state."""
        self._events.append({"at": self.now, "study_id": study_id, "entity": entity, "entity_id": entity_id,
                             "from_state": str(source), "to_state": str(target), "actor": self._actor,
                             "detail": dump(detail or {})})

    def message(self, subject: str, kind: str, payload: dict[str, Any]) -> None:
        """Put a message for tracking into the outbox."""
        self._messages.append({"subject": subject, "kind": kind, "payload": dump({**payload, "at": self.now}),
                               "created_at": self.now})

    def flush(self) -> None:
        """Write what was collected."""
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
    """Return compact JSON; non-finite numbers were refused before they came here."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
