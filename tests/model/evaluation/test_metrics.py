"""Metrics against vectors of the reference implementations, and against their own definitions."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.data.samples import Item
from model.evaluation.metrics import METRICS, boxes, choices, text

VECTORS = Path(__file__).parents[2] / "vectors" / "metric_vectors.json"
BOXES = st.tuples(*[st.integers(0, 499)] * 2, *[st.integers(501, 1000)] * 2)


@pytest.fixture
def vectors(request):
    path = request.config.getoption("--metric-vectors") or VECTORS
    return {name: metric["vectors"] for name, metric in json.loads(Path(path).read_text())["metrics"].items()}


def item(**fields):
    return Item(**{"item_id": "i", "benchmark": "b", "question": "?", "images": (), "references": ("x",), **fields})


def test_anls_equals_the_robust_reading_form(vectors):
    for case in vectors["anls"]:
        assert text.anls(case["prediction"], case["references"]) == pytest.approx(case["expected"]["rrc"], abs=1e-9), case


def test_relaxed_accuracy_equals_chartqa(vectors):
    for case in vectors["chartqa.relaxed"]:
        assert text.relaxed(case["prediction"], [case["target"]]) == case["expected"], case


def test_yes_no_is_read_as_llava_does(vectors):
    for case in vectors["pope.parse_llava"]:
        assert choices.yes_no(case["prediction"]) == case["expected"], case


def test_yes_no_summary_equals_llava_where_that_is_defined(vectors):
    defined = [case for case in vectors["pope.aggregate"] if "raises" not in case["expected"]["llava"]]
    assert defined
    for case in defined:
        found = choices.summarise_yes_no(list(map(choices.yes_no, case["predictions"])), case["labels"])
        for name in ("accuracy", "precision", "recall", "f1", "yes_ratio"):
            assert getattr(found, name) == pytest.approx(case["expected"]["llava"][name], abs=1e-9), (name, case)


def test_nothing_predicted_yes_gives_zero_not_an_error():
    assert choices.summarise_yes_no(["no", "no"], ["yes", "no"]).f1 == 0


def test_first_letter_scores_as_seed(vectors):
    for case in vectors["mcq.extraction"]:
        letter = choices.first_letter(case["prediction"], len(case["options"]))
        assert float(letter == case["gold"]) == case["expected"]["seed_lmms.score"], case


@pytest.mark.parametrize(("said", "letter"), [
    ("The answer is B.", "B"), ("\\boxed{C}", "C"), ("maybe (A), no (D)", "D"), ("B. the blue bird", "B"), ("I choose C", "C"),
    ("the blue bird", "B"), ("A or B", "A"), ("neither", None), ("", None),
])
def test_lenient_letter_reads_the_common_forms(said, letter):
    options = ("a red apple", "the blue bird", "12", "none of the above")
    assert choices.lenient_letter(said, options) == letter


@given(BOXES, BOXES)
def test_overlap_is_symmetric_and_a_share(a, b):
    assert boxes.iou(a, b) == boxes.iou(b, a)
    assert 0 < boxes.iou(a, b) <= 1
    assert boxes.iou(a, a) == 1


@pytest.mark.parametrize(("metric", "prediction", "fields", "strict", "parsed"), [
    ("exact", "Red.", {"references": ("red",)}, 1, True), ("exact", "", {"references": ("red",)}, 0, False),
    ("yes_no", "banana", {"references": ("yes",)}, 0, False), ("yes_no", "No", {"references": ("no",)}, 1, True),
    ("choice", "E", {"references": ("A",), "options": ("x", "y")}, 0, False),
    ("choice", "b", {"references": ("B",), "options": ("x", "y")}, 1, True),
    ("iou", "[0, 0, 10, 10]", {"references": ("[0, 0, 10, 20]",)}, 1, True), ("iou", "left", {"references": ("[0, 0, 10, 20]",)}, 0, False),
    ("relaxed", "105", {"references": ("100",)}, 1, True), ("relaxed", "many", {"references": ("100",)}, 0, False),
])
def test_what_cannot_be_read_is_wrong_and_counted(metric, prediction, fields, strict, parsed):
    score = METRICS[metric](prediction, item(**fields))
    assert (score.strict, score.is_parsed) == (strict, parsed)
