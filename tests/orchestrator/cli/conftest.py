"""The command as a user calls it, with its state in a folder of the test."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from orchestrator.cli.main import main


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of state that does not exist yet."""
    folder = tmp_path / "home"
    monkeypatch.setenv("ABLATE_HOME", str(folder))
    return folder


@pytest.fixture
def ablate(home: Path) -> Callable[..., Result]:
    """Call `ablate` with these words."""
    return lambda *words: CliRunner().invoke(main, list(words))


@pytest.fixture
def ablate_json(ablate: Callable[..., Result]) -> Callable[..., Any]:
    """Call `ablate ... --json` and return the document."""

    def called(*words: str) -> Any:
        result = ablate(*words, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return called
