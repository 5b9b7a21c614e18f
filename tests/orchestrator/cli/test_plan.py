import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from orchestrator.study.study import Study

Ablate = Callable[..., Result]


@pytest.fixture
def study_file(write: Callable[..., Study], checkpoint: Path, tmp_path: Path) -> str:
    write()
    return str(tmp_path / "written.yaml")


def test_validate_counts_arms_and_trials(ablate: Ablate, study_file: str) -> None:
    result = ablate("validate", study_file)
    assert result.exit_code == 0
    assert "is valid at scale tiny: 3 arms × 2 seeds = 6 trials" in result.stdout


def test_misspelt_field_says_line_and_nearest_name(ablate: Ablate, study_file: str) -> None:
    path = Path(study_file)
    path.write_text(path.read_text().replace("seeds:", "seedz:"))
    result = ablate("validate", study_file)
    assert result.exit_code == 2
    assert "written.yaml:5" in result.stderr
    assert "hint: did you mean 'seeds'?" in result.stderr
    assert "Traceback" not in result.output


def test_unknown_study_is_bad_input(ablate: Ablate) -> None:
    result = ablate("plan", "quikstart")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "did you mean 'quickstart'?" in result.stderr


def test_plan_shows_what_is_shared(ablate: Ablate, study_file: str) -> None:
    result = ablate("plan", study_file)
    assert result.exit_code == 0
    for expected in ("(baseline)", "tokens per image", "asked for", "unique", "Estimated time:"):
        assert expected in result.stdout


def test_plan_sets_what_is_expected_beside_the_budget(ablate: Ablate, study_file: str) -> None:
    study = Path(study_file)
    study.write_text(study.read_text() + "budget: {hours: 1000, checkpoint_gb: 50}\n")
    said = " ".join(ablate("plan", study_file).stdout.split())
    found = re.search(r"Budget: 1000 hours \(expected ([\d.e-]+)\), 50 checkpoint gb \(expected ([\d.e-]+)\)", said)
    assert found is not None
    assert 0 < float(found[1]) < 1000
    assert 0 < float(found[2]) < 50


def test_plan_leaves_no_trace(ablate: Ablate, study_file: str, home: Path) -> None:
    assert ablate("plan", study_file).exit_code == 0
    assert not home.exists()


def test_plan_document_adds_up(ablate_json: Callable[..., Any], study_file: str) -> None:
    plan = ablate_json("plan", study_file)
    assert plan["num_arms"] == len(plan["arms"]) == 3
    assert plan["num_trials"] == len(plan["trials"]) == 6
    assert plan["stages"]["to_run"] == plan["stages"]["unique"] - plan["stages"]["known"]
    assert sum(kind["unique"] for kind in plan["stages"]["by_kind"]) == plan["stages"]["unique"]
    assert [arm["is_baseline"] for arm in plan["arms"]] == [True, False, False]
    assert plan["estimate_s"] > 0


def test_resolved_arm_is_yaml(ablate: Ablate, study_file: str, ablate_json: Callable[..., Any]) -> None:
    name = ablate_json("plan", study_file)["arms"][2]["name"]
    result = ablate("plan", study_file, "--arm", name)
    assert result.exit_code == 0
    assert "science: 0.5" in result.stdout


def test_unknown_arm_lists_the_known_ones(ablate: Ablate, study_file: str) -> None:
    result = ablate("plan", study_file, "--arm", "nope")
    assert result.exit_code == 2
    assert "no arm 'nope'; allowed:" in result.stderr


def test_factors_filters_by_part_of_the_path(ablate: Ablate, ablate_json: Callable[..., Any]) -> None:
    assert "[n_min, n_max]" in ablate("factors", "grid").stdout
    assert {"sft.mixture.alpha.science"} <= {each["path"] for each in ablate_json("factors", "alpha")}


def test_plan_shows_how_many_workers_train_a_stage(ablate: Ablate) -> None:
    assert "with 1 GPU each" in ablate("plan", "alpha-science", "--scale", "mm1.5-3b").stdout
    plan = json.loads(ablate("plan", "alpha-science", "--scale", "mm1.5-3b", "--json").stdout)
    assert plan["workers_per_stage"] == 8
    assert {(stage["kind"], stage["workers"]) for stage in plan["stage_list"]} == {("import", 1), ("sft", 8), ("evaluate", 1)}
