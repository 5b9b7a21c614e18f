"""`ablate data check` opens what is configured and names what is broken; `list` shows it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.support import corpora

CATALOGUE = """
kind: catalogue
name: lab
datasets:
  general:
    LLaVA v1.5 GQA: {layout: llava, files: [general.jsonl], images: images}
  text_only:
    sums: {own: true, layout: text, files: [sums.json]}
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a catalogue and its data."""
    corpora.llava(tmp_path, "general", 6)
    corpora.instructions(tmp_path, 4)
    (tmp_path / "catalogue.yaml").write_text(CATALOGUE)
    monkeypatch.setenv("ABLATE_CATALOGUE", str(tmp_path / "catalogue.yaml"))
    return tmp_path


def test_a_fresh_clone_has_the_workbench(ablate_json: Callable[..., Any]) -> None:
    found = ablate_json("data", "check", "--samples", "1")
    assert (found["is_ok"], found["catalogue"], len(found["datasets"])) == (True, None, 15)


def test_whole_data_sets_are_counted(lab: Path, ablate_json: Callable[..., Any]) -> None:
    sets = {row["name"]: row for row in ablate_json("data", "check", "--samples", "5")["datasets"]}
    assert {name: (sets[name]["size"], sets[name]["num_opened"], sets[name]["num_images"]) for name in ("LLaVA v1.5 GQA", "sums")} == {
        "LLaVA v1.5 GQA": (6, 5, 5), "sums": (4, 4, 0)}


def test_broken_samples_are_named_by_file_and_index(lab: Path, ablate: Callable[..., Result]) -> None:
    lines = (lab / "general.jsonl").read_text().splitlines()
    (lab / "general.jsonl").write_text("\n".join([*lines[:3], lines[3][:30], *lines[4:]]))
    (lab / "images" / "train" / "general_5_0.png").unlink()
    result = ablate("data", "check", "--all", "--json")
    (row,) = [row for row in json.loads(result.stdout)["datasets"] if row["name"] == "LLaVA v1.5 GQA"]
    assert (result.exit_code, row["num_opened"], row["num_broken"]) == (1, 6, 2)
    assert {broken["where"] for broken in row["broken"]} == {f"{lab}/general.jsonl:3", f"{lab}/general.jsonl:5"}
    assert f"{lab}/general.jsonl:3: not JSON" in ablate("data", "check", "--all").stdout


def test_a_set_that_cannot_be_opened_is_an_error_and_the_others_are_checked(lab: Path, ablate: Callable[..., Result]) -> None:
    (lab / "sums.json").unlink()
    result = ablate("data", "check", "--samples", "1", "--json")
    rows = {row["name"]: row for row in json.loads(result.stdout)["datasets"]}
    assert (result.exit_code, rows["LLaVA v1.5 GQA"]["is_ok"], "sums.json" in rows["sums"]["error"]) == (1, True, True)


def test_the_list_shows_what_is_configured_where(lab: Path, ablate_json: Callable[..., Any]) -> None:
    found = ablate_json("data", "list")
    configured = {(row["stage"], row["name"]): row["configured"]["files"] for row in found["datasets"] if row["configured"]}
    assert configured == {("sft", "LLaVA v1.5 GQA"): [f"{lab}/general.jsonl"], (None, "sums"): [f"{lab}/sums.json"]}


def test_a_wrong_catalogue_is_bad_input_with_its_line(lab: Path, ablate: Callable[..., Result]) -> None:
    (lab / "catalogue.yaml").write_text(CATALOGUE.replace("GQA", "GQQ"))
    result = ablate("data", "check")
    assert result.exit_code == 2
    assert "catalogue.yaml:6" in result.stderr
