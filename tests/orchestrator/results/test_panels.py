"""What figures show, on made-up studies: panels, planes, outcomes in words."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine

from orchestrator.ledger import read
from orchestrator.ledger.engine import open_ledger
from orchestrator.results import outcome, panels, plane
from orchestrator.results.results import PublishedScores, Results, study_results
from orchestrator.results.titles import title
from orchestrator.study.metric_names import TOKENS
from tests.support.synthetic import SCIENCE, Sketch, sketch

Found = Callable[..., Results]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_ledger(f"sqlite:///{tmp_path}/ledger.db")
    yield engine
    engine.dispose()


@pytest.fixture
def found(engine: Engine) -> Found:
    """Make up a study and gather its results."""

    def make(**wanted: object) -> Results:
        return study_results(engine, read.study(engine, sketch(engine, Sketch(**wanted))))  # type: ignore[arg-type]

    return make


def test_panels_are_what_decides_mmbase_and_what_must_hold(found: Found) -> None:
    assert panels.panel_metrics(found()) == ["knowledge", "mmbase", "general"]


def test_no_scores_no_panels(found: Found) -> None:
    assert panels.panel_metrics(found(state="RUNNING", done=0.0)) == []


def test_point_has_all_seeds_and_its_difference(found: Found) -> None:
    point = panels.panel(found(), "knowledge").points[2]
    assert (point.label, point.n, sorted(point.seeds), point.is_chosen) == ("0.5", 3, [0, 1, 2], True)
    assert point.delta is not None
    assert point.delta > 20
    assert point.is_told_apart


def test_arm_without_score_stays_with_its_reason(found: Found) -> None:
    results = found(states={(1, 0): "FAILED", (1, 1): "DIVERGED", (1, 2): "QUEUED"}, state="RUNNING")
    point = panels.panel(results, "knowledge").points[1]
    assert (point.mean, point.note) == (None, "1 diverged, 1 failed, 1 to come")


def test_one_numeric_factor_is_a_curve_with_short_labels(found: Found) -> None:
    panel = panels.panel(found(), "mmbase")
    assert (panel.is_ordered, panel.is_alpha, panel.factor) == (True, True, "science")
    assert [point.label for point in panel.points] == ["0", "0.1", "0.5"]


def test_named_rows_that_change_several_things_are_no_curve(found: Found) -> None:
    arms = ({"sft.images.mode": "single"}, {"sft.images.mode": "static", "sft.images.tokens": 9})
    panel = panels.panel(found(arms=arms, names=("1 single", "2 static"), select={"maximize": "mmbase", "baseline": "1 single"}), "mmbase")
    assert not panel.is_ordered
    assert [point.label for point in panel.points] == ["1 single", "2 static"]


def test_limit_counts_from_the_baseline(found: Found) -> None:
    panel = panels.panel(found(), "general")
    assert panel.baseline is not None
    assert panel.limit == pytest.approx(panel.baseline.mean - 5)


def test_papers_choice_is_the_label_of_its_arm(found: Found) -> None:
    assert panels.panel(found(published="alpha-science"), "mmbase").paper_choice == "0.1"


def test_costs_are_offered_only_where_arms_differ_in_them(found: Found) -> None:
    assert TOKENS not in plane.axes(found())
    assert plane.axes(found(name="other", tokens=lambda levels: 16 + 100 * levels[SCIENCE]))[0] == TOKENS


def test_front_holds_what_nothing_beats_in_both(found: Found) -> None:
    tokens = {0: 100.0, 0.1: 400.0, 0.5: 300.0}
    shown = plane.plane(found(tokens=lambda levels: tokens[levels[SCIENCE]]), TOKENS, "knowledge")
    assert [point.is_front for point in shown.points] == [True, False, True]


def test_front_obeys_the_constraints(found: Found) -> None:
    tokens = {0: 300.0, 0.1: 200.0, 0.5: 100.0}
    select = {"maximize": "knowledge", "subject_to": ["refer_ground >= baseline.refer_ground - 1"], "baseline": {SCIENCE: 0}}
    shown = plane.plane(found(tokens=lambda levels: tokens[levels[SCIENCE]], select=select, noise=0.0), TOKENS, "knowledge")
    assert [(point.is_feasible, point.is_front) for point in shown.points] == [(True, False), (True, True), (False, False)]


def test_arms_without_both_numbers_are_named(found: Found) -> None:
    shown = plane.plane(found(state="RUNNING", done=0.5), "general", "knowledge")
    assert (len(shown.points), shown.without) == (2, ("science=0.5",))


def test_the_paper_counts_from_its_own_baseline(found: Found) -> None:
    results = found()
    keys = [arm.key for arm in results.arms]
    published = PublishedScores(title="", source="", chosen=None, scores={keys[0]: {"mmbase": 60.0}, keys[1]: {"mmbase": 60.8}})
    shown = panels.panel(replace(results, published=published), "mmbase")
    assert [point.published for point in shown.points] == [0.0, pytest.approx(0.8), None]


def test_states_are_told_apart(found: Found) -> None:
    results = found(states={(0, 0): "CANCELLED", (0, 1): "FAILED", (1, 1): "DIVERGED"}, state="COMPLETED_WITH_FAILURES")
    assert panels.arm_notes(results, "knowledge")[results.arms[0].key] == "1 failed, 1 cancelled"
    assert outcome.verdict_sentence(results).startswith("No verdict: of 9 trials 6 succeeded, 1 diverged, 1 failed, 1 cancelled")
    assert {each.message: len(each.labels) for each in outcome.failures(results)} == {
        "loss is not finite at step 41": 1, "sample 17: 3 images, allowed: 1": 1}


def test_a_running_study_has_no_verdict_yet(found: Found) -> None:
    assert outcome.verdict_sentence(found(state="RUNNING", done=0.5)).startswith("No verdict yet")


@pytest.mark.parametrize(("metric", "name"), [("mmbase", "MMBase"), ("refer_ground", "Refer & ground"), ("scene-qa", "scene-qa"),
                                              ("tokens_per_image", "Tokens per image"), ("knowledge", "Knowledge")])
def test_one_vocabulary(metric: str, name: str) -> None:
    assert title(metric) == name
