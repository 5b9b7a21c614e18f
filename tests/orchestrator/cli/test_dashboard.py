import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.cli.dashboard import flags
from orchestrator.cli.main import main


def test_settings_become_flags_and_lists_repeat(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[server]\nheadless = true\nallowedHosts = ["a", "b"]\n[theme.light]\nprimaryColor = "#fff"\n')
    assert flags(config) == ["--server.headless=true", "--server.allowedHosts=a", "--server.allowedHosts=b",
                             "--theme.light.primaryColor=#fff"]


def test_no_settings_no_flags(tmp_path: Path) -> None:
    assert flags(tmp_path / "absent.toml") == []


def test_server_takes_the_commands_place(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, command: called.append(command))
    assert CliRunner().invoke(main, ["dashboard", "--port", "8600"]).exit_code == 0
    assert {"--server.port=8600", "--server.address=127.0.0.1"} <= set(called[0])
