"""The operator's settings: where state lives and what the machine offers. The only reader of the environment.

- Every field is `ABLATE_<NAME>` in the environment; the defaults suit a laptop.
- Nothing here can change a result: what does belongs to recipe, scale or study.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from urllib.parse import quote, unquote

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

_SECRET_NAMES = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL", re.IGNORECASE)
_SHORTEST_SECRET = 6
_USERINFO = re.compile(r"(://[^/\s:@]*):(\S+)@")
"""User and password of a URL, up to the last at-sign of the word."""
_QUERY = re.compile(r"([?&](?:password|passwd|pwd|token|secret|api_?key|access_?key)=)([^&\s]+)", re.IGNORECASE)
_SQLITE = re.compile(r"sqlite(\+pysqlite)?:///")
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
        return self.ledger.get_secret_value() or _sqlite_url(self.home.absolute() / "ledger.db")

    @property
    def mlflow_uri(self) -> str:
        """URI of the MLflow store."""
        return self.mlflow or _sqlite_url(self.home.absolute() / "mlflow.db", is_for_mlflow=True)


def temporary_folders() -> list[Path]:
    """Return where temporary files may go, what the user asked for first; none of them need be there."""
    asked = [os.environ[name] for name in ("RAY_TMPDIR", "TMPDIR") if os.environ.get(name)]
    return [Path(each) for each in dict.fromkeys((*asked, "/tmp", "/var/tmp", "/dev/shm"))]  # noqa: S108 (made by mkdtemp below them)


def visible_gpus() -> set[str] | None:
    """Return the numbers or UUIDs of the GPUs that this process may use; None is all of them."""
    names = os.environ.get("CUDA_VISIBLE_DEVICES")
    return None if names is None else {name.strip() for name in names.split(",") if name.strip()}


def sqlite_file(url: str) -> Path | None:
    """Return the file of a SQLite URL, None of any other."""
    match = _SQLITE.match(url)
    return Path(unquote(url[match.end():].partition("?")[0])) if match else None


def mlflow_repair(file: Path) -> str:
    """Return the command that mends an MLflow store in a SQLite file: the ledger makes it anew."""
    return f"mv {shlex.quote(str(file))} {shlex.quote(str(file) + '.broken')} && ablate mlflow sync"


def _sqlite_url(path: Path, *, is_for_mlflow: bool = False) -> str:
    """Return the URL of a SQLite file, whatever characters its path has.

    MLflow makes the folder of a `sqlite:///` URL without reading its escapes; one that names the driver it leaves alone.
    """
    escaped = quote(str(path), safe="/ ")
    driver = "+pysqlite" if is_for_mlflow and escaped != str(path) else ""
    return f"sqlite{driver}:///{escaped}"


def redact(text: str) -> str:
    """Cut secrets out of a text that will be stored or shown: values of secret-looking variables, and passwords in URLs.

    A password may hold slashes and at-signs; where it does, libraries take the URL apart wrongly and show a part of it, so each
    part of the passwords in the environment goes too.
    """
    for name, value in os.environ.items():
        secrets = [value] if _SECRET_NAMES.search(name) else _passwords(value)
        for secret in sorted(secrets, key=len, reverse=True):
            if len(secret) >= _SHORTEST_SECRET:
                text = text.replace(secret, f"<{name}>")
    return _USERINFO.sub(r"\1:<redacted>@", _QUERY.sub(r"\1<redacted>", text))


def _passwords(value: str) -> list[str]:
    """Return the passwords of the URLs in a value, each whole, as it is when read, and in the parts that a parser may make of it."""
    found = [match[2] for match in _QUERY.finditer(value)] + [match[2] for match in _USERINFO.finditer(_QUERY.sub("", value))]
    return [part for each in found for whole in (each, unquote(each)) for part in (whole, *re.split(r"[/@:?#]", whole))]
