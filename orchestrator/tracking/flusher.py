"""Sends the outbox to MLflow from a thread of its own.

- A dead server delays nothing and loses nothing, since a message leaves the outbox only after it arrived.
- A subject at which the store fails although it answers waits by itself: what is behind it is sent.
- All that waits for one subject goes out together; messages of a subject keep their order and their times.
- MLflow's own retries are nearly off: waiting is ours, with a growing pause.
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
from orchestrator.ledger.naming import ledger_id
from orchestrator.ledger.outbox import Flushed, Message
from orchestrator.settings import OFF, Settings, redact
from orchestrator.tracking.mlflow_store import Held, MlflowStore, first_line

POLL_S = 0.25
"""Seconds between two looks into the outbox, unless sending what the first one found takes longer."""
LONGEST_PAUSE_S = 60.0
CHUNK = 50
"""Subjects after which what was sent is noted; a crash sends at most these again."""
BACKLOG = 1_000_000
log = logging.getLogger(__name__)


class Flusher:
    """Sends the outbox to MLflow from a thread of its own; never raises into the driver."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        """Remember where to send; nothing is opened before `start` or `flush_all`."""
        self._uri, self._engine = settings.mlflow_uri, engine
        self._artifacts = artifacts_of(settings, ledger_id(engine))
        self._store: MlflowStore | None = None
        self._thread: threading.Thread | None = None
        self._stop, self._wake, self._turned = threading.Event(), threading.Event(), threading.Event()
        self._num_failures, self._num_refused, self._error = 0, 0, ""

    def start(self) -> None:
        """Begin to send; a second call does nothing."""
        if self._thread is None and self._uri != OFF:
            self._thread = threading.Thread(target=self._loop, name="tracking", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread after the message that it is sending; what is left waits in the outbox."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._stop.clear()

    def flush_all(self, timeout_s: float) -> Flushed:
        """Wait until the outbox is empty, a try fails, or the time is over."""
        deadline = time.monotonic() + timeout_s
        while self._uri != OFF and read.outbox_lag(self._engine):
            left = deadline - time.monotonic()
            if left <= 0 or not self._turn_now(left) or self._num_failures:
                break
        return Flushed(read.outbox_lag(self._engine), self._num_refused, self._error)

    def _turn_now(self, timeout_s: float) -> bool:
        """Make one turn here, or have the thread make one; whether it ended in time."""
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
        """Send what waits; return the seconds until the next turn begins, counted from the beginning of this one."""
        try:
            self._send()
        except Exception as error:  # noqa: BLE001 (the flusher outlives whatever MLflow raises; nothing is lost by it)
            self._num_failures += 1
            self._error = redact(f"{type(error).__name__}: {first_line(error)}")
            log.debug("tracking failed %s times", self._num_failures, exc_info=True)
            # Jitter keeps several ledgers from knocking at one server together; it orders nothing that is stored.
            return min(LONGEST_PAUSE_S, 2.0 ** min(self._num_failures - 1, 6)) * (0.5 + random.random() / 2)  # noqa: S311
        self._num_failures, self._error = 0, ""
        return POLL_S

    def _send(self) -> None:
        messages = outbox.pending(self._engine, limit=BACKLOG if self._store is None else 2000)
        if not messages:
            return
        if self._store is None:
            # What waits before our first message may have been half sent by a process that died.
            self._store = MlflowStore(self._uri, self._engine, self._artifacts, doubtful_until=messages[-1].message_id)
        by_subject: dict[str, list[Message]] = {}
        for message in messages:
            by_subject.setdefault(message.subject, []).append(message)
        subjects, held = list(by_subject.values()), list[Held]()
        for start in range(0, len(subjects), CHUNK):
            held += self._send_chunk(self._store, subjects[start:start + CHUNK])
            if self._stop.is_set():
                return
        if len(held) == len(subjects):  # nothing got through: the next turn waits longer
            raise held[0]

    def _send_chunk(self, store: MlflowStore, subjects: Sequence[Sequence[Message]]) -> list[Held]:
        """Send some subjects; return what held up single ones."""
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
