"""Lineage in MLflow: the data and checkpoints that an attempt read, and the checkpoint that it made, as a LoggedModel.

- The checkpoint of a stage is one LoggedModel, identified by the tag `stage_id`. The attempt that trained it creates
  it; for an imported checkpoint, the first attempt that starts from it does.
- MLflow's pages then show pre-training -> continual -> sft -> evaluation as a chain of outputs and inputs.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelInput, LoggedModelOutput
from mlflow.tracking import MlflowClient

from orchestrator.ledger import read
from orchestrator.ledger.engine import Engine
from orchestrator.tracking.payloads import LONGEST_NAME, Data, RunContent
from orchestrator.tracking.run_ids import RunIds

_DIGEST = 36
"""Characters of a digest that MLflow stores."""
_FORBIDDEN_IN_NAMES = str.maketrans(dict.fromkeys('/:.%"\'', "_"))


class Lineage:
    """Links mlflow_runs to data and LoggedModels. Repeating a link does no harm.

    `experiment_id` is the MLflow experiment that holds the models.
    """

    def __init__(self, client: MlflowClient, engine: Engine, known: RunIds, experiment_id: str) -> None:
        self._client, self._engine, self._known, self._experiment_id = client, engine, known, experiment_id

    def link(self, mlflow_run_id: str, content: RunContent, *, is_doubtful: bool) -> None:
        """Record what this attempt read and what it made.

        Args:
            mlflow_run_id: the attempt's mlflow_run.
            content: its `data`, `parents` and `made` are linked; those of a trial are empty.
            is_doubtful: whether an earlier process may have recorded part of it.
        """
        if content.data or content.parents:
            models = [self._model(stage_id, is_doubtful=is_doubtful) for stage_id in content.parents]
            self._client.log_inputs(
                mlflow_run_id,
                datasets=[_dataset_input(each) for each in content.data],
                models=[LoggedModelInput(each) for each in self._new_inputs(mlflow_run_id, models, is_doubtful)],
            )
        if content.made:
            model_id = self._model(content.made, mlflow_run_id, content.name, is_doubtful=is_doubtful)
            # MLflow accepts the same input twice, but not the same output, so look whether it is there.
            if not is_doubtful or model_id not in {
                    each.model_id for each in self._client.get_run(mlflow_run_id).outputs.model_outputs}:
                self._client.log_outputs(mlflow_run_id, [LoggedModelOutput(model_id, content.last_step)])

    def _new_inputs(self, mlflow_run_id: str, models: Sequence[str], is_doubtful: bool) -> Sequence[str]:
        if not is_doubtful:
            return models
        known = {each.model_id for each in self._client.get_run(mlflow_run_id).inputs.model_inputs}
        return [each for each in models if each not in known]

    def _model(self, stage_id: str, mlflow_run_id: str | None = None, label: str = "", *, is_doubtful: bool) -> str:
        """Return the LoggedModel of a stage's checkpoint, and create it if there is none.

        `mlflow_run_id` is the run that trained the checkpoint, None if the caller only starts from it.
        """
        subject = f"model:{stage_id}"
        known = self._known.get(subject)
        if known:
            return known
        if is_doubtful:
            found = self._client.search_logged_models(
                [self._experiment_id], f"tags.stage_id = '{stage_id}'", max_results=1
            )
            if found:
                return self._known.note(subject, found[0].model_id)
        label = label or read.stage_label(self._engine, stage_id) or f"checkpoint {stage_id[:12]}"
        made = self._client.create_logged_model(
            self._experiment_id, name=label[:LONGEST_NAME].translate(_FORBIDDEN_IN_NAMES), source_run_id=mlflow_run_id,
            tags={"stage_id": stage_id, "label": label[:LONGEST_NAME]}, model_type="checkpoint")
        self._client.finalize_logged_model(made.model_id, "READY")
        return self._known.note(subject, made.model_id)


def _dataset_input(data: Data) -> DatasetInput:
    dataset = Dataset(
        name=data.name, digest=data.fingerprint[:_DIGEST], source_type=data.source, source=data.description
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", data.context)])
