"""What went into an attempt and what came out of it, as MLflow draws it: data, and checkpoints as LoggedModels.

- The checkpoint of a stage is one LoggedModel, found again by the tag `stage_id`. It is made by the attempt that
  trained it, or, for an imported checkpoint, by the first attempt that starts from it.
- pre-training -> continual -> sft -> evaluation is then a chain of outputs and inputs in MLflow's own pages.
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
"""Characters of a digest that MLflow keeps."""
_FORBIDDEN_IN_NAMES = str.maketrans(dict.fromkeys('/:.%"\'', "_"))


class Lineage:
    """Links mlflow_runs to data and LoggedModels; saying a link twice is fine."""

    def __init__(self, client: MlflowClient, engine: Engine, known: RunIds, experiment_id: str) -> None:
        """Remember the MLflow experiment in which the models are kept."""
        self._client, self._engine, self._known, self._experiment_id = client, engine, known, experiment_id

    def link(self, mlflow_run_id: str, content: RunContent, *, is_doubtful: bool) -> None:
        """Say what this attempt read and what it made.

        Args:
            mlflow_run_id: of the attempt.
            content: with `data`, `parents` and `made`; a trial's has none of them.
            is_doubtful: some of it may have been said before.
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
            # Unlike inputs of data, a second output of the same name is an error of MLflow's, so it is looked for
            # first.
            if not is_doubtful or model_id not in {
                    each.model_id for each in self._client.get_run(mlflow_run_id).outputs.model_outputs}:
                self._client.log_outputs(mlflow_run_id, [LoggedModelOutput(model_id, content.last_step)])

    def _new_inputs(self, mlflow_run_id: str, models: Sequence[str], is_doubtful: bool) -> Sequence[str]:
        if not is_doubtful:
            return models
        known = {each.model_id for each in self._client.get_run(mlflow_run_id).inputs.model_inputs}
        return [each for each in models if each not in known]

    def _model(self, stage_id: str, mlflow_run_id: str | None = None, label: str = "", *, is_doubtful: bool) -> str:
        """Return the LoggedModel of a stage's checkpoint, made if need be: by the run that trained it, if that is what says so."""
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
