"""Averages: the deck's own rows, and what a missing benchmark withholds."""

import json
from pathlib import Path

import pytest

from model.evaluation.averages import averages
from model.evaluation.benchmarks import BENCHMARKS, SUITES

VECTORS = Path(__file__).parents[2] / "vectors" / "metric_vectors.json"
FOUR = ("text_rich", "knowledge", "general", "refer_ground")


def test_the_decks_rows_are_reproduced(request):
    path = request.config.getoption("--metric-vectors") or VECTORS
    suite = [name for name in SUITES["mm15"] if BENCHMARKS[name].category in FOUR]
    for row in json.loads(Path(path).read_text())["metrics"]["mm15.category_average"]["vectors"]:
        found = averages({name: row[BENCHMARKS[name].category] for name in suite}, suite).values
        assert found["overall"] == pytest.approx(row["mean_of_categories"], abs=1e-3)
        assert found["mmbase"] == pytest.approx(row["mmbase"], abs=1e-3)


def test_a_missing_benchmark_withholds_what_it_belongs_to_and_says_so():
    scores = dict.fromkeys(SUITES["workbench"], 50.0)
    del scores["chart-values"]
    found = averages(scores, SUITES["workbench"])
    assert found.values.keys() == {"general", "knowledge", "refer_ground", "text_only"}
    assert "chart-values" in found.withheld["text_rich"]
    assert "text_rich" in found.withheld["mmbase"]
    assert "text_rich" in found.withheld["overall"]


def test_a_dagger_benchmark_stays_out_of_its_average():
    suite = ("refcoco", "ferret-bench")
    assert averages({"refcoco": 60.0}, suite).values["refer_ground"] == 60


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_non_finite_score_is_refused(value):
    with pytest.raises(ValueError, match="scene-qa"):
        averages({"scene-qa": value}, ("scene-qa",))
