"""One MLflow store, written so that sending a message twice does no harm.

- Creating an mlflow_run is not idempotent. So: use the one that the ledger knows; else, if an earlier process or a lost
  reply may have created it, search by the tag `subject`; else create it. LoggedModels likewise, by the tag `stage_id`.
- If MLflow refuses one entity of a subject (a param, a tag), only that entity is left out. If it fails for one subject
  although it answers otherwise, only that subject waits.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from mlflow import environment_variables as mlflow_environment
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.telemetry import set_telemetry_client
from mlflow.tracking import MlflowClient

from model.config.benchmark import Benchmark
from model.evaluation.benchmarks.registry import own_of
from orchestrator.analysis.scores import suite_of
from orchestrator.artifacts.store import Artifacts
from orchestrator.failpoints import failpoint
from orchestrator.ledger.engine import Engine
from orchestrator.ledger.outbox import Message
from orchestrator.settings import sqlite_file
from orchestrator.tracking import sqlite_store
from orchestrator.tracking.lineage import Lineage
from orchestrator.tracking.payloads import (
    STAGES,
    RunContent,
    attempt_content,
    own_of_tags,
    suite_of_tags,
    trial_content,
)
from orchestrator.tracking.run_ids import RunIds

MODEL = "m-"
"""The prefix of a LoggedModel's id."""
BEGINNINGS = ("trial_created", "attempt_started")
"""The kinds of a subject's first message, which is sent once."""
_REFUSED_VALUES = frozenset({"INVALID_PARAMETER_VALUE", "BAD_REQUEST"})
"""MLflow's codes for a value that it refuses. The second one also comes from its database: "value too long"."""
_REFUSALS = _REFUSED_VALUES | {"RESOURCE_DOES_NOT_EXIST", "INVALID_STATE", "RESOURCE_ALREADY_EXISTS"}
log = logging.getLogger(__name__)
_Suite = tuple[tuple[str, ...], tuple[Benchmark, ...]]
"""The benchmarks of a trial, and what its catalogue declares of its own among them."""
_NO_SUITE: _Suite = ((), ())


class UnusableMessage(Exception):
    """The messages of a subject cannot be read: another release wrote them, or somebody edited them."""


class Held(Exception):
    """MLflow fails for one subject although it answers otherwise: this subject waits, and the others are sent."""


class MlflowStore:
    """The MLflow store at a tracking URI.

    Args:
        uri: MLflow's tracking URI.
        engine: the ledger, which records the mlflow_runs that were created.
        artifacts: where attempts left their curves.
        doubtful_until: MLflow may have part of the messages up to this id already, because an earlier process died
            while it sent them.
    """

    def __init__(self, uri: str, engine: Engine, artifacts: Artifacts, *, doubtful_until: int) -> None:
        self._client = client_of(uri)
        self._artifacts, self._doubtful_until = artifacts, doubtful_until
        self._experiments: dict[str, str] = {}
        self._suites: dict[str, _Suite] = {}
        self._known = RunIds(engine)
        self._lineage = Lineage(self._client, engine, self._known, self._experiment(STAGES))  # opens the store, and migrates it once
        self._file = sqlite_file(uri)
        if self._file:
            sqlite_store.tune_sqlite(self._client)

    def settle(self, message_ids: Sequence[int]) -> None:
        """Record in the ledger what was sent, after it is on disk here."""
        if self._file:
            sqlite_store.sync(self._file)
        before, self._doubtful_until = self._doubtful_until, max(self._doubtful_until, *message_ids)  # a failure sends all again
        failpoint("flush.before_mark")
        lost = self._known.settle(message_ids)
        self._doubtful_until = before
        for ours, theirs in lost:
            if not ours.startswith(MODEL):  # another flusher created a run too; a second model does no harm
                self._client.set_tag(ours, "duplicate_of", theirs)

    def deliver(self, messages: Sequence[Message]) -> int:
        """Send all messages of one subject. Return how many of them MLflow refused for good.

        Raises:
            Held: MLflow fails for this subject alone, for a reason that may pass.
            MlflowException: MLflow cannot be reached.
        """
        try:
            self._deliver(messages)
        except MlflowException as error:
            if error.error_code not in _REFUSALS:
                self._doubtful_until = max(self._doubtful_until, messages[-1].message_id)  # only the reply may be lost
                if self._answers():
                    raise Held(f"{messages[0].subject}: {first_line(error)}") from error
                raise
            log.warning("MLflow refused %s: %s", messages[0].subject, error)
            return len(messages)
        except UnusableMessage as error:  # waiting would block all later messages for ever
            log.warning("the messages of %s cannot be read and are not sent to MLflow: %s", messages[0].subject, error)
            return len(messages)
        return 0

    def _deliver(self, messages: Sequence[Message]) -> None:
        first, content = messages[0], self._content(messages)
        is_doubtful = first.message_id <= self._doubtful_until
        is_new = first.kind in BEGINNINGS and not is_doubtful
        mlflow_run_id = None if is_new else self._known.get(first.subject)
        if mlflow_run_id is None:
            mlflow_run_id = self._create(first, content, is_doubtful=is_doubtful)
        if is_new:  # end it while it is empty: MLflow reads back all its data when it ends
            self._end(mlflow_run_id, content)
        for batch in _batches(content):
            self._log(mlflow_run_id, batch)
        self._lineage.link(mlflow_run_id, content, is_doubtful=is_doubtful)
        if not is_new:
            self._end(mlflow_run_id, content)

    def _log(self, mlflow_run_id: str, batch: Mapping[str, Sequence[Any]]) -> None:
        """Send a batch. If MLflow refuses an entity in it, send all others."""
        try:
            self._client.log_batch(mlflow_run_id, **batch)
        except MlflowException as error:
            if error.error_code not in _REFUSED_VALUES:
                raise
            for kind, entities in batch.items():
                for entity in entities:
                    self._log_one(mlflow_run_id, kind, entity)

    def _log_one(self, mlflow_run_id: str, kind: str, entity: Any) -> None:
        try:
            self._client.log_batch(mlflow_run_id, **{kind: [entity]})
        except MlflowException as error:
            if error.error_code not in _REFUSED_VALUES:
                raise
            log.warning(
                "MLflow refused for run %s the %s %s: %s",
                mlflow_run_id,
                kind.removesuffix("s"),
                entity.key,
                first_line(error),
            )

    def _answers(self) -> bool:
        """Return whether MLflow can be reached at all."""
        try:
            self._client.search_experiments(max_results=1)
        except MlflowException:
            return False
        return True

    def _end(self, mlflow_run_id: str, content: RunContent) -> None:
        if content.status is not None:
            self._client.set_terminated(mlflow_run_id, content.status, content.ended_at_ms)

    def _content(self, messages: Sequence[Message]) -> RunContent:
        subject = messages[0].subject
        payloads = [(each.kind, each.payload) for each in messages]
        is_attempt, is_created = subject.startswith("attempt:"), payloads[0][0] in BEGINNINGS
        suite = _NO_SUITE if is_attempt or is_created else self._suites.get(subject) or self._suite(subject)
        try:
            if is_attempt:
                return attempt_content(payloads, self._artifacts)
            if is_created:
                evaluate = payloads[0][1]["config"]["evaluate"]
                suite = self._suites[subject] = (suite_of(evaluate), own_of(evaluate))
            return trial_content(payloads, *suite)
        except (ValueError, KeyError, TypeError) as error:
            raise UnusableMessage(f"{type(error).__name__}: {error}") from error

    def _suite(self, subject: str) -> _Suite:
        """Return the suite that an earlier process stored in the trial's tags."""
        known = self._known.get(subject)
        if not known:
            return _NO_SUITE
        tags = self._client.get_run(known).data.tags
        return suite_of_tags(tags), own_of_tags(tags)

    def _create(self, first: Message, content: RunContent, *, is_doubtful: bool) -> str:
        experiment_id = self._experiment(content.experiment)
        tags = {"subject": first.subject, **content.tags}
        found = self._search(experiment_id, first.subject) if is_doubtful else None
        if found:
            content.tags.clear()  # they went with the creation
        created = found or self._made(experiment_id, first.subject, tags, content)
        failpoint("flush.after_create")
        return self._known.note(first.subject, created)

    def _made(self, experiment_id: str, subject: str, tags: Mapping[str, str], content: RunContent) -> str:
        """Create an mlflow_run with its tags.

        If MLflow refuses a tag, create it with its subject alone; the tags follow singly.
        """
        create = partial(
            self._client.create_run, experiment_id, start_time=content.started_at_ms, run_name=content.name
        )
        try:
            created: str = create(tags=dict(tags)).info.run_id
        except MlflowException as error:
            if error.error_code not in _REFUSED_VALUES:
                raise
            return str(create(tags={"subject": subject}).info.run_id)
        content.tags.clear()  # they went with the creation
        return created

    def _search(self, experiment_id: str, subject: str) -> str | None:
        quoted = subject.replace("'", "''")
        found = self._client.search_runs([experiment_id], f"tags.subject = '{quoted}'", max_results=1,
                                         order_by=["attributes.start_time ASC"])
        return found[0].info.run_id if found else None

    def _experiment(self, name: str) -> str:
        """Return the id of an MLflow experiment; create or restore it if needed."""
        if name not in self._experiments:
            known = self._client.get_experiment_by_name(name)
            if known is not None and known.lifecycle_stage == "deleted":
                self._client.restore_experiment(known.experiment_id)
            self._experiments[name] = known.experiment_id if known else self._client.create_experiment(name)
        return self._experiments[name]


def client_of(uri: str) -> MlflowClient:
    """Return a client that sends no telemetry, retries almost never and prints nothing on standard output."""
    mlflow_environment.MLFLOW_DISABLE_TELEMETRY.set(True)
    set_telemetry_client()
    mlflow_environment.MLFLOW_HTTP_REQUEST_MAX_RETRIES.set(1)
    mlflow_environment.MLFLOW_HTTP_REQUEST_TIMEOUT.set(5)
    mlflow_environment.MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT.set(True)
    for name in ("mlflow", "alembic"):  # their migrations log every step
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(uri)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message; for a database error its own reason without the SQL statement."""
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _batches(content: RunContent) -> Iterator[dict[str, Any]]:
    """Split the content into requests within MLflow's limits: 100 params, 100 tags, 1000 entities in all."""
    params = [Param(name, value) for name, value in content.params.items()]
    metrics = [Metric(*point) for point in content.metrics]
    tags = [RunTag(name, value) for name, value in content.tags.items()]
    for i in range(0, max(len(params), math.ceil(len(metrics) / 8), len(tags)), 100):
        yield {"params": params[i:i + 100], "metrics": metrics[i * 8:(i + 100) * 8], "tags": tags[i:i + 100]}
