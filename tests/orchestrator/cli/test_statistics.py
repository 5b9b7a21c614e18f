"""`ablate statistics check` in its shortest form."""

from pathlib import Path

from click.testing import CliRunner

from orchestrator.cli.main import main


def test_check_prints_and_writes_its_tables(tmp_path: Path) -> None:
    arguments = ["statistics", "check", "--draws", "50", "--every", "271", "--out", str(tmp_path)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "kinds of study hold" in result.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["coverage.csv", "items.csv", "ladders.csv", "looks.csv"]
    assert len((tmp_path / "coverage.csv").read_text().splitlines()) == 1 + 4
