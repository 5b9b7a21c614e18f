"""The outbox as its one flusher sees it: what to send, what was sent, and which foreign run stands for a subject."""

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
    """One message for tracking; kinds and payloads are documented in `record.py`."""

    message_id: int
    subject: str
    seq: int
    kind: str
    payload: dict[str, Any]
    created_at: float


def pending(engine: Engine, *, limit: int = 500) -> list[Message]:
    """Return unsent messages, oldest first, so that each subject's come in order."""
    query = select(t.tracking_outbox).where(t.tracking_outbox.c.sent_at.is_(None))
    with engine.connect() as connection:
        rows = connection.execute(query.order_by(t.tracking_outbox.c.id).limit(limit)).all()
    return [Message(message_id=row.id, subject=row.subject, seq=row.seq, kind=row.kind, payload=json.loads(row.payload),
                    created_at=row.created_at) for row in rows]


def mark_sent(engine: Engine, message_ids: Iterable[int]) -> None:
    """Note that messages arrived; saying it twice is fine."""
    ids = list(message_ids)

    def attempt() -> None:
        with transaction(engine) as connection:
            mine = t.tracking_outbox.c.id.in_(ids) & t.tracking_outbox.c.sent_at.is_(None)
            connection.execute(t.tracking_outbox.update().where(mine).values(sent_at=now_s()))

    if ids:
        retrying(attempt)


def external_id(engine: Engine, subject: str) -> str | None:
    """Return the foreign run of a subject, None if none was noted."""
    query = select(t.tracking_subjects.c.external_id).where(t.tracking_subjects.c.subject == subject)
    with engine.connect() as connection:
        return connection.execute(query).scalar_one_or_none()


def claim_external_id(engine: Engine, subject: str, proposed: str) -> str:
    """Note the foreign run of a subject, unless one is noted already; return the one that counts."""
    def attempt() -> str:
        with transaction(engine) as connection:
            subjects = t.tracking_subjects.c
            found = connection.execute(select(subjects.external_id).where(subjects.subject == subject)).scalar()
            if found is None:
                connection.execute(t.tracking_subjects.insert().values(subject=subject, external_id=proposed))
            return proposed if found is None else found

    return retrying(attempt)


def last_sent_at(engine: Engine) -> float | None:
    """Return when a message last arrived, None if none ever did."""
    with engine.connect() as connection:
        return connection.execute(select(func.max(t.tracking_outbox.c.sent_at))).scalar()


def requeue(engine: Engine, found: Mapping[str, str]) -> int:
    """Make all messages wait again, and note which foreign runs there are; return how many messages wait.

    Args:
        engine: the ledger.
        found: subject -> foreign run, as the foreign store has them now; others are forgotten.
    """
    def attempt() -> int:
        with transaction(engine) as connection:
            connection.execute(t.tracking_subjects.delete())
            rows = [{"subject": subject, "external_id": each} for subject, each in sorted(found.items())]
            if rows:
                connection.execute(t.tracking_subjects.insert(), rows)
            return connection.execute(t.tracking_outbox.update().values(sent_at=None)).rowcount

    return retrying(attempt)
