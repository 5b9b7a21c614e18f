"""The quick start's baseline stands between 20 and 80 in every category of the workbench: it can rise and it can fall.

Trains and evaluates for real, one seed, every benchmark: minutes, so `make calibrate` runs it.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from model.evaluation.averages import MMBASE, averages
from model.evaluation.benchmarks.registry import SUITES
from model.evaluation.stage import evaluate_stage
from model.training.stage import train_stage
from orchestrator.artifacts.store import start_folder
from orchestrator.plan.trial_config import resolve
from orchestrator.study.study import load_study

pytestmark = [pytest.mark.calibration, pytest.mark.timeout(3600)]

CATEGORIES = ("general", "text_rich", "knowledge", "refer_ground", "multi_image", "text_only")


def trained(folder: Path, alpha: float, suite: str, seed: int = 0) -> dict[str, float]:
    """Train an arm of the quick start and return its score in each benchmark of a suite."""
    config = resolve(load_study("quickstart"), "tiny", {"sft.mixture.alpha.science": alpha}, seed)
    train_stage(config=config.sft, model_config=config.model, data=config.data, seed=config.seed,
                start=start_folder(config.start, None), checkpoints=folder / "checkpoints", out=folder / "model",
                report=lambda _: None, should_stop=lambda: False)
    return {name: evaluate_stage(benchmark=name, config=replace(config.evaluate, benchmarks=(name,)), data=config.data,
                                 checkpoint=folder / "model", out=folder / name, report=lambda _: None,
                                 should_stop=lambda: False)["score"] for name in SUITES[suite]}


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    return trained(tmp_path_factory.mktemp("baseline"), 0, "workbench")


def test_the_baseline_has_room_below_and_above_in_every_category(baseline: dict[str, float]) -> None:
    found = averages(baseline, SUITES["workbench"]).values
    assert {name: found[name] for name in CATEGORIES if not 20 <= found[name] <= 80} == {}


def test_so_it_does_in_what_the_quick_start_shows(baseline: dict[str, float]) -> None:
    found = averages({name: baseline[name] for name in SUITES["workbench-quick"]}, SUITES["workbench-quick"]).values
    assert {name: found[name] for name in MMBASE if not 20 <= found[name] <= 80} == {}
