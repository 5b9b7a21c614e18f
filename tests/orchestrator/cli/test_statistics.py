"""`ablate statistics`: the check in its shortest form, and the atlas of a committed study."""

import csv
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from orchestrator.cli.main import main


def test_check_prints_and_writes_its_tables(tmp_path: Path) -> None:
    arguments = ["statistics", "check", "--draws", "50", "--every", "271", "--out", str(tmp_path)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "kinds of study hold" in result.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["coverage.csv", "items.csv", "ladders.csv", "looks.csv"]
    assert len((tmp_path / "coverage.csv").read_text().splitlines()) == 1 + 4


def test_the_atlas_says_which_benchmarks_tell_the_arms_of_a_study_apart(ablate: Callable[..., Result], tmp_path: Path) -> None:
    """The record of the quick start is committed: science data teach the names of things, and nothing else that it asks."""
    assert ablate("import", "quickstart").exit_code == 0
    result = ablate("statistics", "atlas", "quickstart", "--csv", str(tmp_path / "atlas.csv"))
    assert result.exit_code == 0, result.output
    rows = {row["metric"]: row for row in csv.DictReader((tmp_path / "atlas.csv").open())}
    assert rows["science-names"]["tells arms apart"] == "yes"
    assert rows["scene-probe"]["tells arms apart"] == "no"
    assert (rows["science-names"]["arms"], rows["science-names"]["trials"]) == ("3", "9")
    assert float(rows["science-names"]["noise of items"]) > 0, "the record holds the scores of single items"
    assert float(rows["science-names"]["average with"]) > float(rows["science-names"]["average without"])
    noise = math.hypot(float(rows["knowledge"]["noise of seeds"]), float(rows["knowledge"]["noise of items"]))
    assert float(rows["knowledge"]["signal / noise"]) == pytest.approx(float(rows["knowledge"]["signal"]) / noise, rel=0.01)
    table = " ".join(result.stdout.split())
    assert "blurs its average" in table
