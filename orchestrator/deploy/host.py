"""Bring all services of a home up, take them down, and say how they are: one after the other, under a lock."""

from __future__ import annotations

import fcntl
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from orchestrator.deploy.place import Place
from orchestrator.deploy.processes import Processes
from orchestrator.deploy.services import Cluster, Service, owner_of_port, port_names
from orchestrator.errors import OrchestratorError
from orchestrator.settings import Settings, redact

WELL_S = 600.0
"""Seconds that a service has until it is well: on a very busy machine Ray and MLflow import for minutes. One that ends is
noticed at once."""
_LOOK_S = 0.5
_FIRST_PORT = {"dashboard": 8501}
_ORDER = "order"
"""The file with the names of the services, in the order of their start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How a service is."""

    name: str
    is_running: bool
    problem: str
    """What is wrong, "" if it is well."""
    where: str
    was_started: bool = False
    """Whether this call started it."""


class Host:
    """The services of a home on this machine."""

    def __init__(self, settings: Settings, *, num_workers: int | None = None) -> None:
        """Read what is remembered of the home; nothing is made or started yet.

        Args:
            settings: of the operator; each worker node offers `settings.slots` slots.
            num_workers: Ray nodes that do the work; None for as many as there were before, at first one.
        """
        self._settings, self._place = settings, Place(settings.home)
        self._processes = Processes(self._place.folder)
        self._num_workers = num_workers or max(1, sum(name.startswith("ray-worker-") for name in self._known()))

    @property
    def environment_file(self) -> str:
        """The file that a client's shell takes in."""
        return str(self._place.environment_file)

    def up(self, told: Callable[[State], None] = lambda _: None) -> list[State]:
        """Start what is not running, wait until all is well, and leave what is running alone.

        Args:
            told: called for each service, as soon as it is well.

        Raises:
            OrchestratorError: a service does not become well: why, and where its log is. The others stay up.
        """
        self._place.make()
        with self._alone():
            self._place.secret("ray_token")
            ports = self._place.choose_ports(
                port_names(self._num_workers),
                _FIRST_PORT,
                lambda name: self._processes.is_running(owner_of_port(name)),
            )
            services = {each.name: each for each in self._services(ports)}
            for name in [each for each in reversed(self._known()) if each not in services]:
                self._processes.end(name)  # a worker more than is wanted now
            (self._place.folder / _ORDER).write_text("\n".join(services))
            return _Start(self._processes, services, told).all()

    def down(self) -> list[str]:
        """End what `up` started, the last first, and return the names of what was running.

        The data, the secrets and the logs stay.
        """
        if not self._place.folder.is_dir():
            return []
        with self._alone():
            ended = [name for name in reversed(self._known()) if self._processes.end(name)]
            self._place.remove_short_folder("ray")
            return ended

    def status(self) -> list[State]:
        """Return how each service is; nothing is started. Empty if `up` was never called."""
        found = []
        for service in self._services(self._place.ports()) if self._known() else ():
            is_running = self._processes.is_running(service.name)
            problem = service.problem() if is_running else "not running; `ablate up` starts it"
            found.append(State(name=service.name, is_running=is_running, problem=problem, where=service.where))
        return found

    def _services(self, ports: Mapping[str, int]) -> list[Service]:
        cluster = Cluster(self._settings, self._place, ports, self._num_workers)
        self._place.write_environment(cluster.clients())
        return cluster.services()

    def _known(self) -> list[str]:
        file = self._place.folder / _ORDER
        return file.read_text().split() if file.exists() else []

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep another `ablate up` or `down` of this home out."""
        with (self._place.folder / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise OrchestratorError(f"another `ablate up` or `down` is at work in {self._place.folder}") from error
            yield


class _Start:
    """One way from whatever runs to everything well: one service after the other, since each takes a core to start."""

    def __init__(self, processes: Processes, services: Mapping[str, Service], told: Callable[[State], None]) -> None:
        self._processes, self._services, self._told = processes, services, told
        self._num_starts: Counter[str] = Counter()
        self._well: dict[str, State] = {}

    def all(self) -> list[State]:
        for service in self._services.values():
            if not self._processes.is_running(service.name) or self._num_starts[service.ends_with]:
                self._begin(service)
            self._await(service)
        return list(self._well.values())

    def _begin(self, service: Service) -> None:
        for joined in self._services.values():
            if joined.ends_with == service.name:  # Ray would take a head for alive whose other nodes still are
                self._processes.end(joined.name)
        self._processes.end(service.name)  # what a killed one left behind, or one whose head is gone
        service.before()
        self._processes.start(
            service.name,
            service.command,
            environment=service.environment,
            user=service.user,
            first=service.signal,
            grace_s=service.grace_s,
        )
        self._num_starts[service.name] += 1

    def _await(self, service: Service) -> None:
        """Wait until a service is well, starting it again as often as it may."""
        deadline, problem = time.monotonic() + WELL_S, service.problem()
        while problem:
            if not self._processes.is_running(service.name):
                if self._num_starts[service.name] >= service.num_starts:
                    raise self._broken(service, "ended")
                self._begin(service)
            if time.monotonic() > deadline:
                raise self._broken(service, f"is not well after {WELL_S:.0f} s: {problem}")
            time.sleep(_LOOK_S)
            problem = service.problem()
        if self._num_starts[service.name]:
            service.after()
        self._well[service.name] = State(
            name=service.name,
            is_running=True,
            problem="",
            where=service.where,
            was_started=bool(self._num_starts[service.name]),
        )
        self._told(self._well[service.name])

    def _broken(self, service: Service, what: str) -> OrchestratorError:
        return OrchestratorError(
            f"{service.name} {what}; the end of its log, {self._processes.log(service.name)}:\n"
            f"{redact(self._processes.log_end(service.name))}\nhint: `ablate up` again goes on from here"
        )
