"""Send the outbox to MLflow.

- A server that is down delays nothing and loses nothing, because a message leaves the outbox only after it was sent.
- If MLflow fails for one subject although it answers otherwise, only that subject waits; the others are sent.
- All messages of a subject are sent together, in their order and with their own times.
- MLflow's own retries are nearly off. This module waits instead, longer after each failure.
"""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Callable, Sequence

from orchestrator.artifacts.opening import artifacts_of
from orchestrator.ledger import outbox, read
from orchestrator.ledger.engine import Engine
from orchestrator.ledger.naming import ledger_id
from orchestrator.ledger.outbox import Flushed, Message
from orchestrator.settings import OFF, Settings, redact
from orchestrator.tracking.mlflow_store import Held, MlflowStore, first_line

POLL_S = 0.25
"""Seconds between two reads of the outbox, unless sending takes longer."""
LONGEST_PAUSE_S = 60.0
CHUNK = 50
"""Subjects after which the ledger records what was sent. A crash sends at most this many again."""
BACKLOG = 1_000_000
log = logging.getLogger(__name__)


class Flusher:
    """Sends the outbox to MLflow, and never raises into its caller.

    `is_interrupted` is called before each subject; if it returns True, sending stops there.
    """

    def __init__(self, settings: Settings, engine: Engine, is_interrupted: Callable[[], bool] = lambda: False) -> None:
        self._uri, self._engine = settings.mlflow_uri, engine
        self._artifacts = artifacts_of(settings, ledger_id(engine))
        self._store: MlflowStore | None = None
        self._is_interrupted, self._deadline = is_interrupted, math.inf
        self._num_failures, self._num_refused, self._error = 0, 0, ""
        self.next_at = 0.0
        """When the next turn is due, by the monotonic clock."""

    def flush_all(self, timeout_s: float) -> Flushed:
        """Send until the outbox is empty, sending fails, or the time is over."""
        self._deadline = time.monotonic() + timeout_s
        while self._uri != OFF and read.outbox_lag(self._engine) and not self._must_stop():
            self.turn()
            if self._num_failures:
                break
        self._deadline = math.inf
        return Flushed(read.outbox_lag(self._engine), self._num_refused, self._error)

    def turn(self) -> None:
        """Send the outbox once, and set when the next turn is due: later after each failure."""
        began, pause_s = time.monotonic(), POLL_S
        try:
            self._send()
            self._num_failures, self._error = 0, ""
        except Exception as error:  # noqa: BLE001 (it must survive whatever MLflow raises; nothing is lost)
            self._num_failures += 1
            self._error = redact(f"{type(error).__name__}: {first_line(error)}")
            log.debug("tracking failed %s times", self._num_failures, exc_info=True)
            # A random pause keeps several ledgers from retrying at once. Nothing that is stored depends on it.
            pause_s = min(LONGEST_PAUSE_S, 2.0 ** min(self._num_failures - 1, 6)) * (0.5 + random.random() / 2)  # noqa: S311
        self.next_at = began + pause_s

    def _must_stop(self) -> bool:
        return time.monotonic() >= self._deadline or self._is_interrupted()

    def _send(self) -> None:
        messages = outbox.pending(self._engine, limit=BACKLOG if self._store is None else 2000)
        if not messages:
            return
        if self._store is None:
            # An earlier flusher may have died while it sent these messages, so MLflow may have part of them already.
            self._store = MlflowStore(self._uri, self._engine, self._artifacts, doubtful_until=messages[-1].message_id)
        by_subject: dict[str, list[Message]] = {}
        for message in messages:
            by_subject.setdefault(message.subject, []).append(message)
        subjects, held = list(by_subject.values()), list[Held]()
        for start in range(0, len(subjects), CHUNK):
            held += self._send_chunk(self._store, subjects[start:start + CHUNK])
            if self._must_stop():
                return
        if len(held) == len(subjects):  # nothing was sent: the next turn waits longer
            raise held[0]

    def _send_chunk(self, store: MlflowStore, subjects: Sequence[Sequence[Message]]) -> list[Held]:
        """Send the messages of some subjects. Return the errors of the subjects that must wait."""
        sent: list[int] = []
        held: list[Held] = []
        try:
            for messages in subjects:
                if self._must_stop():
                    break
                try:
                    self._num_refused += store.deliver(messages)
                except Held as error:
                    held.append(error)
                    continue
                sent += [message.message_id for message in messages]
        finally:
            if sent:
                store.settle(sent)
        return held
