"""Where `ablate up` keeps what it must remember: HOME/up with ports, secrets, logs and the environment of clients."""

from __future__ import annotations

import json
import secrets
import shlex
import shutil
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from orchestrator.execution.ray.sessions import short_folder

LOOPBACK = "127.0.0.1"


class Place:
    """The folder of a deployment on this host."""

    def __init__(self, home: Path) -> None:
        """Remember the home; nothing is made before it is needed."""
        self.folder = home / "up"

    @property
    def environment_file(self) -> Path:
        """A file for `.` of a shell: the settings of clients."""
        return self.folder / "environment"

    def make(self) -> None:
        """Make the folders; secrets are for this user alone."""
        for name in ("", "health", "secrets"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "secrets").chmod(0o700)

    def health(self, name: str) -> Path:
        """Return the file by which a service tells that it is well."""
        return self.folder / "health" / name

    def data(self, name: str) -> Path:
        """Return where a service keeps what outlives it."""
        return self.folder / name

    def short_folder(self, name: str) -> Path:
        """Return a folder outside the home, for sockets, whose paths may have 107 characters: the same one each time."""
        kept = self.folder / f"{name}.folder"
        with suppress(FileNotFoundError):
            folder = Path(kept.read_text())
            if folder.is_dir():
                return folder
        folder = short_folder()
        kept.write_text(str(folder))
        return folder

    def remove_short_folder(self, name: str) -> None:
        """Remove that folder with all that lies in it."""
        kept = self.folder / f"{name}.folder"
        if kept.exists():
            shutil.rmtree(kept.read_text(), ignore_errors=True)
            kept.unlink()

    def secret(self, name: str, make: Callable[[], str] = lambda: secrets.token_hex(32)) -> str:
        """Return a secret, which is made where it is first asked for."""
        path = self.secret_file(name)
        with suppress(FileNotFoundError):
            return path.read_text()
        self.write_secret(name, make())
        return path.read_text()

    def secret_file(self, name: str) -> Path:
        """Return the file that holds only this secret."""
        return self.folder / "secrets" / name

    def write_secret(self, name: str, value: str) -> Path:
        """Write a secret for this user alone, and return its file."""
        path = self.secret_file(name)
        path.touch(mode=0o600)
        path.write_text(value)
        return path

    def ports(self) -> dict[str, int]:
        """Return the ports that were chosen, by the name of what listens there."""
        file = self.folder / "ports.json"
        return json.loads(file.read_text()) if file.exists() else {}

    def choose_ports(
        self, names: Sequence[str], first: Mapping[str, int], is_ours: Callable[[str], bool]
    ) -> dict[str, int]:
        """Return a port for each name: the one that it had, unless somebody else listens there now.

        Args:
            names: of what will listen.
            first: the port to try for a name that has none yet; any other free one if it is taken.
            is_ours: whether what listens under a name is running, and so has its port.
        """
        known, chosen = self.ports(), dict[str, int]()
        for name in names:
            port = known.get(name, first.get(name, 0))
            is_kept = port != 0 and (
                (name in known and is_ours(name)) or (_is_free(port) and port not in chosen.values())
            )
            chosen[name] = port if is_kept else _free_port()
        (self.folder / "ports.json").write_text(json.dumps({**known, **chosen}))
        return chosen

    def write_environment(self, variables: Mapping[str, str]) -> None:
        """Write what a client's shell takes in: no secrets, only the names of their files."""
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()]
        self.environment_file.write_text("# What `ablate up` serves; take it in with: . FILE\n" + "".join(lines))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
