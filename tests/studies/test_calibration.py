"""Planted effects come out at `tiny` with the right sign, planted nulls are not told apart, and the baseline stands mid-range.

Trains and evaluates for real, on a corpus and with seeds of its own that no reported run uses; minutes, so `make calibrate` runs it.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from model.evaluation.averages import MMBASE, averages
from model.evaluation.benchmarks.registry import SUITES
from model.evaluation.stage import evaluate_stage
from model.training.stage import train_stage
from orchestrator.analysis.statistics import Difference, differences, fit
from orchestrator.artifacts.store import start_folder
from orchestrator.plan.trial_config import resolve
from orchestrator.study.study import load_study

pytestmark = [pytest.mark.calibration, pytest.mark.timeout(3600)]

CORPUS = 101
SEEDS = (101, 102, 103, 104, 105)
PROCESSES = 2
CATEGORIES = ("general", "text_rich", "knowledge", "refer_ground", "multi_image", "text_only")
ITEMS = 100
DATA = {"sft.mixture.alpha.science": 0, "sft.mixture.alpha.text_rich": 1, "sft.steps": 180}
NULLS = {
    "one more warm-up step": {"sft.warmup_steps": 11},
    "a thousandth more rate": {"sft.lr": 1.001e-3},
    "a trace of decay": {"sft.weight_decay": 1e-6},
}
"""Changes that no score can depend on, though every weight does."""
ARMS: dict[str, dict[str, Any]] = {
    "base": {}, "science": {"sft.mixture.alpha.science": 4}, "split": {"sft.images.mode": "static"},
    "boxes": {"sft.mixture.alpha.refer_ground": 4}, "several images": {"sft.mixture.weights": {"multi": 0.5}},
    "text": {"sft.mixture.weights": {"text": 0.8}}, **NULLS,
}
"""Arm -> what it changes of General and text-rich data in equal parts, one tile an image."""


@dataclass(frozen=True)
class Planted:
    """An effect that is there by construction."""

    what: str
    benchmarks: tuple[str, ...]
    """Judged by their mean."""
    better: str
    worse: str


EFFECTS = (
    Planted("a data category teaches its facts", ("science-names",), "science", "base"),
    Planted("print that only a split shows", ("form-fields",), "split", "base"),
    Planted("boxes in the frame of the whole image", ("name-box",), "boxes", "base"),
    Planted("several images, which of them and what changed", ("which-image", "spot-difference"), "several images", "base"),
    Planted("instructions without an image", ("words-text",), "text", "base"),
)
NULL_BENCHMARKS = ("scene-qa", "form-fields", "film-moves", "words-text")
"""What the nulls are judged by, as their mean: the base is far from floor and ceiling there."""

def suite_of(arm: str) -> tuple[str, ...]:
    """Return the benchmarks that an arm is asked: of the effects that it is a side of; the nulls stand in for the base."""
    own = [name for effect in EFFECTS if arm in (effect.better, effect.worse, *NULLS) for name in effect.benchmarks]
    return tuple(dict.fromkeys((*own, *(NULL_BENCHMARKS if arm in ("base", *NULLS) else ()))))


Scores = Mapping[str, Mapping[str, Mapping[int, float]]]
"""Benchmark -> arm -> seed -> score."""


def trained(folder: Path, changes: dict[str, Any], suite: tuple[str, ...], seed: int, num_items: int = ITEMS) -> dict[str, float]:
    """Train an arm of the quick start on the calibration's corpus and return its score in each benchmark of a suite."""
    config = resolve(load_study("quickstart"), "tiny", changes, seed)
    data = replace(config.data, seed=CORPUS)
    train_stage(config=config.sft, model_config=config.model, data=data, seed=config.seed, start=start_folder(config.start, None),
                checkpoints=folder / "checkpoints", out=folder / "model", report=lambda _: None, should_stop=lambda: False)
    return {name: evaluate_stage(benchmark=name, config=replace(config.evaluate, benchmarks=(name,), num_items=num_items), data=data,
                                 checkpoint=folder / "model", out=folder / name, report=lambda _: None,
                                 should_stop=lambda: False)["score"] for name in suite}


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as found:
        yield found


@pytest.fixture(scope="module")
def scores(pool: ProcessPoolExecutor, tmp_path_factory: pytest.TempPathFactory) -> Scores:
    folder = tmp_path_factory.mktemp("planted")
    running = {(arm, seed): pool.submit(trained, folder / f"{arm}-{seed}", DATA | changes, suite_of(arm), seed)
               for seed in SEEDS for arm, changes in ARMS.items()}
    found: dict[str, dict[str, dict[int, float]]] = {}
    for (arm, seed), each in running.items():
        for benchmark, score in each.result().items():
            found.setdefault(benchmark, {}).setdefault(arm, {})[seed] = score
    return found


def mean_of(scores: Scores, benchmarks: Sequence[str], arm: str) -> dict[int, float]:
    """Return seed -> mean over benchmarks."""
    return {seed: sum(scores[name][arm][seed] for name in benchmarks) / len(benchmarks) for seed in SEEDS}


def told(difference: Difference) -> str:
    return f"{difference.value:+.1f} ± {difference.half_width:.1f}"


def say(*lines: str) -> None:
    """Show what was measured, for the log."""
    sys.stdout.write("\n" + "\n".join(lines) + "\n")


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda effect: effect.what)
def test_a_planted_effect_has_its_sign_and_an_interval_that_excludes_0(effect: Planted, scores: Scores) -> None:
    arms = (effect.better, effect.worse, *NULLS)
    (found,) = differences(fit({arm: mean_of(scores, effect.benchmarks, arm) for arm in arms}), [(effect.better, effect.worse)])
    say(f"{effect.what}: {', '.join(effect.benchmarks)} {told(found)}")
    assert found.half_width is not None
    assert found.value > found.half_width


def test_planted_nulls_are_not_told_apart(scores: Scores) -> None:
    mean = {arm: mean_of(scores, NULL_BENCHMARKS, arm) for arm in ("base", *NULLS)}
    found = differences(fit(mean), [(arm, "base") for arm in NULLS])
    say(*(f"{each.a}: {told(each)}" for each in found))
    assert [each.a for each in found if each.is_told_apart] == []


@pytest.fixture(scope="module")
def baseline(pool: ProcessPoolExecutor, tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    arm = partial(trained, tmp_path_factory.mktemp("baseline"), {"sft.mixture.alpha.science": 0})
    return pool.submit(arm, SUITES["workbench"], SEEDS[0], 0).result()


def test_the_baseline_has_room_below_and_above_in_every_category(baseline: dict[str, float]) -> None:
    found = averages(baseline, SUITES["workbench"]).values
    say(*(f"{name} {value:.1f}" for name, value in (found | baseline).items()))
    assert {name: found[name] for name in CATEGORIES if not 20 <= found[name] <= 80} == {}


def test_so_it_does_in_what_the_quick_start_shows(baseline: dict[str, float]) -> None:
    found = averages({name: baseline[name] for name in SUITES["workbench-quick"]}, SUITES["workbench-quick"]).values
    assert {name: found[name] for name in MMBASE if not 20 <= found[name] <= 80} == {}
