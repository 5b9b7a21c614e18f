"""The outbox and MLflow. The only door to MLflow, and the only writer to it.

- MLflow is a sink: nothing that is shown or selected on is read back from it. A dead server delays nothing and loses
  nothing, since a message leaves the outbox only after it arrived.
- One MLflow experiment for each study (by its name), with one mlflow_run a trial; the MLflow experiment `stages` has one
  mlflow_run an attempt. All that waits for one subject goes out together; messages of a subject keep their order and
  their times.
- Creating an mlflow_run is not idempotent, so: known to the ledger? else, if an earlier process or a lost reply may have
  made it, search by the tag `subject`; else create. Everything else may be sent twice without harm.
- MLflow's own retries are nearly off: waiting is ours, with a growing pause, in a thread of its own.
- Importing this takes one to two seconds: only the process that drives imports it.
"""

from __future__ import annotations

import logging
import math
import random
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mlflow import environment_variables as mlflow_environment
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.telemetry import set_telemetry_client
from mlflow.tracking import MlflowClient

from orchestrator.artifacts import Artifacts
from orchestrator.ledger import outbox, read
from orchestrator.ledger.outbox import Message
from orchestrator.ledger.reach import Engine
from orchestrator.settings import Settings
from orchestrator.tracking_content import STAGES, Content, attempt_content, suite_of_tags, trial_content

OFF = "off"
_SQLITE = "sqlite:///"
POLL_S = 0.25
"""Seconds between looks into an empty outbox."""
LONGEST_PAUSE_S = 60.0
CHUNK = 50
"""Subjects after which what was sent is noted; a crash sends at most these again."""
BACKLOG = 1_000_000
_REFUSALS = frozenset({"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE", "RESOURCE_ALREADY_EXISTS"})
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Flushed:
    """What is left when we stop waiting."""

    num_left: int
    """Messages in the outbox; the next driver sends them."""
    num_refused: int
    """Messages that MLflow will never take, for instance because its mlflow_run was deleted by hand."""
    error: str
    """The last failure, or ""."""


class Flusher:
    """Sends the outbox to MLflow from a thread of its own; never raises into the driver."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        """Remember where to send; nothing is opened before `start` or `flush_all`."""
        self._uri, self._engine = settings.mlflow_uri, engine
        self._artifacts = Artifacts(settings.artifacts)
        self._sink: _Sink | None = None
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
            pause_s = self._turn()
            self._turned.set()
            self._wake.wait(pause_s)
            self._wake.clear()

    def _turn(self) -> float:
        """Send what waits; return the seconds until the next turn."""
        try:
            self._send()
        except Exception as error:  # noqa: BLE001 (the flusher outlives whatever MLflow raises; nothing is lost by it)
            self._num_failures += 1
            self._error = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
            log.debug("tracking failed %s times", self._num_failures, exc_info=True)
            # Jitter keeps several ledgers from knocking at one server together; it orders nothing that is stored.
            return min(LONGEST_PAUSE_S, 2.0 ** min(self._num_failures - 1, 6)) * (0.5 + random.random() / 2)  # noqa: S311
        self._num_failures, self._error = 0, ""
        return POLL_S

    def _send(self) -> None:
        messages = outbox.pending(self._engine, limit=BACKLOG if self._sink is None else 2000)
        if not messages:
            return
        if self._sink is None:
            # What waits before our first message may have been half sent by a process that died.
            self._sink = _Sink(self._uri, self._engine, self._artifacts, doubtful_until=messages[-1].message_id)
        by_subject: dict[str, list[Message]] = {}
        for message in messages:
            by_subject.setdefault(message.subject, []).append(message)
        subjects = list(by_subject.values())
        for start in range(0, len(subjects), CHUNK):
            self._send_chunk(self._sink, subjects[start:start + CHUNK])
            if self._stop.is_set():
                return

    def _send_chunk(self, sink: _Sink, subjects: Sequence[Sequence[Message]]) -> None:
        sent: list[int] = []
        try:
            for messages in subjects:
                if self._stop.is_set():
                    return
                self._num_refused += sink.deliver(messages)
                sent += [message.message_id for message in messages]
        finally:
            if sent:
                sink.sync()
                outbox.mark_sent(self._engine, sent)


class _Sink:
    """One MLflow store."""

    def __init__(self, uri: str, engine: Engine, artifacts: Artifacts, *, doubtful_until: int) -> None:
        _quieten()
        self._client = MlflowClient(uri)
        self._engine, self._artifacts, self._doubtful_until = engine, artifacts, doubtful_until
        self._experiments: dict[str, str] = {}
        self._suites: dict[str, tuple[str, ...]] = {}
        self._experiment(STAGES)  # opens the store, and migrates it once
        self._file = uri.removeprefix(_SQLITE) if uri.startswith(_SQLITE) else None
        if self._file:
            self._write_ahead()

    def _write_ahead(self) -> None:
        """Make a SQLite store quick: MLflow commits six times for each run, and each commit would wait for the disk.

        With a write-ahead log and `synchronous=NORMAL` only `sync` waits. The setting belongs to a connection, so it is
        made on the one that MLflow's pool lends to this thread.
        """
        borrowed = self._client._tracking_client.store.engine.raw_connection()
        borrowed.cursor().execute("PRAGMA journal_mode=WAL")
        borrowed.cursor().execute("PRAGMA synchronous=NORMAL")
        borrowed.close()

    def sync(self) -> None:
        """Return when all that was sent is on the disk."""
        if self._file:
            connection = sqlite3.connect(self._file)
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            connection.close()

    def deliver(self, messages: Sequence[Message]) -> int:
        """Send all that waits for one subject; return how many of its messages were refused for good.

        Raises:
            MlflowException: the store cannot be reached, or any other failure that may pass.
        """
        try:
            self._deliver(messages)
        except MlflowException as error:
            if error.error_code not in _REFUSALS:
                self._doubtful_until = max(self._doubtful_until, messages[-1].message_id)  # its reply may be lost
                raise
            log.warning("MLflow refused %s: %s", messages[0].subject, error)
            return len(messages)
        return 0

    def _deliver(self, messages: Sequence[Message]) -> None:
        content = self._content(messages)
        mlflow_run_id = outbox.external_id(self._engine, messages[0].subject) or self._create(messages[0], content)
        for batch in _batches(content):
            self._client.log_batch(mlflow_run_id, **batch)
        if content.status is not None:
            self._client.set_terminated(mlflow_run_id, content.status, content.ended_at_ms)

    def _content(self, messages: Sequence[Message]) -> Content:
        subject = messages[0].subject
        payloads = [(each.kind, each.payload) for each in messages]
        if subject.startswith("attempt:"):
            return attempt_content(payloads, self._artifacts)
        for kind, payload in payloads:
            if kind == "trial_created":
                self._suites[subject] = tuple(payload["config"]["evaluate"]["benchmarks"])
        return trial_content(payloads, self._suites.get(subject) or self._suite(subject))

    def _suite(self, subject: str) -> tuple[str, ...]:
        """Ask MLflow for the suite that an earlier process noted with the trial's creation."""
        known = outbox.external_id(self._engine, subject)
        return suite_of_tags(self._client.get_run(known).data.tags) if known else ()

    def _create(self, first: Message, content: Content) -> str:
        experiment_id = self._experiment(content.experiment)
        tags = {"subject": first.subject, **content.tags}
        found = None
        if first.message_id <= self._doubtful_until:
            found = self._search(experiment_id, first.subject)
        created = found or self._client.create_run(
            experiment_id, start_time=content.started_at_ms, tags=tags, run_name=content.name).info.run_id
        winner = outbox.claim_external_id(self._engine, first.subject, created)
        if winner != created:
            self._client.set_tag(created, "duplicate_of", winner)
        content.tags.clear()  # they went with the creation
        return winner

    def _search(self, experiment_id: str, subject: str) -> str | None:
        quoted = subject.replace("'", "''")
        found = self._client.search_runs([experiment_id], f"tags.subject = '{quoted}'", max_results=1,
                                         order_by=["attributes.start_time ASC"])
        return found[0].info.run_id if found else None

    def _experiment(self, name: str) -> str:
        """Return the id of an MLflow experiment, made or brought back if need be."""
        if name not in self._experiments:
            known = self._client.get_experiment_by_name(name)
            if known is not None and known.lifecycle_stage == "deleted":
                self._client.restore_experiment(known.experiment_id)
            self._experiments[name] = known.experiment_id if known else self._client.create_experiment(name)
        return self._experiments[name]


def _batches(content: Content) -> Iterator[dict[str, Any]]:
    """Cut into requests that MLflow takes: 100 params, 100 tags, 1000 entities in all."""
    params = [Param(name, value) for name, value in content.params.items()]
    metrics = [Metric(*point) for point in content.metrics]
    tags = [RunTag(name, value) for name, value in content.tags.items()]
    for i in range(0, max(len(params), math.ceil(len(metrics) / 8), len(tags)), 100):
        yield {"params": params[i:i + 100], "metrics": metrics[i * 8:(i + 100) * 8], "tags": tags[i:i + 100]}


def _quieten() -> None:
    """Turn off MLflow's telemetry, its long retries, and what it prints on standard output."""
    mlflow_environment.MLFLOW_DISABLE_TELEMETRY.set(True)
    set_telemetry_client()
    mlflow_environment.MLFLOW_HTTP_REQUEST_MAX_RETRIES.set(1)
    mlflow_environment.MLFLOW_HTTP_REQUEST_TIMEOUT.set(5)
    mlflow_environment.MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT.set(True)
    for name in ("mlflow", "alembic"):  # its migration tells of each step
        logging.getLogger(name).setLevel(logging.WARNING)
