"""The registry of benchmarks: complete, and consistent with metrics and makers."""

import pytest

from model.data.workbench import ITEM_MAKERS
from model.evaluation.benchmarks import BENCHMARKS, SUITES, WITHOUT_METRIC
from model.evaluation.metrics import METRICS


def test_workbench_benchmarks_have_a_maker_items_and_a_metric():
    own = {name: each for name, each in BENCHMARKS.items() if each.source == "workbench"}
    assert own.keys() == ITEM_MAKERS.keys()
    assert all(each.num_items > 0 and each.metric in METRICS and each.manner_of for each in own.values())


def test_public_benchmarks_have_a_metric_or_say_that_there_is_none():
    public = [each for each in BENCHMARKS.values() if each.source == "catalogue"]
    assert {each.metric for each in public} <= METRICS.keys() | WITHOUT_METRIC
    assert not METRICS.keys() & WITHOUT_METRIC


@pytest.mark.parametrize(("category", "count"), [
    ("general", 6), ("text_rich", 7), ("knowledge", 4), ("refer_ground", 6), ("multi_image", 6)])
def test_the_decks_29_benchmarks_are_grouped_as_in_the_deck(category, count):
    assert sum(BENCHMARKS[name].category == category for name in SUITES["mm15"]) == count


def test_only_the_dagger_benchmarks_are_outside_the_averages():
    assert {name for name, each in BENCHMARKS.items() if not each.in_average} == {"ferret-bench", "muirbench"}


@pytest.mark.parametrize("suite", SUITES)
def test_suites_name_each_benchmark_once(suite):
    assert len(set(SUITES[suite])) == len(SUITES[suite])
    assert set(SUITES[suite]) <= BENCHMARKS.keys()


@pytest.mark.parametrize("category", ["general", "text_rich", "knowledge", "refer_ground"])
def test_each_scored_category_has_two_workbench_benchmarks_or_more(category):
    assert sum(BENCHMARKS[name].category == category for name in SUITES["workbench"]) >= 2
