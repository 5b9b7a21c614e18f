"""Start a driver on a running Ray cluster through Ray Jobs.

- Idempotent for each study: the submission id is made from the study's id, so a second submission finds the driver of
  the first.
- The job only drives; the study is in the ledger already. If there are several such jobs, the ledger's lease decides
  which one drives, and the others stand by. If the head node is lost with its jobs, a new submission continues from the
  ledger.
- The ledger, not Ray's job state, says whether a study is finished: if a job ended before its study, another is
  started.
- The driver runs in the environment of the submitter, if the head node has it at the same place, as it does on one
  machine, on a shared disk and in one image; else the command `ablate` on the head's PATH is taken.
- No secret is sent: the ledger's URL and tokens come from the environment of the cluster.
"""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import dataclass

from ray.exceptions import RayError
from ray.job_submission import JobDetails, JobSubmissionClient

from orchestrator.errors import OrchestratorError
from orchestrator.settings import Settings, redact

PREFIX = "ablate-"
_TAIL = 20
"""Lines of a job's log that are shown."""
_MISSING = shlex.quote("ablate is not installed here: neither where it was submitted from, nor on the PATH of the head node")
_UNREACHED = (ConnectionError, RuntimeError, ValueError, RayError)


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverJob:
    """A Ray job that drives a study."""

    ray_job_id: str
    is_new: bool
    """Whether this call started it; False if it was running already."""
    address: str
    """The address of the cluster's dashboard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFate:
    """What has become of a driver's job."""

    is_running: bool
    is_over: bool
    log: str
    """The end of what it printed, once it is over."""


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
        client.submit_job(entrypoint=entrypoint(study_id), submission_id=ray_job_id,
                          runtime_env={"env_vars": environment(settings)}, entrypoint_num_cpus=0,
                          metadata={"study_id": study_id})
    except _UNREACHED as error:
        raise _unreached(settings, error) from error
    return DriverJob(ray_job_id=ray_job_id, is_new=True, address=settings.ray_jobs)


def entrypoint(study_id: str) -> str:
    """Return the shell command of the driver of a study, for the head node."""
    python, words = shlex.quote(sys.executable), f"drive --until {shlex.quote(study_id)}"
    return (f"if [ -x {python} ]; then exec {python} -P -m orchestrator.cli.main {words}; fi; "
            f"command -v ablate >/dev/null || {{ echo {_MISSING} >&2; exit 127; }}; exec ablate {words}")


def fate(settings: Settings, ray_job_id: str) -> JobFate:
    """Return what has become of a driver's job.

    Raises:
        OrchestratorError: the cluster does not answer.
    """
    try:
        client = JobSubmissionClient(settings.ray_jobs)
        status = client.get_job_status(ray_job_id)
        is_over = status.is_terminal()
        log = client.get_job_logs(ray_job_id) if is_over else ""
    except _UNREACHED as error:
        raise _unreached(settings, error) from error
    return JobFate(is_running=str(status) == "RUNNING", is_over=is_over, log=redact("\n".join(log.splitlines()[-_TAIL:])))


def _unreached(settings: Settings, error: Exception) -> OrchestratorError:
    return OrchestratorError(f"Ray Jobs at {settings.ray_jobs}: {error}\n"
                             "hint: the study is in the ledger; ABLATE_RAY_JOBS names the dashboard of a running cluster "
                             "(http://HEAD:8265), RAY_AUTH_MODE=token and its token must be in the environment")


def _known(client: JobSubmissionClient, name: str) -> list[JobDetails]:
    """Return all jobs that were ever submitted for a study, ended ones included."""
    jobs = [each for each in client.list_jobs() if each.submission_id]
    return [each for each in jobs if each.submission_id == name or each.submission_id.startswith(f"{name}-")]


def environment(settings: Settings) -> dict[str, str]:
    """Return the settings to send to a driver on the cluster, as environment variables."""
    kept = {"mlflow"} if settings.mlflow_file else set()  # it was put into a file because it is a secret
    sent = {name: getattr(settings, name) for name in settings.model_fields_set - kept if name in _TRAVELS}
    texts = {_TRAVELS[name]: json.dumps(value) if isinstance(value, dict) else str(value)
             for name, value in sent.items()}
    return {**texts, "ABLATE_RAY_ADDRESS": "auto"}


_TRAVELS = {"home": "ABLATE_HOME", "mlflow": "ABLATE_MLFLOW_URI", "artifacts_at": "ABLATE_ARTIFACTS",
            "slots": "ABLATE_SLOTS", "gpus_per_slot": "ABLATE_GPUS_PER_SLOT", "slot_labels": "ABLATE_SLOT_LABELS",
            "ray_autoscales": "ABLATE_RAY_AUTOSCALES"}
"""Settings field -> environment variable, for the settings sent with a job. The cluster's operator can read them, so an
MLflow URI should contain a password only if that operator may know it."""
