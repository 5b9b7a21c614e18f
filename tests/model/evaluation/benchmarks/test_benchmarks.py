"""The registry of benchmarks: complete, and consistent with metrics and makers."""

import dataclasses
import hashlib

import pytest

from model.config.scoring import ScoringConfig
from model.evaluation.benchmarks.registry import BENCHMARKS, SUITES
from model.evaluation.judge.grading import JUDGED
from model.evaluation.judge.workbench_notes import TOLD
from model.evaluation.local_copies.items import MAKERS
from model.evaluation.metrics import METRICS
from model.workbench import VERSIONS, item_makers


def test_workbench_benchmarks_have_a_maker_items_and_a_metric():
    own = [each for each in BENCHMARKS.values() if each.source == "workbench"]
    assert {each.name for each in own if not each.made_of} == item_makers().keys()
    assert {each.shots_of for each in own if each.shots_of} <= item_makers().keys()
    assert {name for each in own for name in each.data_names} <= VERSIONS.keys()
    assert all(each.num_items > 0 and each.metric in METRICS.keys() | JUDGED.keys() and each.manner_of for each in own)
    assert all(each.needs_judge == (each.metric in JUDGED) for each in own)


PUBLIC = [each for each in BENCHMARKS.values() if each.source == "catalogue"]


@pytest.mark.parametrize("spec", PUBLIC, ids=lambda spec: spec.name)
def test_a_public_benchmark_says_how_it_is_asked_judged_and_stored(spec):
    assert spec.metric in METRICS.keys() | JUDGED.keys()
    assert spec.needs_judge == (spec.metric in JUDGED)
    assert spec.title
    assert spec.layout
    assert spec.scale
    assert spec.name in MAKERS or spec.category in ("in_context", "text_only")


def test_every_open_choice_belongs_to_a_benchmark_or_to_the_averages():
    taken = {name for each in BENCHMARKS.values() for name in each.choices} | {"dagger_in_average"}
    assert taken == {field.name for field in dataclasses.fields(ScoringConfig)}


@pytest.mark.parametrize("spec", [each for each in PUBLIC if each.average], ids=lambda spec: spec.name)
def test_how_groups_are_averaged_is_one_of_the_benchmarks_choices(spec):
    assert spec.average in spec.choices
    assert spec.group


@pytest.mark.parametrize(("category", "count"), [
    ("general", 6), ("text_rich", 7), ("knowledge", 4), ("refer_ground", 6), ("multi_image", 6)])
def test_the_decks_29_benchmarks_are_grouped_as_in_the_deck(category, count):
    assert sum(BENCHMARKS[name].category == category for name in SUITES["mm15"]) == count


def test_only_what_the_deck_or_its_training_leaves_out_or_no_small_model_can_is_outside_the_averages():
    assert {name for name, each in BENCHMARKS.items() if not (each.in_average or each.is_loss)} == {
        "ferret-bench", "muirbench", "region-talk", "picture-choice", "emoji-pictures", "spot-choice", "film-choice"}


SAME_RULE = {"refcoco": "iou", "mmmu": "choice_mmmu"}
"""Metrics of public benchmarks whose rule has another name where nothing but the answer is read."""


@pytest.mark.parametrize("name", SUITES["mm15"])
def test_each_public_benchmark_has_one_of_the_workbench_with_its_metric(name):
    public = BENCHMARKS[name]
    own = [BENCHMARKS[each] for each in SUITES["workbench-judged"]]
    alike = [each for each in own if each.metric == SAME_RULE.get(public.metric, public.metric) and each.category == public.category]
    assert alike
    assert public.total not in ("mme", "relative") or public.total in {each.total for each in alike}


def test_the_suite_without_a_judge_needs_none():
    assert not any(BENCHMARKS[name].needs_judge for name in SUITES["workbench"])


def test_what_a_judge_is_told_changes_only_with_a_version():
    digest = hashlib.sha256(repr(sorted(TOLD.items())).encode()).hexdigest()[:12]
    judged = [BENCHMARKS[name] for name in SUITES["workbench-judged"] if BENCHMARKS[name].needs_judge]
    assert ({each.version for each in judged}, digest) == ({1}, "4806ec72c1cf")


@pytest.mark.parametrize("suite", SUITES)
def test_suites_name_each_benchmark_once(suite):
    assert len(set(SUITES[suite])) == len(SUITES[suite])
    assert set(SUITES[suite]) <= BENCHMARKS.keys()


@pytest.mark.parametrize("category", ["general", "text_rich", "knowledge", "refer_ground"])
def test_each_scored_category_has_two_workbench_benchmarks_or_more(category):
    assert sum(BENCHMARKS[name].category == category for name in SUITES["workbench"]) >= 2
