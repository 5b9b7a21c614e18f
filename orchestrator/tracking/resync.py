"""Rebuild an MLflow store from the ledger, after the store was lost, replaced, or edited.

- What the store still holds keeps its mlflow_run, and what it lacks is created. All messages are sent once more, which
  does no harm where they were sent before.
- No driver may run meanwhile: its flusher remembers ids of the old store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from mlflow.entities import ViewType
from mlflow.tracking import MlflowClient

from orchestrator.errors import LostLease, OrchestratorError
from orchestrator.ledger import outbox, read
from orchestrator.ledger.engine import Engine
from orchestrator.ledger.liveness import is_surely_alive, is_surely_dead
from orchestrator.ledger.outbox import Flushed
from orchestrator.settings import Settings, redact
from orchestrator.tracking.flusher import Flusher
from orchestrator.tracking.query import open_store

PAGE = 1000
TURN_S = 1.0
"""Seconds between two reports of how many messages are left."""


def resync(settings: Settings, engine: Engine, *, on_progress: Callable[[int, int], None]) -> Flushed:
    """Send everything in the ledger to the MLflow store that the settings name.

    Args:
        settings: the operator's settings.
        engine: the ledger.
        on_progress: called with the number of messages sent and the number of all messages.

    Raises:
        LostLease: a driver is running.
        OrchestratorError: MLflow cannot be reached, or tracking is off.
    """
    holder = read.driver(engine)
    if holder and (holder.is_live or is_surely_alive(holder.holder)) and not is_surely_dead(holder.holder):
        raise LostLease("a driver is running and writes to MLflow\nhint: wait until it ends, or stop it, then sync")
    with open_store(settings) as client:
        total = outbox.requeue(engine, _found(client))
    flusher = Flusher(settings, engine)
    flushed = flusher.flush_all(TURN_S)
    while flushed.num_left and not flushed.error:
        on_progress(total - flushed.num_left, total)
        flushed = flusher.flush_all(TURN_S)
    on_progress(total - flushed.num_left, total)
    if flushed.error:
        raise OrchestratorError(
            redact(
                f"MLflow at {settings.mlflow_uri}: {flushed.error}; {flushed.num_left} of {total} messages are unsent\n"
                "hint: they are kept; run the command again when MLflow answers"
            )
        )
    return flushed


def _found(client: MlflowClient) -> dict[str, str]:
    """Return the mlflow_run of each subject and the LoggedModel of each stage. Deleted runs are restored."""
    found: dict[str, str] = {}
    experiments = [
        each.experiment_id
        for each in _pages(lambda token: client.search_experiments(max_results=PAGE, page_token=token))
    ]
    for run in _pages(lambda token: client.search_runs(experiments, "tags.subject != ''", ViewType.ALL, PAGE,
                                                       ["attributes.start_time ASC"], token)):
        if "duplicate_of" not in run.data.tags and run.data.tags["subject"] not in found:
            found[run.data.tags["subject"]] = run.info.run_id
            if run.info.lifecycle_stage == "deleted":
                client.restore_run(run.info.run_id)
    for model in _pages(lambda token: client.search_logged_models(experiments, max_results=100, page_token=token)):
        if "stage_id" in model.tags:
            found.setdefault(f"model:{model.tags['stage_id']}", model.model_id)
    return found


def _pages(ask: Callable[[str | None], Any]) -> Iterator[Any]:
    page = ask(None)
    yield from page
    while page.token:
        page = ask(page.token)
        yield from page
