"""What a study draws on and what is missing is said before it costs; so are all mistakes of a file."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.support import corpora
from tests.support.copies import write

Ablate = Callable[..., Result]
STUDY = """
name: {name}
question: Does it?
recipe: sft-ablation
set: {{data.source: catalogue}}
vary: {{sft.mixture.alpha.science: [0, 1]}}
evaluate: {{benchmarks: [docvqa, scene-qa]}}
select: {{maximize: docvqa}}
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A catalogue with data of these categories, and a study of data on disk."""
    (tmp_path / "own.yaml").write_text(STUDY.format(name="own"))
    monkeypatch.setenv("ABLATE_CATALOGUE", str(tmp_path / "catalogue.yaml"))

    def make(*categories: str, benchmarks: str = "{}") -> None:
        lines = ["kind: catalogue", "name: lab", f"benchmarks: {benchmarks}", "datasets:"]
        for category in categories:
            corpora.llava(tmp_path, category, 4)
            lines.append(f"  {category}: {{mine: {{own: true, layout: llava, files: [{category}.jsonl], images: images}}}}")
        (tmp_path / "catalogue.yaml").write_text("\n".join(lines) + ("" if categories else " {}"))

    return make


@pytest.mark.parametrize("command", ["plan", "validate"])
def test_what_is_missing_is_said_and_leaves_with_one(lab: Callable[..., None], ablate: Ablate, tmp_path: Path, command: str) -> None:
    lab("general")
    result = ablate(command, str(tmp_path / "own.yaml"))
    assert result.exit_code == 1
    assert "sft trains on general: " in result.stdout
    assert "missing: data sets of science (the catalogue" in result.stdout
    assert "missing: local copies of docvqa (the catalogue" in result.stdout
    found = json.loads(ablate(command, str(tmp_path / "own.yaml"), "--json").stdout)
    assert [each["what"] for each in found["missing"]] == ["data sets of science", "local copies of docvqa"]


@pytest.mark.parametrize("command", ["plan", "validate"])
def test_a_study_that_lacks_nothing_leaves_with_zero(lab: Callable[..., None], ablate: Ablate, tmp_path: Path, command: str) -> None:
    write(tmp_path, "docvqa")
    lab("general", "science", benchmarks="{docvqa: docvqa}")
    result = ablate(command, str(tmp_path / "own.yaml"))
    assert (result.exit_code, "missing" in result.stdout) == (0, False)
    assert "sft trains on general: mine; science: mine" in result.stdout


def test_a_judge_that_is_not_reached_is_missing(ablate: Ablate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = STUDY.format(name="own").replace("data.source: catalogue", "evaluate.scoring.judge: gpt").replace("docvqa", "scene-skills")
    (tmp_path / "own.yaml").write_text(text)
    assert "missing: a judge for scene-skills (ABLATE_JUDGE_URL" in ablate("plan", str(tmp_path / "own.yaml")).stdout
    submitted = ablate("submit", str(tmp_path / "own.yaml"))
    assert (submitted.exit_code, "missing: a judge for scene-skills" in submitted.stderr) == (2, True)
    monkeypatch.setenv("ABLATE_JUDGE_URL", "http://127.0.0.1:9/v1")
    assert ablate("plan", str(tmp_path / "own.yaml")).exit_code == 0


def test_a_judge_that_nobody_named_is_a_note(ablate: Ablate, tmp_path: Path) -> None:
    text = STUDY.format(name="own").replace("set: {data.source: catalogue}\n", "").replace("docvqa, scene-qa", "scene-skills, scene-qa")
    (tmp_path / "own.yaml").write_text(text.replace("maximize: docvqa", "maximize: scene-qa"))
    result = ablate("plan", str(tmp_path / "own.yaml"))
    assert result.exit_code == 0
    assert "not run, since evaluate.scoring.judge names no judge: scene-skills" in " ".join(result.stdout.split())


def test_all_mistakes_of_a_file_are_listed(ablate: Ablate, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("""name: bad
asks: Does it?
recipe: 7
vary: {sft.mixture.alpha.science: [0, 1]}
seeds: true
select: {maximize: mmbase, prefer: largest_of_all}
""")
    error = ablate("validate", str(tmp_path / "bad.yaml"))
    assert error.exit_code == 2
    assert [line.split(":")[1] for line in error.stderr.splitlines() if "bad.yaml:" in line] == ["2", "1", "3", "5", "6"]


def test_mistakes_of_several_arms_and_paths_are_listed(ablate: Ablate, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("""name: bad
question: Does it?
recipe: sft-ablation
arms:
  base: {}
  one: {sft.lr: -1, evaluate.num_items: -1}
  two: {sfd.steps: 3, nothing.at.all: 4}
  three: {sft.images.tokens: 7}
select: {maximize: mmbase}
""")
    error = ablate("validate", str(tmp_path / "bad.yaml"))
    assert error.exit_code == 2
    lines = [line.split(":")[1] for line in error.stderr.splitlines() if "bad.yaml:" in line]
    assert sorted(lines) == ["6", "7", "7", "8"]


def test_copies_of_benchmarks_are_opened_as_an_evaluation_would(lab: Callable[..., None], ablate: Ablate, tmp_path: Path) -> None:
    for name in ("docvqa", "mme", "ai2d"):
        write(tmp_path, name)
    (tmp_path / "ai2d" / "a.png").unlink()
    path = tmp_path / "mme" / "test.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1].replace("No", "Perhaps"), *lines[2:]]))
    lab("general", benchmarks="{docvqa: docvqa, mme: mme, ai2d: ai2d}")
    result = ablate("data", "check", "--all", "--json")
    rows = {row["name"]: row for row in json.loads(result.stdout)["datasets"] if row["category"] == "benchmark"}
    assert {name: row["is_ok"] for name, row in rows.items()} == {"docvqa": True, "mme": False, "ai2d": False}
    assert "test.jsonl: row 1: the answer is 'perhaps'" in rows["mme"]["error"]
    assert rows["ai2d"]["broken"][0]["where"].endswith("test.jsonl: row 0")
    assert result.exit_code == 1


def test_boxes_are_counted_by_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ablate: Ablate) -> None:
    talk = [{"from": "human", "value": "Where is it?"}, {"from": "gpt", "value": "At [0.1, 0.2, 0.3, 0.4] and (0.1,0.2),(0.3,0.4)."}]
    (tmp_path / "a.jsonl").write_text(json.dumps({"conversations": talk}))
    (tmp_path / "catalogue.yaml").write_text("""
kind: catalogue
name: lab
datasets:
  refer_ground:
    read: {own: true, layout: llava, files: [a.jsonl], boxes: fractions}
    left: {own: true, layout: llava, files: [a.jsonl]}
""")
    monkeypatch.setenv("ABLATE_CATALOGUE", str(tmp_path / "catalogue.yaml"))
    rows = {row["name"]: row for row in json.loads(ablate("data", "check", "--samples", "1", "--json").stdout)["datasets"]}
    found = {name: (rows[name]["num_boxes"], rows[name]["boxes"]) for name in ("read", "left")}
    assert found == {"read": (2, "fractions"), "left": (2, "none")}
    shown = ablate("data", "check", "--samples", "1").stdout
    assert "2 converted from fractions" in shown
    assert "2 left unchanged" in shown
