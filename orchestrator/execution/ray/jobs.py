"""Put a driver on a standing Ray cluster through Ray Jobs.

- Idempotent by study: the submission id is made from the study's id, so a second submission finds the first one's driver.
- The job only drives: the study is in the ledger already. Several such jobs are one driver and its stand-bys, since the
  ledger's lease decides; when a head is lost with its jobs, submitting again goes on from the ledger.
- Ray's state of the job is a hint, the ledger the truth: a job that ended before its study is put there again.
- The command `ablate` must be on the PATH with which the head was started.
- No secret travels: the ledger's URL and tokens are those of the cluster's own environment.
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
    """A driver on the cluster."""

    ray_job_id: str
    is_new: bool
    """False: it was there already."""
    address: str


def launch(settings: Settings, study_id: str) -> DriverJob:
    """Make sure that a driver job for this study is on the cluster of `settings.ray_jobs`.

    Args:
        settings: of the operator; those that are no secrets go with the job.
        study_id: in the ledger; the job ends with the study.

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
                                "hint: the study is in the ledger; ABLATE_RAY_JOBS names the dashboard of a standing cluster "
                                "(http://HEAD:8265), RAY_AUTH_MODE=token and its token must be in the environment") from error
    return DriverJob(ray_job_id=ray_job_id, is_new=True, address=settings.ray_jobs)


def _known(client: JobSubmissionClient, name: str) -> list[JobDetails]:
    """Return the jobs that were ever put there for a study."""
    jobs = [each for each in client.list_jobs() if each.submission_id]
    return [each for each in jobs if each.submission_id == name or each.submission_id.startswith(f"{name}-")]


def environment(settings: Settings) -> dict[str, str]:
    """Return the settings that a driver on the cluster needs from here, as environment variables."""
    given = {name: getattr(settings, name) for name in settings.model_fields_set if name in _TRAVELS}
    texts = {_TRAVELS[name]: json.dumps(value) if isinstance(value, dict) else str(value) for name, value in given.items()}
    return {**texts, "ABLATE_RAY_ADDRESS": "auto"}


_TRAVELS = {"home": "ABLATE_HOME", "mlflow": "ABLATE_MLFLOW_URI", "artifacts_at": "ABLATE_ARTIFACTS", "slots": "ABLATE_SLOTS",
            "gpus_per_slot": "ABLATE_GPUS_PER_SLOT", "slot_labels": "ABLATE_SLOT_LABELS", "ray_autoscales": "ABLATE_RAY_AUTOSCALES"}
"""Field -> variable. An MLflow URI may hold a password only if the cluster's operator may read it."""
