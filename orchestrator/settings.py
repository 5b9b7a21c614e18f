"""The operator's settings: where state lives and what the machine offers. The only reader of the environment.

- Every field is `ABLATE_<NAME>` in the environment; the defaults suit a laptop.
- Nothing here can change a result: what does belongs to recipe, scale or study.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

_SECRET_NAMES = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL", re.IGNORECASE)
_SHORTEST_SECRET = 6
OFF = "off"
"""The MLflow URI of those who want no MLflow."""


class Settings(BaseSettings):
    """One frozen value, loaded once by the command line or the dashboard and handed down."""

    model_config = SettingsConfigDict(env_prefix="ABLATE_", extra="ignore", frozen=True)

    home: Path = Path(".ablate")
    """Folder of all state, unless the fields below point elsewhere."""
    ledger: SecretStr = Field(default=SecretStr(""), validation_alias="ABLATE_LEDGER_URL")
    """SQLAlchemy URL of the ledger; empty is SQLite under `home`."""
    mlflow: str = Field(default="", validation_alias="ABLATE_MLFLOW_URI")
    """MLflow tracking URI; empty is SQLite under `home`; "off" writes nothing."""
    catalogue: Path | None = None
    """File that says where the data sets lie (studies/README.md); none is `home/catalogue.yaml`, if that exists."""
    artifacts_at: str = Field(default="", validation_alias="ABLATE_ARTIFACTS")
    """Checkpoints and results: a folder that all machines see, or the URI of an object store such as s3://bucket/ablate,
    of which `home/artifacts` is then a cache; empty is `home/artifacts`."""
    slots: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1)
    """Attempts that may run at once."""
    gpus_per_slot: float = Field(default=0.0, ge=0)
    """GPUs of each slot; a slot keeps its device for life."""
    slot_labels: dict[str, str] = {}
    """Labels that a node must have to hold a slot, as JSON: {"ray.io/accelerator-type": "H100"} or {"pool": "b"}."""
    ray_address: str = ""
    """Address of a standing Ray cluster; empty starts a local one."""
    ray_jobs: str = ""
    """Address of a standing cluster's dashboard, such as http://head:8265: `ablate submit` puts a driver there."""
    ray_autoscales: bool = False
    """Whether the cluster makes nodes when they are asked for: then no study is refused because no node that is up is large enough."""
    lease_ttl_s: float = Field(default=15.0, gt=0)
    """Seconds after which a silent driver may be replaced."""
    attempt_ttl_s: float = Field(default=60.0, gt=0)
    """Seconds after which an attempt that nobody extends may be reaped."""
    no_progress_s: float = Field(default=1800.0, gt=0)
    """Seconds without a step after which an attempt counts as stalled."""
    stop_grace_s: float = Field(default=25.0, ge=0)
    """Seconds an attempt has to save its checkpoint when it is asked to stop."""
    ledger_patience_s: float = Field(default=300.0, ge=0)
    """Seconds that a driver waits for a ledger that does not answer, before workers are asked to save and it leaves."""
    min_free_gib: float = Field(default=1.0, ge=0)
    """Free space of the artifact store, in GiB, below which no stage is started."""
    retry_base_s: float = Field(default=1.0, ge=0)
    """Wait before the first retry; doubles with each further one, up to a minute."""
    judge_url: str = ""
    """Base of an OpenAI-compatible API where `evaluate.scoring.judge` is served; empty: a stage that needs it fails, and says so."""
    judge_key_file: Path | None = None
    """File that holds the judge's key alone; none sends no key."""
    failpoint: str = ""
    """Test aid, `name:k:kill|stop|raise` or `record:PATH`; see failpoints.py."""

    @classmethod
    def load(cls) -> Settings:
        """Read the environment; `home` becomes absolute, so that workers in other folders agree."""
        settings = cls()
        return settings.model_copy(update={"home": settings.home.absolute()})

    @property
    def artifacts(self) -> Path:
        """Root of checkpoints and results on this machine."""
        at = self.artifacts_at
        return (self.home / "artifacts" if not at or self.artifact_store else Path(at)).absolute()

    @property
    def artifact_store(self) -> str:
        """URI of the object store, "" where all machines share a folder."""
        return self.artifacts_at if "://" in self.artifacts_at else ""

    @property
    def catalogue_file(self) -> Path | None:
        """The catalogue of data sets, None if there is none."""
        usual = self.home / "catalogue.yaml"
        return self.catalogue or (usual if usual.exists() else None)

    @property
    def ledger_url(self) -> str:
        """URL of the ledger; it may hold a password, so print it only through `redact`."""
        return self.ledger.get_secret_value() or f"sqlite:///{self.home.absolute()}/ledger.db"

    @property
    def mlflow_uri(self) -> str:
        """URI of the MLflow store."""
        return self.mlflow or f"sqlite:///{self.home.absolute()}/mlflow.db"


def visible_gpus() -> set[str] | None:
    """Return the numbers or UUIDs of the GPUs that this process may use; None is all of them."""
    names = os.environ.get("CUDA_VISIBLE_DEVICES")
    return None if names is None else {name.strip() for name in names.split(",") if name.strip()}


def redact(text: str) -> str:
    """Cut secrets out of a text that will be stored: values of secret-looking variables, and passwords in URLs."""
    for name, value in os.environ.items():
        if _SECRET_NAMES.search(name) and len(value) >= _SHORTEST_SECRET:
            text = text.replace(value, f"<{name}>")
    return re.sub(r"(://[^/\s:@]*):[^@\s/]+@", r"\1:<redacted>@", text)
