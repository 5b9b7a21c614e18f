"""The operator's settings: where state is stored and what the machine offers. Only this module reads the environment.

- Each field is read from the variable `ABLATE_<NAME>`, unless the field names another one; the defaults suit a laptop. An
  empty variable counts as not set.
- No setting can change a result; whatever can change one belongs to the recipe, the scale or the study.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from pydantic import Field, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from orchestrator.errors import OrchestratorError
from orchestrator.redaction import passwords, redacted

_SECRET_NAMES = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL", re.IGNORECASE)
_SECRET_FILES = re.compile(rf"({_SECRET_NAMES.pattern}|LEDGER_URL|MLFLOW_URI).*_(FILE|PATH)$", re.IGNORECASE)
"""Names of variables that name a file, which holds a secret."""
_LARGEST_SECRET = 64 * 1024
_SQLITE = re.compile(r"sqlite(\+pysqlite)?:///")
PREFIX = "ABLATE_"
SERVICE = "ABLATE_SERVICE"
"""The variable by which `ablate down` finds what `ablate up` started."""
_OF_DEPLOYMENT = frozenset({"ABLATE_SECRETS", "ABLATE_BIND", SERVICE})
"""Names that docker-compose.yml or `ablate up` reads."""
OFF = "off"
"""The value of `ABLATE_MLFLOW_URI` that turns MLflow off."""


class Settings(BaseSettings):
    """The operator's settings: a frozen value that the command line or the dashboard loads once and passes on."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True,
                                      use_attribute_docstrings=True)

    home: Path = Path(".ablate")
    """The folder of all state, unless the fields below point elsewhere."""
    ledger: SecretStr = Field(default=SecretStr(""), validation_alias="ABLATE_LEDGER_URL")
    """The SQLAlchemy URL of the ledger (`ABLATE_LEDGER_URL`); if empty, an SQLite file under `home`."""
    ledger_file: Path | None = Field(default=None, validation_alias="ABLATE_LEDGER_URL_FILE")
    """A file that holds only the URL of the ledger, in place of `ABLATE_LEDGER_URL`: for the secrets of a container."""
    mlflow: str = Field(default="", validation_alias="ABLATE_MLFLOW_URI")
    """The MLflow tracking URI (`ABLATE_MLFLOW_URI`); if empty, an SQLite file under `home`; "off" writes nothing."""
    mlflow_file: Path | None = Field(default=None, validation_alias="ABLATE_MLFLOW_URI_FILE")
    """A file that holds only the MLflow tracking URI, in place of `ABLATE_MLFLOW_URI`."""
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
    slots_follow_nodes: bool = False
    """Whether a driver has as many slots as the nodes of `ray_address` hold, as they come and go; `slots` is then only what
    plans count with."""
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
    dashboard_address: str = "127.0.0.1"
    """The address that `ablate dashboard` listens on; one beyond this machine needs `dashboard_user_header`."""
    dashboard_published: str = ""
    """Of a dashboard in a container: the host's address that its port is published on, which is then what counts."""
    dashboard_hosts: list[str] = []
    """Names, beside 127.0.0.1 and localhost, under which browsers reach the dashboard, as JSON, such as
    ["ablate.lab"]."""
    dashboard_user_header: str = ""
    """The header in which a proxy that authenticates names the person, such as X-Auth-Request-Email. The proxy must
    remove it from what clients send."""
    dashboard_operators: list[str] = []
    """Who may submit studies in the dashboard, and pause, resume and cancel any, as that header names them, as JSON."""
    dashboard_submitters: list[str] = []
    """Who may submit studies in the dashboard, and pause, resume and cancel their own, as JSON; everybody else may
    look."""
    dashboard_ledger: SecretStr = Field(default=SecretStr(""), validation_alias="ABLATE_DASHBOARD_LEDGER_URL")
    """The URL of the ledger for the dashboard's buttons (`ABLATE_DASHBOARD_LEDGER_URL`), of a role that may submit; pages
    are read by ABLATE_LEDGER_URL. If empty, buttons use that too."""
    dashboard_ledger_file: Path | None = Field(default=None, validation_alias="ABLATE_DASHBOARD_LEDGER_URL_FILE")
    """A file that holds only that URL, in place of `ABLATE_DASHBOARD_LEDGER_URL`."""
    dashboard_insecure: bool = False
    """Whether the dashboard may listen beyond this machine without authentication: whoever reaches it may cancel
    studies."""
    failpoint: str = ""
    """For tests: `name:k:kill|stop|raise` or `record:PATH`; see failpoints.py."""

    @classmethod
    def load(cls, *, home: str | Path | None = None, ledger: str | None = None) -> Settings:
        """Read the environment; make `home` absolute, so that workers with another working directory agree on it.

        Args:
            home: in place of ABLATE_HOME.
            ledger: in place of ABLATE_LEDGER_URL.

        Raises:
            OrchestratorError: a file that a setting names cannot be read, or both the file and the value are given.
        """
        settings = cls()
        read: dict[str, object] = {"home": (settings.home if home is None else Path(home).expanduser()).absolute()}
        if ledger is not None:
            read["ledger"] = SecretStr(ledger)
        elif settings.ledger_file is not None:
            read["ledger"] = SecretStr(_only_content("ABLATE_LEDGER_URL", settings.ledger_file, settings.ledger.get_secret_value()))
        if settings.dashboard_ledger_file is not None:
            read["dashboard_ledger"] = SecretStr(_only_content("ABLATE_DASHBOARD_LEDGER_URL", settings.dashboard_ledger_file,
                                                               settings.dashboard_ledger.get_secret_value()))
        if settings.mlflow_file is not None:
            read["mlflow"] = _only_content("ABLATE_MLFLOW_URI", settings.mlflow_file, settings.mlflow)
        return settings.model_copy(update=read)

    @property
    def dashboard_url(self) -> str:
        """The URL of the ledger for the dashboard's buttons. It may contain a password."""
        return self.dashboard_ledger.get_secret_value() or self.ledger_url

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A setting as it is at present."""

    name: str
    """Of the environment variable."""
    value: str
    """Without secrets; "" if it is not set and has no default."""
    source: str
    """"environment" or "default"."""
    meaning: str


def all_settings(settings: Settings) -> list[Setting]:
    """Return every setting, in the order of their declaration, then the variables of others that matter."""
    ours = [Setting(name=variable, value=redact(_written(settings, field)), meaning=" ".join((info.description or "").split()),
                    source="environment" if variable in os.environ else "default")
            for variable, (field, info) in _variables().items()]
    others = [Setting(name=name, value=redact(os.environ.get(name, "")), meaning=meaning,
                      source="environment" if name in os.environ else "default") for name, meaning in _OF_OTHERS.items()]
    return ours + others


def known_names() -> frozenset[str]:
    """Return the names of all variables that begin with ABLATE_ and mean something."""
    return frozenset(_variables()) | _OF_DEPLOYMENT


def our_variables() -> list[str]:
    """Return the variables of the environment that begin with ABLATE_, sorted."""
    return sorted(name for name in os.environ if name.startswith(PREFIX))


def _variables() -> dict[str, tuple[str, FieldInfo]]:
    return {str(info.validation_alias or f"{PREFIX}{field.upper()}"): (field, info) for field, info in Settings.model_fields.items()}


def _written(settings: Settings, field: str) -> str:
    """Return the value of a field, or what it stands for if it is not set."""
    effective = {"ledger": settings.ledger_url, "mlflow": settings.mlflow_uri,
                 "artifacts_at": settings.artifact_store or settings.artifacts, "catalogue": settings.catalogue_file}
    value = effective.get(field, getattr(settings, field))
    return "" if value is None else json.dumps(value) if isinstance(value, dict) else str(value)


def _only_content(name: str, path: Path, value: str) -> str:
    """Return what the file of a setting holds.

    Raises:
        OrchestratorError: it cannot be read or is empty, or the setting itself is given too.
    """
    if value:
        raise OrchestratorError(f"{name} and {name}_FILE are both set; allowed: one of them")
    content = _secret_file(path)
    if not content:
        raise OrchestratorError(f"{name}_FILE={path}: cannot be read, or holds nothing\n"
                                "hint: the user of this process must be able to read it (0600 and its own, or a group)")
    return content


_OF_OTHERS = {
    "RAY_AUTH_MODE": "Ray: `token` on every process of a cluster; whoever reaches it without one owns it.",
    "RAY_AUTH_TOKEN": "Ray: the token itself; RAY_AUTH_TOKEN_PATH names a file that holds it.",
    "RAY_AUTH_TOKEN_PATH": "Ray: a file that holds only the token.",
    "RAY_TMPDIR": "Ray: where sessions are kept; a short path, since sockets lie below it.",
    "TMPDIR": "Folder of temporary files.",
    "CUDA_VISIBLE_DEVICES": "The GPUs that processes started here may use.",
    "AWS_ENDPOINT_URL": "The address of an object store that is not Amazon's.",
    "AWS_ACCESS_KEY_ID": "Who reads and writes the object store.",
    "AWS_SECRET_ACCESS_KEY": "The key that goes with AWS_ACCESS_KEY_ID.",
    "MLFLOW_TRACKING_USERNAME": "Who writes to an MLflow server that asks for it.",
    "MLFLOW_TRACKING_PASSWORD": "The password that goes with MLFLOW_TRACKING_USERNAME.",
    "HF_TOKEN": "The token for gated repositories of the Hugging Face hub. HF_TOKEN_FILE, and likewise for the other secrets here, "
                "names a file that holds only it.",
}
"""Variables of other programs that decide how ours work; read by them."""
_SECRETS_OF_OTHERS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "HF_TOKEN", "MLFLOW_TRACKING_USERNAME",
                      "MLFLOW_TRACKING_PASSWORD", "MLFLOW_FLASK_SERVER_SECRET_KEY", "MLFLOW_AUTH_ADMIN_PASSWORD")
"""Secrets that these programs read from the environment alone: `NAME_FILE` names a file for each."""


def temporary_folders() -> list[Path]:
    """Return the folders for temporary files, those that the user configured first; they need not exist."""
    configured = [os.environ[name] for name in ("RAY_TMPDIR", "TMPDIR") if os.environ.get(name)]
    usual = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 (made by mkdtemp below them)
    return [Path(each) for each in dict.fromkeys((*configured, *usual))]


def visible_gpus() -> set[str] | None:
    """Return the numbers or UUIDs of the GPUs that this process may use; None if it may use all of them."""
    names = os.environ.get("CUDA_VISIBLE_DEVICES")
    return None if names is None else {name.strip() for name in names.split(",") if name.strip()}


def take_secret_files() -> None:
    """Set the secrets of other programs that are given as files, such as HF_TOKEN by HF_TOKEN_FILE, in this environment.

    Called at the start of a program, before it starts others or imports what reads them.

    Raises:
        OrchestratorError: a file cannot be read or is empty, or both the variable and its file are given.
    """
    for name in _SECRETS_OF_OTHERS:
        file = os.environ.pop(f"{name}_FILE", "")  # taken once: what is started here has the secret itself
        if file:
            os.environ[name] = _only_content(name, Path(file), os.environ.get(name, ""))


def inherited() -> dict[str, str]:
    """Return the environment that processes which are started here inherit."""
    return dict(os.environ)


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
    """Remove secrets from a text that will be stored or shown; see `redaction`.

    Known are the values of environment variables whose name looks like that of a secret, the passwords of URLs in any
    variable, and what the files hold that variables such as `ABLATE_JUDGE_KEY_FILE` name.
    """
    return redacted(text, _known_secrets())


class RedactingFormatter(logging.Formatter):
    """Formats the lines of a log as usual, and removes secrets from them, tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return redact(super().format(record))


def _known_secrets() -> Iterator[tuple[str, str]]:
    for name, value in os.environ.items():
        if _SECRET_FILES.search(name):
            content = _secret_file(Path(value))
            yield from ((name, secret) for secret in (content, *passwords(content)))
        elif _SECRET_NAMES.search(name):
            yield name, value
        yield from ((name, secret) for secret in passwords(value))


def _secret_file(path: Path) -> str:
    """Return what a small file holds, without the last line break; "" if it cannot be read here."""
    try:
        return path.read_text().strip() if path.is_file() and path.stat().st_size <= _LARGEST_SECRET else ""
    except (OSError, UnicodeDecodeError):
        return ""
