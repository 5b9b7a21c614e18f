from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import Engine

from orchestrator.ledger import read
from orchestrator.ledger import tables as t
from orchestrator.ledger.engine import open_ledger, transaction
from orchestrator.results.results import study_results
from tests.support.synthetic import SCIENCE, Sketch, sketch

Ablate = Callable[..., Result]


@pytest.fixture
def engine(home: Path) -> Engine:
    return open_ledger(f"sqlite:///{home}/ledger.db")


@pytest.fixture
def two(engine: Engine) -> Engine:
    sketch(engine, Sketch())
    sketch(engine, Sketch(name="wider", arms=({SCIENCE: 0}, {SCIENCE: 0.5}, {SCIENCE: 1})), seed=1)
    return engine


def test_what_was_asked_differently_is_named(ablate_json: Callable[..., Any], two: Engine) -> None:
    document = ablate_json("diff", "quickstart", "wider")
    assert any(each.startswith("study.name: ") and "wider" in each for each in document["changes"])
    assert (document["only_first"], document["only_second"]) == (["science=0.1"], ["science=1"])
    assert document["stages"]["shared"] == 0  # the start checkpoint that both import is no stage


def test_scores_of_the_arms_that_both_have(ablate_json: Callable[..., Any], two: Engine) -> None:
    document = ablate_json("diff", "quickstart", "wider")
    results = {name: study_results(two, read.study(two, name)) for name in ("quickstart", "wider")}
    pair = next(each for each in document["scores"] if (each["arm"], each["metric"]) == ("science=0.5", "knowledge"))
    means = [next(arm for arm in results[name].arms if arm.name == "science=0.5").metrics["knowledge"].mean for name in results]
    assert (pair["first"], pair["second"]) == tuple(means)
    assert pair["difference"] == pytest.approx(means[1] - means[0])


def test_study_equals_itself(ablate: Ablate, two: Engine) -> None:
    result = ablate("diff", "quickstart", "quickstart")
    assert "the same file" in result.stdout
    assert "+0.0" in result.stdout


def test_versions_are_named_with_an_at_sign(ablate: Ablate, ablate_json: Callable[..., Any], two: Engine) -> None:
    with transaction(two) as connection:
        connection.execute(t.studies.update().where(t.studies.c.name == "wider").values(name="quickstart", version=2))
    document = ablate_json("diff", "quickstart@1", "quickstart@2")
    assert (document["first"]["version"], document["second"]["version"]) == (1, 2)
    unknown = ablate("diff", "quickstart@1", "quickstart@7")
    assert unknown.exit_code == 2
    assert "known: 1, 2" in unknown.stderr


def test_study_without_scores_has_none_in_the_table(ablate: Ablate, engine: Engine) -> None:
    sketch(engine, Sketch())
    sketch(engine, Sketch(name="later", state="QUEUED", done=0.0))
    result = ablate("diff", "quickstart", "later")
    assert result.exit_code == 0
    assert "–" in result.stdout


STAGES = """name: own
question: q?
recipe: sft-ablation
set: {sft.steps: 2, sft.warmup_steps: 0}
vary: {sft.mixture.alpha.science: [0, 0.5]}
evaluate: {benchmarks: [science-names]}
select: {maximize: science-names}
"""


@pytest.fixture
def own(tmp_path: Path, ablate: Ablate) -> Path:
    """A study of one's own that was submitted."""
    path = tmp_path / "own.yaml"
    path.write_text(STAGES)
    assert ablate("submit", str(path)).exit_code == 0
    return path


def test_a_changed_file_is_compared_with_the_version_in_the_ledger(ablate: Ablate, ablate_json: Callable[..., Any], own: Path) -> None:
    own.write_text(STAGES.replace("[0, 0.5]", "[0, 0.5, 1]"))
    document = ablate_json("diff", str(own))
    assert document["changes"] == ["study.vary.sft.mixture.alpha.science: [0, 0.5] -> [0, 0.5, 1]"]
    assert document["stages"] == {"first": 4, "second": 6, "shared": 4}
    assert "4 and 6, 4 of them shared" in ablate("diff", str(own)).stdout


def test_plan_diff_and_results_count_the_same_stages(ablate_json: Callable[..., Any], own: Path) -> None:
    unique = ablate_json("plan", str(own))["stages"]["unique"]
    assert ablate_json("diff", str(own))["stages"]["first"] == unique
    assert ablate_json("diff", "own", "own")["stages"] == dict.fromkeys(("first", "second", "shared"), unique)
    assert ablate_json("status", "own")["studies"][0]["stages"] == unique


@pytest.mark.parametrize("command", ["validate", "plan", "submit", "status", "results", "diff", "pause"])
def test_a_study_of_ones_own_goes_by_its_path_or_its_name(ablate: Ablate, own: Path, command: str) -> None:
    assert [ablate(command, text).exit_code for text in (str(own), "own")] == [0, 0]


def test_studies_lists_the_library_and_what_is_only_in_the_ledger(ablate_json: Callable[..., Any], ablate: Ablate, own: Path) -> None:
    listed = {each["name"]: each for each in ablate_json("studies")}
    assert listed["quickstart"]["runs"] == []
    assert listed["quickstart"]["path"].endswith("studies/quickstart.yaml")
    assert listed["own"] == {"name": "own", "question": "q?", "path": None, "runs": [{"scale": "tiny", "version": 1, "state": "QUEUED"}]}
    assert "tiny: queued" in ablate("studies", "own").stdout


def test_an_error_points_at_the_value_that_the_user_wrote(ablate: Ablate, tmp_path: Path) -> None:
    path = tmp_path / "short.yaml"
    path.write_text(STAGES.replace("name: own", "name: short").replace(", sft.warmup_steps: 0", ""))
    result = ablate("validate", str(path))
    assert result.exit_code == 2
    assert f"{path}:4:7: set.sft.steps: sft.warmup_steps: " in result.stderr
    assert "hint: set sft.warmup_steps as well; its value comes from studies/scales/tiny.yaml:" in result.stderr


def test_a_plan_says_why_each_of_its_stages_is_new(ablate: Ablate, ablate_json: Callable[..., Any], own: Path) -> None:
    assert "No stage is new: the ledger holds all 4." in ablate("plan", str(own), "--why").stdout
    own.write_text(STAGES.replace("sft.steps: 2", "sft.steps: 3"))
    said = ablate("plan", str(own), "--why").stdout
    assert f"sft science=0 seed 0 is new: set.sft.steps in {own}:4 is 3, and 2 in the nearest stage there is" in said
    assert [each["label"] for each in ablate_json("plan", str(own), "--why")["why"]] == ["sft science=0 seed 0", "sft science=0.5 seed 0"]


def test_a_stage_of_the_ledger_is_explained_by_its_label(ablate: Ablate, ablate_json: Callable[..., Any], own: Path) -> None:
    assert "vary.sft.mixture.alpha.science[1]" in ablate("explain", "sft science=0.5 seed 0").stdout
    assert ablate_json("explain", "sft science=0.5 seed 0")["differences"][0]["mine"] == 0.5
    unknown = ablate("explain", "sft science=9")
    assert (unknown.exit_code, unknown.stdout) == (2, "")
