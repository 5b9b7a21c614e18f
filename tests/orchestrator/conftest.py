"""Studies written in a test, and a start checkpoint that is always there; empty ledgers come from `tests.support.ledgers`."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from model.manifest import publish
from orchestrator.artifacts import store
from orchestrator.ledger.engine import Engine, open_ledger
from orchestrator.plan.plan import Plan, Planner
from orchestrator.settings import Settings
from orchestrator.study.study import Study, load_study
from tests.support.ledgers import engine, fresh_ledger, ledger_url, postgres, postgres_url, sqlite_url  # noqa: F401 (fixtures)
from tests.support.toy import toy_settings

ALPHA = """
name: written
question: How much?
recipe: sft-ablation
vary: {sft.mixture.alpha.science: [0, 0.1, 0.5]}
seeds: 2
select: {maximize: knowledge, baseline: {sft.mixture.alpha.science: 0}}
"""
SEARCH = """
name: searched
question: How much?
recipe: sft-ablation
search:
  trials: 4
  parallel: 2
  parameters: {sft.mixture.alpha.science: {float: [0.0, 1.0]}}
seeds: 2
select: {maximize: knowledge, baseline: {sft.mixture.alpha.science: 0}}
"""
"""A search of one parameter."""


@pytest.fixture(scope="session")
def ray_token() -> str:
    """The token of every local Ray of this process: Ray's core reads it once, whatever the environment says later."""
    return secrets.token_hex(32)


@pytest.fixture(scope="module")
def ray_home(tmp_path_factory: pytest.TempPathFactory, ray_token: str) -> Iterator[Path]:
    """A home of its own for a local Ray in this process: it must not write into the user's."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        patch.setenv("HOME", str(home))
        patch.setenv("RAY_AUTH_TOKEN", ray_token)
        for name in ("RAY_AUTH_MODE", "RAY_ADDRESS"):
            patch.delenv(name, raising=False)
        yield home


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Of a driver in this process, with a ledger in a folder."""
    return toy_settings(tmp_path)


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Engine]:
    """The empty ledger that `settings` names."""
    opened = open_ledger(settings.ledger_url)
    yield opened
    opened.dispose()


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A published directory that stands for every packaged checkpoint."""
    directory = tmp_path / "checkpoint"
    publish(directory, lambda folder: (folder / "weights").write_text("w") and None)
    monkeypatch.setattr(store, "packaged", lambda _: directory)
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
    return lambda *changes, **options: Planner(write(*changes, **options), "tiny").plan()
