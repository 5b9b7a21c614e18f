"""The services of a cluster on one host, in the order in which they start: parts and settings of docker-compose.yml."""

from __future__ import annotations

import importlib.util
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from urllib.parse import quote

from orchestrator.deploy import postgres
from orchestrator.deploy.health import answers, is_fresh, serves_ledger
from orchestrator.deploy.place import LOOPBACK, Place
from orchestrator.settings import Settings

PYTHON = (sys.executable, "-P", "-m")
"""-P: nothing is imported from the folder where `ablate up` was called."""
OBJECT_STORE_BYTES = 200_000_000
"""Of each Ray node. What studies exchange there is a few kilobytes; results go through the artifact store."""
NODE_PORTS = (
    "dashboard-agent-listen-port",
    "dashboard-agent-grpc-port",
    "runtime-env-agent-port",
    "metrics-export-port",
)
"""Options of `ray start`: what else listens on each node."""
_MLFLOW = {
    "MLFLOW_SERVER_X_FRAME_OPTIONS": "DENY",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_ENABLE_AI_GATEWAY": "false",
    "MLFLOW_ENABLE_REMOTE_ASSISTANT": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
_NOTHING: Callable[[], None] = lambda: None  # noqa: E731


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A process that stays."""

    name: str
    command: tuple[str, ...]
    where: str
    """Where it is reached."""
    problem: Callable[[], str]
    """Asks whether it is well; returns what is wrong, "" if nothing is."""
    environment: Mapping[str, str] = field(default_factory=dict)
    before: Callable[[], None] = _NOTHING
    """What is done before each start."""
    after: Callable[[], None] = _NOTHING
    """What is done when it is well for the first time after a start."""
    ends_with: str = ""
    """The service without which it cannot go on: where that one is started again, so is this one."""
    signal: signal.Signals = signal.SIGTERM
    grace_s: float = 30.0
    """Seconds that it has to end before it is killed."""
    user: str | None = None
    num_starts: int = 1
    """How often it is started before it counts as broken."""


class Cluster:
    """What all services of a home have in common: ports, files of secrets, and their environment."""

    def __init__(self, settings: Settings, place: Place, ports: Mapping[str, int], num_workers: int) -> None:
        self._settings, self._place, self._ports, self._num_workers = settings, place, ports, num_workers
        self._ray = {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(place.secret_file("ray_token")),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_TOKEN": "",
            "RAY_ADDRESS": "",
            "RAY_raylet_start_wait_time_s": "60",
        }
        self._tracking = {"ABLATE_MLFLOW_URI": "", "ABLATE_MLFLOW_URI_FILE": str(place.secret_file("mlflow_uri"))}

    def services(self) -> list[Service]:
        """Return all services; each needs only those before it."""
        workers = [self._worker(number) for number in range(1, self._num_workers + 1)]
        return [self._postgres(), self._head(), *workers, self._mlflow(), self._driver(), self._dashboard()]

    def clients(self) -> dict[str, str]:
        """Return the settings of a person's shell. No Ray among them: whoever holds its token runs code on every node."""
        return {
            **self._ours("person_url"),
            **self._tracking,
            "ABLATE_SLOTS": str(self._settings.slots * self._num_workers),
        }

    def _postgres(self) -> Service:
        port, place = self._ports["postgres"], self._place
        server = postgres.owner_url(place, port, "postgres")  # which is there before the ledger is
        return Service(
            name="postgres",
            command=tuple(postgres.command(place, port)),
            where=f"{LOOPBACK}:{port}",
            problem=partial(serves_ledger, server),
            before=partial(postgres.initialise, place),
            after=partial(postgres.prepare, place, port),
            user=postgres.account(),
            num_starts=20,  # while processes of a killed server linger it refuses
            signal=signal.SIGINT,
        )  # connections are cut, what was committed is kept; SIGTERM would wait for the clients

    def _mlflow(self) -> Service:
        files, address = self._place.data("mlflow"), f"{LOOPBACK}:{self._ports['mlflow']}"
        files.mkdir(exist_ok=True)
        is_guarded = importlib.util.find_spec("flask_wtf") is not None  # of the extra `server`, by mlflow[auth]
        login = f"ablate:{self._place.secret('mlflow_password')}@" if is_guarded else ""
        self._place.write_secret("mlflow_uri", f"http://{login}{address}")
        options = (
            "--host",
            LOOPBACK,
            "--port",
            str(self._ports["mlflow"]),
            "--workers",
            "1",
            "--serve-artifacts",
            "--backend-store-uri",
            f"sqlite:///{files}/mlflow.db",
            "--artifacts-destination",
            str(files / "artifacts"),
        )
        return Service(
            name="mlflow",
            command=(*PYTHON, "mlflow", "server", *options, *(("--app-name", "basic-auth") if is_guarded else ())),
            where=f"http://{address}",
            problem=partial(answers, f"http://{address}/health"),
            grace_s=10,
            environment={
                **_MLFLOW,
                "MLFLOW_SERVER_ALLOWED_HOSTS": address,
                **(self._guard(files) if is_guarded else {}),
            },
        )

    def _guard(self, files: Path) -> dict[str, str]:
        """Return the settings by which MLflow lets in one user, `ablate`, and nobody else."""
        config = self._place.write_secret(
            "mlflow_auth",
            (
                "[mlflow]\ndefault_permission = NO_PERMISSIONS\nadmin_username = ablate\n"
                f"admin_password = {self._place.secret('mlflow_password')}\ndatabase_uri = sqlite:///{quote(str(files))}/users.db\n"
            ),
        )
        return {
            "MLFLOW_AUTH_CONFIG_PATH": str(config),
            "MLFLOW_FLASK_SERVER_SECRET_KEY": self._place.secret("mlflow_key"),
        }

    def _head(self) -> Service:
        port = self._ports["ray-head"]
        folder = self._place.short_folder("ray")
        return self._node(
            "ray-head",
            f"{LOOPBACK}:{port}",
            f"--port={port}",
            "--num-cpus=0",
            "--num-gpus=0",
            "--include-dashboard=false",
            f"--temp-dir={folder}",
        )

    def _worker(self, number: int) -> Service:
        made = self._node(
            f"ray-worker-{number}",
            f"joins {self._address}",
            f"--address={self._address}",
            f"--num-cpus={self._settings.slots}",
        )
        return replace(made, ends_with="ray-head")

    def _node(self, name: str, where: str, *options: str) -> Service:
        health = self._place.health(name)
        # Ports that a node chooses itself it hands over by files, for which it waits a few seconds only.
        ports = (f"--{option}={self._ports[f'{name}:{option}']}" for option in NODE_PORTS)
        common = (
            f"--health={health}",
            "--loopback",
            f"--object-store-memory={OBJECT_STORE_BYTES}",
            "--min-worker-port=0",
            "--max-worker-port=0",
            *ports,
        )
        return Service(
            name=name,
            command=(*PYTHON, "orchestrator.execution.ray.node", *common, *options),
            where=where,
            problem=partial(is_fresh, health),
            before=partial(health.unlink, missing_ok=True),
            environment=self._ray,
            num_starts=8,
        )  # Ray gives a part of a node 15 s to start, which a busy machine may not manage at once

    def _driver(self) -> Service:
        health = self._place.health("driver")
        environment = {"ABLATE_RAY_ADDRESS": self._address, "ABLATE_RAY_JOBS": "", "ABLATE_SLOTS_FOLLOW_NODES": "true"}
        return Service(
            name="driver",
            command=(*PYTHON, "orchestrator.cli.main", "drive", "--health", str(health)),
            where="serves all studies",
            problem=partial(is_fresh, health),
            before=partial(health.unlink, missing_ok=True),
            ends_with="ray-head",
            grace_s=self._settings.stop_grace_s + 30,
            environment={**self._ray, **self._tracking, **self._ours("driver_url"), **environment},
        )

    def _dashboard(self) -> Service:
        address = f"http://{LOOPBACK}:{self._ports['dashboard']}"
        environment = {
            "ABLATE_DASHBOARD_ADDRESS": LOOPBACK,
            "ABLATE_DASHBOARD_LEDGER_URL": "",
            "ABLATE_DASHBOARD_LEDGER_URL_FILE": str(self._place.secret_file("dashboard_url")),
        }
        return Service(
            name="dashboard",
            command=(*PYTHON, "orchestrator.cli.main", "dashboard", "--port", str(self._ports["dashboard"])),
            where=address,
            problem=partial(answers, f"{address}/_stcore/health"),
            grace_s=10,
            environment={**self._tracking, **self._ours("reader_url"), **environment},
        )

    @property
    def _address(self) -> str:
        return f"{LOOPBACK}:{self._ports['ray-head']}"

    def _ours(self, url_file: str) -> dict[str, str]:
        return {
            "ABLATE_HOME": str(self._settings.home),
            "ABLATE_LEDGER_URL": "",
            "ABLATE_LEDGER_URL_FILE": str(self._place.secret_file(url_file)),
        }


def port_names(num_workers: int) -> list[str]:
    """Return the names of the ports that the services need."""
    nodes = ["ray-head", *(f"ray-worker-{number}" for number in range(1, num_workers + 1))]
    return [
        "postgres",
        "mlflow",
        "ray-head",
        "dashboard",
        *(f"{name}:{option}" for name in nodes for option in NODE_PORTS),
    ]


def owner_of_port(name: str) -> str:
    """Return the service that has a port."""
    return name.partition(":")[0]
