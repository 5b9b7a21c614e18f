"""The operator's settings: where state is stored and what the machine offers. Only this module reads the environment.

- Each field is read from the variable `ABLATE_<NAME>`, unless the field names another one; the defaults suit a laptop.
- No setting can change a result; whatever can change one belongs to the recipe, the scale or the study.
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
"""The user and the password of a URL, up to the last at-sign of the word."""
_QUERY = re.compile(r"([?&](?:password|passwd|pwd|token|secret|api_?key|access_?key)=)([^&\s]+)", re.IGNORECASE)
_SQLITE = re.compile(r"sqlite(\+pysqlite)?:///")
OFF = "off"
"""The value of `ABLATE_MLFLOW_URI` that turns MLflow off."""


class Settings(BaseSettings):
    """The operator's settings: a frozen value that the command line or the dashboard loads once and passes on."""

    model_config = SettingsConfigDict(env_prefix="ABLATE_", extra="ignore", frozen=True)

    home: Path = Path(".ablate")
    """The folder of all state, unless the fields below point elsewhere."""
    ledger: SecretStr = Field(default=SecretStr(""), validation_alias="ABLATE_LEDGER_URL")
    """The SQLAlchemy URL of the ledger (`ABLATE_LEDGER_URL`); if empty, an SQLite file under `home`."""
    mlflow: str = Field(default="", validation_alias="ABLATE_MLFLOW_URI")
    """The MLflow tracking URI (`ABLATE_MLFLOW_URI`); if empty, an SQLite file under `home`; "off" writes nothing."""
    catalogue: Path | None = None
    """The file that says where the data sets are (see studies/README.md); by default `home/catalogue.yaml`, if
    present."""
    library: Path | None = None
    """A folder of the operator's own studies, recipes, scales and published results, laid out as `studies/` is."""
    artifacts_at: str = Field(default="", validation_alias="ABLATE_ARTIFACTS")
    """Where checkpoints and results are stored (`ABLATE_ARTIFACTS`): a folder that all machines can read and write, or
    the URI of an object store such as s3://bucket/ablate, for which `home/artifacts` is then a cache; by default
    `home/artifacts`."""
    slots: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1)
    """The number of attempts that may run at the same time; by default the number of CPU cores."""
    gpus_per_slot: float = Field(default=0.0, ge=0)
    """The number of GPUs of each slot, possibly a fraction; a slot keeps its device as long as it lives."""
    slot_labels: dict[str, str] = {}
    """The labels that a node must have to host a slot, as JSON, such as {"pool": "b"} or
    {"ray.io/accelerator-type": "H100"}."""
    ray_address: str = ""
    """The address of a running Ray cluster; if empty, a local cluster is started."""
    ray_jobs: str = ""
    """The address of a running cluster's dashboard, such as http://head:8265; `ablate submit` starts a driver there."""
    ray_autoscales: bool = False
    """Whether the cluster adds nodes on demand; if so, no study is refused because the present nodes are too small."""
    lease_ttl_s: float = Field(default=15.0, gt=0)
    """The seconds without a renewal of the lease after which another driver may take over."""
    attempt_ttl_s: float = Field(default=60.0, gt=0)
    """The seconds by which each report extends the lease of an attempt in the ledger; nothing is decided by it."""
    no_progress_s: float = Field(default=1800.0, gt=0)
    """The seconds without a report after which an attempt counts as stalled."""
    stop_grace_s: float = Field(default=25.0, ge=0)
    """The seconds that an attempt has to save its checkpoint after it was asked to stop."""
    ledger_patience_s: float = Field(default=300.0, ge=0)
    """The seconds that a driver waits for a ledger that does not answer; then it asks the workers to save, and
    exits."""
    min_free_gib: float = Field(default=1.0, ge=0)
    """The free space of the artifact folder, in GiB, below which no stage is started."""
    retry_base_s: float = Field(default=1.0, ge=0)
    """The seconds before the first retry of a stage; the wait doubles with each further retry, up to a minute."""
    judge_url: str = ""
    """The base URL of an OpenAI-compatible API that serves `evaluate.scoring.judge`; if empty, a stage that needs the
    judge fails with a message that says so."""
    judge_key_file: Path | None = None
    """A file that holds only the API key of the judge; by default no key is sent."""
    failpoint: str = ""
    """For tests: `name:k:kill|stop|raise` or `record:PATH`; see failpoints.py."""

    @classmethod
    def load(cls) -> Settings:
        """Read the environment; make `home` absolute, so that workers with another working directory agree on it."""
        settings = cls()
        return settings.model_copy(update={"home": settings.home.absolute()})

    @property
    def artifacts(self) -> Path:
        """The folder of checkpoints and results on this machine."""
        at = self.artifacts_at
        return (self.home / "artifacts" if not at or self.artifact_store else Path(at)).absolute()

    @property
    def artifact_store(self) -> str:
        """The URI of the object store; "" if all machines share a folder."""
        return self.artifacts_at if "://" in self.artifacts_at else ""

    @property
    def catalogue_file(self) -> Path | None:
        """The file of the data catalogue; None if there is none."""
        usual = self.home / "catalogue.yaml"
        return self.catalogue or (usual if usual.exists() else None)

    @property
    def ledger_url(self) -> str:
        """The URL of the ledger. It may contain a password, so print it only through `redact`."""
        return self.ledger.get_secret_value() or _sqlite_url(self.home.absolute() / "ledger.db")

    @property
    def mlflow_uri(self) -> str:
        """The MLflow tracking URI, or "off"."""
        return self.mlflow or _sqlite_url(self.home.absolute() / "mlflow.db", is_for_mlflow=True)


def temporary_folders() -> list[Path]:
    """Return the folders for temporary files, those that the user configured first; they need not exist."""
    configured = [os.environ[name] for name in ("RAY_TMPDIR", "TMPDIR") if os.environ.get(name)]
    usual = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 (made by mkdtemp below them)
    return [Path(each) for each in dict.fromkeys((*configured, *usual))]


def visible_gpus() -> set[str] | None:
    """Return the numbers or UUIDs of the GPUs that this process may use; None if it may use all of them."""
    names = os.environ.get("CUDA_VISIBLE_DEVICES")
    return None if names is None else {name.strip() for name in names.split(",") if name.strip()}


def sqlite_file(url: str) -> Path | None:
    """Return the file of an SQLite URL; None for other URLs."""
    match = _SQLITE.match(url)
    return Path(unquote(url[match.end():].partition("?")[0])) if match else None


def mlflow_repair(file: Path) -> str:
    """Return the shell command that replaces a broken MLflow store in an SQLite file by a new one from the ledger."""
    return f"mv {shlex.quote(str(file))} {shlex.quote(str(file) + '.broken')} && ablate mlflow sync"


def _sqlite_url(path: Path, *, is_for_mlflow: bool = False) -> str:
    """Return the URL of an SQLite file, whose path may contain any characters.

    For a `sqlite:///` URL MLflow creates the folder without decoding the escapes; it does not if the URL names a
    driver.
    """
    escaped = quote(str(path), safe="/ ")
    driver = "+pysqlite" if is_for_mlflow and escaped != str(path) else ""
    return f"sqlite{driver}:///{escaped}"


def redact(text: str) -> str:
    """Remove secrets from a text that will be stored or shown.

    Removed are the values of environment variables whose name looks like that of a secret, and passwords in URLs. A
    password may contain slashes and at-signs; libraries then parse the URL wrongly and show a part of it, so each part
    of the passwords in the environment is removed too.
    """
    for name, value in os.environ.items():
        secrets = [value] if _SECRET_NAMES.search(name) else _passwords(value)
        for secret in sorted(secrets, key=len, reverse=True):
            if len(secret) >= _SHORTEST_SECRET:
                text = text.replace(secret, f"<{name}>")
    return _USERINFO.sub(r"\1:<redacted>@", _QUERY.sub(r"\1<redacted>", text))


def _passwords(value: str) -> list[str]:
    """Return the passwords of the URLs in a value: encoded, decoded, and the parts that a parser may split off."""
    encoded = [match[2] for match in _QUERY.finditer(value)]
    encoded += [match[2] for match in _USERINFO.finditer(_QUERY.sub("", value))]
    passwords = [password for each in encoded for password in (each, unquote(each))]
    return [part for password in passwords for part in (password, *re.split(r"[/@:?#]", password))]
