"""Start a driver on a running Ray cluster through Ray Jobs.

- Idempotent for each study: the submission id is made from the study's id, so a second submission finds the driver of
  the first.
- The job only drives; the study is in the ledger already. If there are several such jobs, the ledger's lease decides
  which one drives, and the others stand by. If the head node is lost with its jobs, a new submission continues from the
  ledger.
- The ledger, not Ray's job state, says whether a study is finished: if a job ended before its study, another is
  started.
- The command `ablate` must be on the PATH of the process that started the head node.
- No secret is sent: the ledger's URL and tokens come from the environment of the cluster.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from ray.exceptions import RayError
from ray.job_submission import JobDetails, JobSubmissionClient

from orchestrator.errors import OrchestratorError
from orchestrator.settings import Settings

PREFIX = "ablate-"


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverJob:
    """A Ray job that drives a study."""

    ray_job_id: str
    is_new: bool
    """Whether this call started it; False if it was running already."""
    address: str
    """The address of the cluster's dashboard."""


def launch(settings: Settings, study_id: str) -> DriverJob:
    """Make sure that a driver job for this study runs on the cluster at `settings.ray_jobs`.

    Args:
        settings: the operator's settings; those that are no secrets are sent with the job.
        study_id: the study's id in the ledger; the job ends when the study does.

    Raises:
        OrchestratorError: the cluster does not answer, or refuses the token.
    """
    name = f"{PREFIX}{study_id}"
    try:
        client = JobSubmissionClient(settings.ray_jobs)
        known = _known(client, name)
        alive = [each for each in known if not each.status.is_terminal()]
        if alive:
            return DriverJob(ray_job_id=str(alive[0].submission_id), is_new=False, address=settings.ray_jobs)
        ray_job_id = f"{name}-{len(known)}" if known else name
        client.submit_job(entrypoint=f"ablate drive --until {study_id}", submission_id=ray_job_id,
                          runtime_env={"env_vars": environment(settings)}, entrypoint_num_cpus=0,
                          metadata={"study_id": study_id})
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:
        raise OrchestratorError(f"Ray Jobs at {settings.ray_jobs}: {error}\n"
                                "hint: the study is in the ledger; ABLATE_RAY_JOBS names the dashboard of a running "
                                "cluster (http://HEAD:8265), RAY_AUTH_MODE=token and its token must be in the "
                                "environment") from error
    return DriverJob(ray_job_id=ray_job_id, is_new=True, address=settings.ray_jobs)


def _known(client: JobSubmissionClient, name: str) -> list[JobDetails]:
    """Return all jobs that were ever submitted for a study, ended ones included."""
    jobs = [each for each in client.list_jobs() if each.submission_id]
    return [each for each in jobs if each.submission_id == name or each.submission_id.startswith(f"{name}-")]


def environment(settings: Settings) -> dict[str, str]:
    """Return the settings to send to a driver on the cluster, as environment variables."""
    sent = {name: getattr(settings, name) for name in settings.model_fields_set if name in _TRAVELS}
    texts = {_TRAVELS[name]: json.dumps(value) if isinstance(value, dict) else str(value)
             for name, value in sent.items()}
    return {**texts, "ABLATE_RAY_ADDRESS": "auto"}


_TRAVELS = {"home": "ABLATE_HOME", "mlflow": "ABLATE_MLFLOW_URI", "artifacts_at": "ABLATE_ARTIFACTS",
            "slots": "ABLATE_SLOTS", "gpus_per_slot": "ABLATE_GPUS_PER_SLOT", "slot_labels": "ABLATE_SLOT_LABELS",
            "ray_autoscales": "ABLATE_RAY_AUTOSCALES"}
"""Settings field -> environment variable, for the settings sent with a job. The cluster's operator can read them, so an
MLflow URI should contain a password only if that operator may know it."""
