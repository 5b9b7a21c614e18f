"""What stored answers add: intervals for the population of items, and whether seeds or items are short."""

import json
from dataclasses import replace

import numpy as np
import pytest

from model.evaluation.benchmarks.registry import BENCHMARKS, SUITES
from orchestrator.artifacts.store import Artifacts
from orchestrator.ledger import read
from orchestrator.results.item_statistics import _decides, benchmark_weights, item_results
from orchestrator.results.results import study_results
from tests.support import scored

GENERAL = [name for name in SUITES["workbench"]
           if BENCHMARKS[name].category == "general" and BENCHMARKS[name].in_average]


@pytest.fixture
def study(engine, planned, tmp_path):
    """A finished study whose general benchmarks have stored answers, and what the ledger accepted for them."""
    scored.enter(engine, planned(("seeds: 2", "seeds: 3"), ("maximize: knowledge", "maximize: general")))
    scored.finish(engine)
    results = study_results(engine, read.study(engine, "written"))
    rows = [write(tmp_path, row) if row.benchmark in GENERAL else row for row in read.scores(engine, "study-1")]
    stages = tuple(replace(stage, artifact=stage.stage_id) for stage in results.stages)
    trials = tuple(replace(each, metrics=each.metrics | {"general": mean_of(rows, each.trial_key)})
                   for each in results.trials)
    return replace(results, stages=stages, trials=trials), rows, Artifacts(tmp_path)


def write(folder, row, *, num_items=60):
    """Store answers of which some are right, and return the row with their score."""
    rng = np.random.default_rng([row.seed, len(row.benchmark)])
    taste = np.random.default_rng([sum(map(ord, row.arm_key)), len(row.benchmark)]).normal(0, 0.2, num_items)
    right = (rng.random(num_items) < row.value / 100 + taste).astype(float)
    where = Artifacts(folder).resolve(row.stage_id)
    where.mkdir(parents=True, exist_ok=True)
    lines = [{"item_id": f"{row.benchmark}/{i}", "question": "?", "options": [], "references": ["a"], "prediction": "a",
              "parsed": "a", "score": float(score), "score_lenient": 1.0, "meta": {"image": str(i // 2)}}
             for i, score in enumerate(right)]
    (where / "items.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return replace(row, value=100 * right.mean())


def mean_of(rows, trial_key):
    return float(np.mean([row.value for row in rows if row.trial_key == trial_key and row.benchmark in GENERAL]))


def test_both_intervals_stand_beside_each_other_and_the_population_decides(study):
    results, rows, artifacts = study
    found = item_results(results, rows, artifacts)
    assert (found.metric, found.num_pictures, found.decides, found.left_out) == ("general", 30, True, {})
    assert set(found.components) == set(GENERAL)
    for each in found.arms:
        assert each.population.half_width >= each.these.half_width
        assert each.advice.add in ("nothing", "seeds", "pictures", "both")
    assert found.verdict.kind in ("selected", "tied", "underpowered")


def test_benchmark_without_answers_is_named_and_leaves_no_interval(study, tmp_path):
    results, rows, artifacts = study
    lost = {row.stage_id for row in rows if row.benchmark == GENERAL[0]}
    stages = tuple(replace(each, artifact=None) if each.stage_id in lost else each for each in results.stages)
    found = item_results(replace(results, stages=stages), rows, artifacts)
    assert found.left_out == {GENERAL[0]: "no stored answers"}
    assert (found.verdict, found.decides, found.arms[0].population) == (None, False, None)


def test_score_that_is_no_mean_of_its_items_does_not_count(study):
    results, rows, artifacts = study
    moved = [replace(row, value=row.value + 1) if row.benchmark == GENERAL[0] else row for row in rows]
    assert item_results(results, moved, artifacts).left_out == {GENERAL[0]: "its score is no plain mean over its items"}


def test_weights_are_those_of_the_averages():
    weights = benchmark_weights("mmbase", SUITES["workbench"])
    assert sum(weights.values()) == pytest.approx(1.0)
    assert weights[GENERAL[0]] == pytest.approx(1 / 3 / len(GENERAL))
    assert benchmark_weights(GENERAL[0], SUITES["workbench"]) == {GENERAL[0]: 1.0}


@pytest.mark.parametrize(("rule", "num_pictures", "decides"), [
    ("auto", 30, True), ("auto", 29, False), ("these", 500, False), ("population", 29, True), ("population", 0, False)])
def test_study_says_which_interval_decides(rule, num_pictures, decides):
    assert _decides(rule, num_pictures) is decides
