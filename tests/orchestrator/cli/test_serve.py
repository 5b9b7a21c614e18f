from pathlib import Path

from orchestrator.cli.serve import flags


def test_settings_become_flags_and_lists_repeat(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[server]\nheadless = true\nallowedHosts = ["a", "b"]\n[theme.light]\nprimaryColor = "#fff"\n')
    assert flags(config) == ["--server.headless=true", "--server.allowedHosts=a", "--server.allowedHosts=b",
                             "--theme.light.primaryColor=#fff"]


def test_no_settings_no_flags(tmp_path: Path) -> None:
    assert flags(tmp_path / "absent.toml") == []
