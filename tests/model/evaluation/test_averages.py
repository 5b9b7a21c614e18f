"""Averages: the deck's own rows, and what a missing benchmark withholds."""

import pytest

from model.evaluation.averages import averages
from model.evaluation.benchmarks.registry import BENCHMARKS, SUITES

FOUR = ("text_rich", "knowledge", "general", "refer_ground")


def test_the_decks_rows_are_reproduced(vectors):
    suite = [name for name in SUITES["mm15"] if BENCHMARKS[name].category in FOUR]
    for row in vectors["mm15.category_average"]:
        found = averages({name: row[BENCHMARKS[name].category] for name in suite}, suite).values
        assert found["overall"] == pytest.approx(row["mean_of_categories"], abs=1e-9)
        assert found["mmbase"] == pytest.approx(row["mmbase"], abs=1e-9)
        assert (abs(found["overall"] - row["published_average"]) <= 0.1 + 1e-9) == row["agrees_within_rounding"]


def test_a_missing_benchmark_withholds_what_it_belongs_to_and_says_so():
    scores = dict.fromkeys(SUITES["workbench"], 50.0)
    del scores["chart-values"]
    found = averages(scores, SUITES["workbench"])
    assert found.values.keys() == {"general", "knowledge", "refer_ground", "multi_image", "text_only"}
    assert "chart-values" in found.withheld["text_rich"]
    assert "text_rich" in found.withheld["mmbase"]
    assert "text_rich" in found.withheld["overall"]


def test_every_missing_benchmark_is_named():
    found = averages({}, ("scene-qa", "scene-probe"))
    assert found.withheld["general"] == "no complete score of scene-qa, scene-probe"


def test_a_suite_without_a_category_withholds_mmbase_but_not_overall():
    suite = ("scene-qa", "form-fields")
    found = averages({"scene-qa": 40.0, "form-fields": 60.0}, suite)
    assert found.values == {"general": 40, "text_rich": 60, "overall": 50}
    assert found.withheld == {"mmbase": "no average of knowledge"}


def test_an_empty_suite_has_no_averages():
    found = averages({"scene-qa": 40.0}, ())
    assert found.values == {}
    assert found.withheld.keys() == {"mmbase", "overall"}


def test_scores_outside_the_suite_do_not_count():
    assert averages({"scene-qa": 40.0, "scene-probe": 90.0}, ("scene-qa",)).values["general"] == 40


def test_text_only_has_its_average_but_stays_out_of_overall():
    found = averages({"scene-qa": 40.0, "sums-text": 90.0}, ("scene-qa", "sums-text")).values
    assert found["text_only"] == 90
    assert found["overall"] == 40


def test_a_dagger_benchmark_stays_out_of_its_average():
    suite = ("refcoco", "ferret-bench")
    assert averages({"refcoco": 60.0}, suite).values["refer_ground"] == 60


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_non_finite_score_is_refused(value):
    with pytest.raises(ValueError, match="scene-qa"):
        averages({"scene-qa": value}, ("scene-qa",))


def test_an_unknown_benchmark_is_named_with_the_nearest_one():
    with pytest.raises(ValueError, match="did you mean 'scene-qa'"):
        averages({}, ("scene-aq",))
