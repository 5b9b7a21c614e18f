"""The outbox, as its flusher uses it: messages to send, messages that were sent, and the MLflow run of each subject."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, func, select

from orchestrator.ledger import tables as t
from orchestrator.ledger.engine import retrying, transaction
from orchestrator.ledger.tables import now_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message for tracking. `journal.py` documents kinds and payloads."""

    message_id: int
    subject: str
    seq: int
    kind: str
    payload: dict[str, Any]
    created_at: float


@dataclass(frozen=True, slots=True)
class Flushed:
    """What was not sent when the driver stopped waiting for the flusher."""

    num_left: int
    """Messages that remain in the outbox. The next driver sends them."""
    num_refused: int
    """Messages that MLflow will never accept, for instance because somebody deleted their mlflow_run."""
    error: str
    """The last error, or ""."""


def pending(engine: Engine, *, limit: int = 500) -> list[Message]:
    """Return unsent messages, oldest first, so that those of each subject come in order."""
    query = select(t.tracking_outbox).where(t.tracking_outbox.c.sent_at.is_(None))
    with engine.connect() as connection:
        rows = connection.execute(query.order_by(t.tracking_outbox.c.id).limit(limit)).all()
    return [Message(message_id=row.id, subject=row.subject, seq=row.seq, kind=row.kind, payload=json.loads(row.payload),
                    created_at=row.created_at) for row in rows]


def settle(engine: Engine, message_ids: Iterable[int], made: Mapping[str, str]) -> dict[str, str]:
    """Record in one transaction which messages were sent and which MLflow runs were created.

    Repeating it changes nothing.

    Args:
        engine: the ledger.
        message_ids: the messages that were sent.
        made: subject -> id of the MLflow run that was created for it.

    Returns:
        Subject -> id of the MLflow run that was recorded earlier for it, where that is another one; the earlier one
        counts.
    """
    ids = list(message_ids)

    def attempt() -> dict[str, str]:
        with transaction(engine) as connection:
            subjects = t.tracking_subjects.c
            known = {row.subject: row.external_id for row in connection.execute(
                select(t.tracking_subjects).where(subjects.subject.in_(made)))}
            fresh = [
                {"subject": subject, "external_id": each} for subject, each in made.items() if subject not in known
            ]
            if fresh:
                connection.execute(t.tracking_subjects.insert(), fresh)
            mine = t.tracking_outbox.c.id.in_(ids) & t.tracking_outbox.c.sent_at.is_(None)
            connection.execute(t.tracking_outbox.update().where(mine).values(sent_at=now_s()))
            return {subject: each for subject, each in known.items() if each != made[subject]}

    return retrying(attempt) if ids or made else {}


def external_id(engine: Engine, subject: str) -> str | None:
    """Return the id of a subject's MLflow run, None if none was recorded."""
    query = select(t.tracking_subjects.c.external_id).where(t.tracking_subjects.c.subject == subject)
    with engine.connect() as connection:
        return connection.execute(query).scalar_one_or_none()


def last_sent_at(engine: Engine) -> float | None:
    """Return when the newest message was sent (seconds since the epoch), None if none was."""
    with engine.connect() as connection:
        return connection.execute(select(func.max(t.tracking_outbox.c.sent_at))).scalar()


def requeue(engine: Engine, found: Mapping[str, str]) -> int:
    """Mark all messages as unsent and replace the recorded MLflow runs. Return how many messages are unsent.

    Args:
        engine: the ledger.
        found: subject -> id of its MLflow run, as MLflow has them now; all other records are deleted.
    """
    def attempt() -> int:
        with transaction(engine) as connection:
            connection.execute(t.tracking_subjects.delete())
            rows = [{"subject": subject, "external_id": each} for subject, each in sorted(found.items())]
            if rows:
                connection.execute(t.tracking_subjects.insert(), rows)
            return connection.execute(t.tracking_outbox.update().values(sent_at=None)).rowcount

    return retrying(attempt)
