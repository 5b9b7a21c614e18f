"""Send the outbox to MLflow from a thread.

- A server that is down delays nothing and loses nothing, because a message leaves the outbox only after it was sent.
- If MLflow fails for one subject although it answers otherwise, only that subject waits; the others are sent.
- All messages of a subject are sent together, in their order and with their own times.
- MLflow's own retries are nearly off. This module waits instead, longer after each failure.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Sequence

from orchestrator.artifacts.opening import artifacts_of
from orchestrator.ledger import outbox, read
from orchestrator.ledger.engine import Engine
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
    """Sends the outbox to MLflow from a thread, and never raises into its caller."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._uri, self._engine = settings.mlflow_uri, engine
        self._artifacts = artifacts_of(settings)
        self._store: MlflowStore | None = None
        self._thread: threading.Thread | None = None
        self._stop, self._wake, self._turned = threading.Event(), threading.Event(), threading.Event()
        self._num_failures, self._num_refused, self._error = 0, 0, ""

    def start(self) -> None:
        """Start the thread, unless it runs already or tracking is off."""
        if self._thread is None and self._uri != OFF:
            self._thread = threading.Thread(target=self._loop, name="tracking", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread after the message that it is sending. What is not sent stays in the outbox."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._stop.clear()

    def flush_all(self, timeout_s: float) -> Flushed:
        """Wait until the outbox is empty, sending fails, or the time is over."""
        deadline = time.monotonic() + timeout_s
        while self._uri != OFF and read.outbox_lag(self._engine):
            left = deadline - time.monotonic()
            if left <= 0 or not self._turn_now(left) or self._num_failures:
                break
        return Flushed(read.outbox_lag(self._engine), self._num_refused, self._error)

    def _turn_now(self, timeout_s: float) -> bool:
        """Send the outbox once, here or in the thread. Return whether that ended in time."""
        if self._thread is None:
            self._turn()
            return True
        self._turned.clear()
        self._wake.set()
        return self._turned.wait(timeout_s)

    def _loop(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            pause_s = self._turn()
            self._turned.set()
            self._wake.wait(max(0.0, began + pause_s - time.monotonic()))
            self._wake.clear()

    def _turn(self) -> float:
        """Send the outbox once. Return the seconds from the start of this turn to the start of the next."""
        try:
            self._send()
        except Exception as error:  # noqa: BLE001 (it must survive whatever MLflow raises; nothing is lost)
            self._num_failures += 1
            self._error = redact(f"{type(error).__name__}: {first_line(error)}")
            log.debug("tracking failed %s times", self._num_failures, exc_info=True)
            # A random pause keeps several ledgers from retrying at the same moment. Nothing that is stored depends on
            # it.
            return min(LONGEST_PAUSE_S, 2.0 ** min(self._num_failures - 1, 6)) * (0.5 + random.random() / 2)  # noqa: S311
        self._num_failures, self._error = 0, ""
        return POLL_S

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
            if self._stop.is_set():
                return
        if len(held) == len(subjects):  # nothing was sent: the next turn waits longer
            raise held[0]

    def _send_chunk(self, store: MlflowStore, subjects: Sequence[Sequence[Message]]) -> list[Held]:
        """Send the messages of some subjects. Return the errors of the subjects that must wait."""
        sent: list[int] = []
        held: list[Held] = []
        try:
            for messages in subjects:
                if self._stop.is_set():
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
