"""A whole cluster of this host in a folder, brought up and taken down by the command, as an operator does."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


class Deployment:
    """`ablate up` in a folder, and what its people do."""

    def __init__(self, home: Path) -> None:
        self.home, self.up_folder = home, home / "up"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ABLATE_", "RAY_", "MLFLOW_"))}
        # A lease must outlast a busy machine's pauses and not hold the test up after a kill.
        self.environment = {**kept, "ABLATE_HOME": str(home), "ABLATE_SLOTS": "1", "ABLATE_MIN_FREE_GIB": "0", "OMP_NUM_THREADS": "1",
                            "ABLATE_RETRY_BASE_S": "0.1"}

    def ablate(self, *words: str, code: int = 0, **variables: str) -> str:
        """Call the command in a process of its own; return what it printed."""
        done = subprocess.run([sys.executable, "-P", "-m", "orchestrator.cli.main", *words], env={**self.environment, **variables},
                              cwd=self.home, capture_output=True, text=True, timeout=600)
        assert done.returncode == code, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def json(self, *words: str, **variables: str) -> dict:
        return json.loads(self.ablate(*words, "--json", **variables))

    def url_file(self, name: str) -> dict[str, str]:
        """Return the variable that makes somebody this role."""
        return {"ABLATE_LEDGER_URL_FILE": str(self.up_folder / "secrets" / f"{name}_url"), "ABLATE_MLFLOW_URI": "off"}

    def up(self) -> set[str]:
        """Bring it up; return the names of what had to be started."""
        return {each["name"] for each in self.json("up")["services"] if each["was_started"]}

    def pid(self, name: str) -> int:
        return int(json.loads((self.up_folder / f"{name}.json").read_text())["pid"])

    def family(self, name: str) -> list[psutil.Process]:
        leader = psutil.Process(self.pid(name))
        return [leader, *leader.children(recursive=True)]


@pytest.fixture
def deployment() -> Iterator[Deployment]:
    """A home that a database server's own user can reach, with nothing running; whatever runs at the end is taken down."""
    home = Path(tempfile.mkdtemp(prefix="ablate-up-"))
    home.chmod(0o755)
    made = Deployment(home)
    yield made
    made.ablate("down")
    shutil.rmtree(home)
