"""Search past trials and attempts in MLflow's filter language.

This is the only module that reads results from MLflow. It finds past work; it never selects on a score.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from orchestrator.errors import OrchestratorError, StudyError
from orchestrator.settings import OFF, Settings, mlflow_repair, redact, sqlite_file
from orchestrator.tracking.mlflow_store import client_of, first_line
from orchestrator.tracking.payloads import STAGES
from orchestrator.tracking.sqlite_store import SQLAlchemyError

EXAMPLE = "metrics.knowledge > 20 and tags.arm = 'science=0.5'"
_NAMED = re.compile(r"\b(metrics|params|tags)\.(?:`([^`]+)`|\"([^\"]+)\"|([\w./-]+))")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One mlflow_run: a trial, or an attempt of a stage."""

    mlflow_run_id: str
    experiment: str
    name: str
    status: str
    """RUNNING, FINISHED, FAILED or KILLED."""
    started_at: float
    """Seconds since the epoch."""
    seconds: float | None
    """From start to end; None while it is in progress."""
    tags: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float]

    def value(self, column: str) -> str | float | None:
        """Return the value of a column, named as in the filter language, e.g. `metrics.mmbase`."""
        kind, _, name = column.partition(".")
        values: dict[str, dict[str, str] | dict[str, float]] = {
            "metrics": self.metrics,
            "params": self.params,
            "tags": self.tags,
        }
        return values[kind].get(name)


def search(
    settings: Settings, text: str, *, study: str | None, stages: bool, order_by: Sequence[str], limit: int
) -> list[Found]:
    """Return the matching mlflow_runs, newest first unless `order_by` says otherwise.

    Args:
        settings: the operator's settings; they name MLflow's store.
        text: a filter in MLflow's language; "" matches all.
        study: return only this study's trials. None means all studies.
        stages: return attempts of stages instead of trials.
        order_by: columns as MLflow takes them, e.g. `metrics.mmbase DESC`.
        limit: the most rows, 1 to 50,000.

    Raises:
        StudyError: MLflow does not understand the filter.
        OrchestratorError: tracking is off, or MLflow does not answer.
    """
    file = sqlite_file(settings.mlflow_uri)
    if file is not None and not file.exists():  # a query must not create one
        return []
    with open_store(settings) as client:
        names = {each.experiment_id: each.name for each in client.search_experiments()}
        wanted = [each for each, name in names.items() if _is_wanted(name, study=study, stages=stages)]
        if not wanted:
            return []
        runs = client.search_runs(
            wanted, text, max_results=limit, order_by=list(order_by) or ["attributes.start_time DESC"]
        )
    return [_found(run, names[run.info.experiment_id]) for run in runs]


def columns_of(*texts: str) -> list[str]:
    """Return the metrics, params and tags that occur in these filters, each once: the columns to show."""
    named = (
        f"{kind}.{quoted or double or plain}" for text in texts for kind, quoted, double, plain in _NAMED.findall(text)
    )
    return list(dict.fromkeys(named))


@contextmanager
def open_store(settings: Settings) -> Iterator[MlflowClient]:
    """Open MLflow's store. Its errors are raised as `OrchestratorError`."""
    uri = settings.mlflow_uri
    if uri == OFF:
        raise OrchestratorError("tracking is off\nhint: unset ABLATE_MLFLOW_URI, or set it to an MLflow server's URI")
    Path(settings.home).mkdir(parents=True, exist_ok=True)
    try:
        yield client_of(uri)
    except MlflowException as error:
        if error.error_code == "INVALID_PARAMETER_VALUE":
            raise StudyError("query", 0, str(error), f"for example: {EXAMPLE}") from error
        raise _broken(uri, error) from error
    except SQLAlchemyError as error:
        raise _broken(uri, error) from error


def _broken(uri: str, error: Exception) -> OrchestratorError:
    """Return an error that names the store, the reason in one line, and the repair.

    The ledger has all that MLflow held.
    """
    file = sqlite_file(uri)
    hint = "start the server, or set ABLATE_MLFLOW_URI to another; `ablate mlflow sync` then sends what is missing"
    if file is not None:
        hint = f"{mlflow_repair(file)}   (it is rebuilt from the ledger)"
    return OrchestratorError(redact(f"MLflow at {uri} does not answer: {first_line(error)}\nhint: {hint}"))


def _is_wanted(experiment: str, *, study: str | None, stages: bool) -> bool:
    if stages:
        return experiment == STAGES
    return experiment not in (STAGES, "Default") and study in (None, experiment, experiment.removeprefix("study "))


def _found(run: Run, experiment: str) -> Found:
    info = run.info
    return Found(mlflow_run_id=info.run_id, experiment=experiment, name=info.run_name, status=info.status,
                 started_at=info.start_time / 1000, seconds=(info.end_time - info.start_time) / 1000 if info.end_time else None,
                 tags={name: value for name, value in run.data.tags.items() if not name.startswith("mlflow.")},
                 params=dict(run.data.params), metrics=dict(run.data.metrics))
