"""The committed records of results are whole, small, and of studies that the library has."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.cli.main import main
from orchestrator.results.record import load
from orchestrator.study import library

FOLDERS = [folder for folder in library.result_folders() if folder.is_relative_to(library.ROOT)]
MOST_BYTES = 20_000_000
"""Of all records together."""


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_committed_record_is_whole_and_in_its_place(folder: Path) -> None:
    record = load(folder)
    assert library.results_folder(record.study["scale"], record.study["name"]) == folder
    assert record.study["name"] in library.names("study")
    assert record.num_results
    assert {score["stage_id"] for score in record.scores} <= {stage["stage_id"] for stage in record.stages}


def test_no_path_of_a_machine_is_in_a_record() -> None:
    paths = [stage["spec"]["path"] for folder in FOLDERS for stage in load(folder).stages if stage["kind"] == "import"]
    assert all(path.startswith(("packaged:", "operator:")) for path in paths)


def test_all_records_together_stay_small() -> None:
    assert sum(path.stat().st_size for folder in FOLDERS for path in folder.iterdir()) <= MOST_BYTES


def test_a_statement_beyond_a_scale_is_undecided_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code data lift the workbench's knowledge category by its markup benchmark; the paper's category has none."""
    monkeypatch.setenv("ABLATE_HOME", str(tmp_path))
    for command in (["import", "data-categories"], ["results", "data-categories", "--json"]):
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 0, result.output
    claims = {each["id"]: each for each in json.loads(result.stdout)["claims"]}
    assert claims["cat.code_data"]["outcome"] == "undecided"
    assert "beyond what this study can test" in claims["cat.code_data"]["sentence"]
    assert claims["cat.math_data"]["outcome"] == "supported"
