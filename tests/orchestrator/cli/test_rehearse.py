import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from orchestrator.cli.planning import rehearse
from orchestrator.execution.executor import InlineExecutor
from orchestrator.execution.worker import execute

Ablate = Callable[..., Result]
STUDY = """name: short
question: q?
recipe: sft-ablation
set: {sft.images: {mode: single}}
vary: {sft.lr: [1.0e-4, 5.0e-4]}
evaluate: {benchmarks: [science-names]}
select: {maximize: science-names}
"""
SEARCH = STUDY.replace("vary: {sft.lr: [1.0e-4, 5.0e-4]}", "search: {trials: 3, parameters: {sft.batch: {int: [4, 8]}}}")


@pytest.fixture
def short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study, and stages that run in this process instead of on Ray."""
    monkeypatch.setattr(rehearse, "RayExecutor", lambda _settings: InlineExecutor(execute))
    path = tmp_path / "short.yaml"
    path.write_text(STUDY)
    return path


def test_a_study_that_is_ready_says_so_and_leaves_rates_for_the_plan(ablate: Ablate, short: Path, home: Path) -> None:
    result = ablate("rehearse", str(short))
    assert result.exit_code == 0, result.output
    assert "Everything is there" in result.stdout
    assert not (home / "ledger.db").exists()
    assert "(sft and evaluate from a rehearsal)" in ablate("plan", str(short)).stdout


def test_what_is_missing_is_named_and_the_exit_code_is_1(ablate: Ablate, short: Path) -> None:
    short.write_text(STUDY.replace("[science-names]", "[science-names, ai2d]").replace("sft.images", "start: operator:nowhere, sft.images"))
    result = ablate("rehearse", str(short), "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["is_ready"]) == (1, False)
    assert [each["what"] for each in found["missing"]] == ["start checkpoint operator:nowhere", "local copies of ai2d"]
    assert {each["state"] for each in found["stages"]} == {"NOT_TRIED"}


def test_a_search_is_rehearsed_at_the_ends_of_its_ranges(ablate: Ablate, short: Path) -> None:
    short.write_text(SEARCH)
    found = json.loads(ablate("rehearse", str(short), "--json").stdout)
    assert [each["label"] for each in found["stages"] if each["kind"] == "sft"] == ["sft batch=4 seed 0", "sft batch=8 seed 0"]
    assert found["is_ready"]
