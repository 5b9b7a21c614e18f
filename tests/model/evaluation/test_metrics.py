"""Metrics against vectors of the reference implementations, and against their own definitions."""

import string

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.config.scoring import ScoringConfig
from model.evaluation.metrics import METRICS, boxes, choices, denotation, judged, score_item, text, yes_no
from model.samples import Item

OPTIONS = ("a red apple", "the blue bird", "12", "none of the above")
LETTERS = dict(zip("ABCD", "ABCD", strict=True))
EDGES = st.tuples(*[st.integers(0, 499)] * 2, *[st.integers(501, 1000)] * 2)
PLACED = {"width": "100", "height": "200", "boxes": "[[0, 0, 1, 4]]", "phrase": "a dog"}
FIELDS = {
    "yes_no": {"references": ("yes",)}, "mme": {"references": ("no",)}, "tabfact": {"references": ("1",)},
    "vqa": {"references": ("b",) * 10}, "refcoco": {"meta": PLACED}, "phrase": {"meta": PLACED},
    "iou": {"references": ("[0, 0, 10, 20]",)}, "relaxed": {"references": ("12",)},
    "realworldqa": {"references": ("B",), "options": OPTIONS}, "mantis": {"references": ("(B)",), "options": OPTIONS},
}
ANSWERS = st.one_of(st.text(max_size=30), st.sampled_from([
    "yes", "No.", "not sure", "B", "(b)", "The answer is B.", "a red apple", "[0, 0, 10, 20]", "12", "12%", "true", "", " ", "A or B",
    "\\boxed{B}",
]))


REFUSED = "refused"
"""What a test notes where our rule refuses data that the reference fails on, or lets every answer pass."""


def or_refused(function, *args, **options):
    try:
        return function(*args, **options)
    except ValueError:
        return REFUSED


def item(**fields):
    return Item(**{"item_id": "i", "benchmark": "b", "question": "?", "images": (), "references": ("x",), **fields})


def test_anls_equals_the_robust_reading_form(vectors):
    for case in vectors["anls"]:
        assert text.anls(case["prediction"], case["references"]) == pytest.approx(case["expected"]["rrc"], abs=1e-9), case


def test_relaxed_accuracy_equals_chartqa(vectors):
    for case in vectors["chartqa.relaxed"]:
        assert text.relaxed(case["prediction"], [case["target"]]) == case["expected"], case


def test_containment_equals_ocrbench(vectors):
    for case in vectors["ocrbench"]:
        answers = np.atleast_1d(case["answers"]).tolist()
        expected = case["expected"] if all(answer.strip() for answer in answers) else REFUSED
        assert or_refused(text.ocr_contains, case["prediction"], answers, is_formula=case["dataset"] == "HME100k") == expected, case


def test_an_empty_ocr_reference_is_refused():
    with pytest.raises(ValueError, match="empty reference"):
        text.ocr_contains("anything", ["word", " "])


def test_negations_are_removed_as_ferret_does(vectors):
    for case in vectors["lvis_ferret"]:
        assert text.without_negations(case["text"]) == case["expected"]["processed"], case
        assert text.names_thing(case["text"], [case["name"], *case["synonyms"]]) == case["expected"]["hit"], case


@pytest.mark.parametrize(("said", "found"), [("a bow tie", 1), ("a tie", 1), ("a bow", 0)])
def test_a_name_with_a_bracket_is_both_its_parts(said, found):
    assert text.names_thing(said, ["tie_(bow_tie)"]) == found


@pytest.mark.parametrize(("said", "number"), [
    ("It is 12.", "12"), ("about 1,200 people", "1200"), ("-3.5%", "-3.5%"), ("3 of 4", None), ("many", None), ("A4", None)])
def test_the_only_number_of_a_sentence_is_found(said, number):
    assert text.only_number(said) == number


def test_pope_is_read_as_llava_and_vlmevalkit_do(vectors):
    for case in vectors["pope.parse_llava"]:
        assert yes_no.pope_llava(case["prediction"]) == case["expected"], case
    for case in vectors["pope.parse_vlmevalkit"]:
        assert (yes_no.pope_vlmevalkit(case["prediction"]) or "unknown").capitalize() == case["expected"], case


def test_mme_is_read_as_lmms_and_its_own_script_do(vectors):
    for case in vectors["mme.parse_lmms"]:
        assert (yes_no.mme(case["prediction"]) or "other") == case["expected"], case
    for case in vectors["mme.parse_official"]:
        assert (yes_no.mme_official(case["prediction"]) or "other") == case["expected"], case


def test_mme_is_added_up_as_published(vectors):
    for case in vectors["mme.aggregate"]:
        found = or_refused(yes_no.summarise_mme, [(pair["category"], pair["image_id"], pair["correct"]) for pair in case["pairs"]])
        names = {"perception": "perception", "cognition": "cognition", "normalised_2800_pct": "normalised"}
        expected = REFUSED if "raises" in case["expected"] else pytest.approx({name: case["expected"][name] for name in names}, abs=1e-9)
        assert (found if found == REFUSED else {name: getattr(found, field) for name, field in names.items()}) == expected, case


@pytest.mark.parametrize("pair", [("count", "i", [1]), ("count", "i", [1, 1, 0]), ("counting", "i", [1, 1])])
def test_an_mme_image_without_two_answers_is_refused(pair):
    with pytest.raises(ValueError, match=pair[0]):
        yes_no.summarise_mme([pair])


def test_pope_summary_equals_llava_where_that_is_defined(vectors):
    defined = [case for case in vectors["pope.aggregate"] if "raises" not in case["expected"]["llava"]]
    assert defined
    for case in defined:
        found = yes_no.summarise(list(map(yes_no.pope_llava, case["predictions"])), case["labels"])
        for name in ("accuracy", "precision", "recall", "f1", "yes_ratio"):
            assert getattr(found, name) == pytest.approx(case["expected"]["llava"][name], abs=1e-9), (name, case)


def test_nothing_predicted_yes_gives_zero_not_an_error():
    assert yes_no.summarise(["no", None], ["yes", "no"]).f1 == 0


def test_tabfact_equals_containment(vectors):
    for case in vectors["tabfact"]:
        assert float(yes_no.tabfact(case["prediction"] or "") == case["gold"]) == float(case["expected"] or 0), case


def test_nlvr2_is_read_as_mantis_and_added_up_as_its_script(vectors):
    for case in vectors["nlvr2.mantis_rule"]:
        assert (choices.nlvr2(case["prediction"], case["options"]) == case["gold"]) == case["expected"], case
    for case in vectors["nlvr2.official"]:
        found = yes_no.summarise_nlvr2(case["items"])
        assert {"accuracy": found.accuracy, "consistency": found.consistency} == pytest.approx(case["expected"], abs=1e-9), case


@pytest.mark.parametrize(("rule", "key"), [
    ("mmmu", "mmmu_official.letter"), ("qbench2", "lmms_mmmu.letter"), ("ranked", "lmms_extract_mcq.letter"),
    ("blink", "blink_lmms.letter")])
def test_the_letter_read_equals_the_reference_and_nothing_where_it_guesses(vectors, rule, key):
    for case in vectors["mcq.extraction"]:
        found = choices.STRICT[rule](case["prediction"], list(case["options"].values()))
        assert found == LETTERS.get(case["expected"][key]), case


@pytest.mark.parametrize(("rule", "key"), [
    ("seed", "seed_lmms.score"), ("ai2d", "ai2d_lmms.score"), ("leading_period", "scienceqa_lmms.score"),
    ("leading_period", "muirbench_lmms.score"), ("mvbench", "mvbench_lmms.score")])
def test_the_choice_scores_as_the_reference(vectors, rule, key):
    for case in vectors["mcq.extraction"]:
        found = choices.STRICT[rule](case["prediction"], list(case["options"].values()))
        assert float(found == case["gold"]) == case["expected"][key], case


def test_scienceqa_is_read_as_llava_does(vectors):
    index = {None: -1, **{letter: place for place, letter in enumerate("ABCDE")}}
    for case in vectors["mcq.extraction"]:
        found = choices.scienceqa(case["prediction"], list(case["options"].values()))
        assert index[found] == case["expected"]["scienceqa_llava.index"], case


def test_mvbench_scores_as_vlmevalkit_but_an_empty_answer_is_wrong(vectors):
    for case in vectors["mcq.extraction"]:
        first = case["prediction"].split(" ")[0].replace(".", "")  # the reference finds the empty text in every option
        expected = case["expected"]["mvbench_vlmevalkit.bool"] and first != ""
        assert choices.names_option(case["prediction"], case["gold"]) == expected, case


def test_realworldqa_scores_as_lmms(vectors):
    for case in vectors["realworldqa"]:
        assert score_item("realworldqa", case["prediction"], item(references=(case["gold"],))).strict == case["expected"], case


def test_mantis_scores_as_its_own_script(vectors):
    for case in vectors["mantis"]:
        judged = score_item("mantis", case["prediction"], item(references=(case["gold"],), options=tuple(case["options"])))
        assert judged.strict == case["expected"]["official"], case


@pytest.mark.parametrize(("said", "letter"), [
    ("The answer is B.", "B"), ("The correct answer is **C**. Here is why", "C"), ("Answer: (d)", "D"), ("The answer is option B", "B"),
    ("Option A is wrong; the answer is B", "B"), ("option C", "C"), ("\\boxed{C}", "C"), ("\\boxed{\\text{B}}", "B"),
    ("maybe (A), no (D)", "D"), ("B. the blue bird", "B"), ("b", "B"), ("b)", "B"), ("I choose C", "C"), ("The blue bird.", "B"),
    ("A or B", "A"), ("B and C", "B"), ("it could be B or C", None), ("The answer is a mystery", None), ("E", None), ("neither", None),
    ("", None), ("optional", None),
])
def test_the_lenient_extractor_reads_the_common_forms(said, letter):
    assert choices.lenient_letter(said, OPTIONS) == letter


@pytest.mark.parametrize(("said", "gold", "options", "right"), [
    ("y", "B", ("(A) x", "(B) y"), 1), ("y", "(b) y", ("A. x", "B. y"), 1), ("Y", "B", ("A: x", "B: y"), 0),
    ("Answer: B", "B.", ("x", "y"), 1), ("So Answer: B", "B", ("x", "y"), 0), ("Final answer:  Answer: B", "B", ("x", "y"), 1),
    ("the b one", "B", ("x", "y"), 0), ("b", "(B)", ("x", "y"), 1),
])
def test_mantis_reads_letters_before_texts_and_texts_without_their_letter(said, gold, options, right):
    assert score_item("mantis", said, item(references=(gold,), options=options)).strict == right


@pytest.mark.parametrize(("said", "gold", "right"), [
    ("Final Answer: Two ", "(two)", 1), (" two", "two", 0), ("two.", "two", 0), ("two", "\ntwo", 1)])
def test_a_short_answer_of_mantis_is_compared_as_it_stands(said, gold, right):
    assert score_item("mantis", said, item(references=(gold,))).strict == right


@pytest.mark.parametrize(("said", "options", "letter"), [
    ("It is false", ("False", "True"), "A"), ("it is true", ("True", "False"), "A"), ("true or false", ("True", "False"), None)])
def test_a_word_of_truth_names_the_option_that_holds_it(said, options, letter):
    assert choices.nlvr2(said, options) == letter


@pytest.mark.parametrize(("said", "gold", "right"), [("B", "b", 1), ("no..", "No", 1), ("no", "No.", 0), ("答案是B吧", "B", 1)])
def test_realworldqas_golds_are_letters_in_either_case_or_texts_with_their_dots(said, gold, right):
    assert score_item("realworldqa", said, item(references=(gold,))).strict == right


def test_the_later_of_two_announcements_counts_for_the_ranked_extractor():
    assert choices.ranked("my choice is, Answer: B, the choice is option A, or so", ("x", "y")) == "A"


@pytest.mark.parametrize("text", ["nan", "inf", "-Infinity", "1e999"])
def test_a_number_that_is_not_finite_denotes_nothing(text):
    assert denotation.denotes(text, text) == 0


def test_similarity_divides_by_the_length_in_capitals():
    assert text.anls("stra", ["straß"]) == pytest.approx(1 - 1 / 6)


@given(st.text(max_size=40), st.integers(2, 26))
def test_a_choice_rule_never_names_an_option_that_is_not_there(said, count):
    options = [f"thing {i}" for i in range(count)]
    allowed = {None, *string.ascii_uppercase[:count]}
    assert {rule(said, options) for rule in (*choices.STRICT.values(), choices.lenient_letter)} <= allowed


def test_boxes_are_read_as_lmms_does(vectors):
    for case in vectors["refcoco.lmms_rec"]:
        found = boxes.lmms_box(case["prediction"]) or (0, 0, 0, 0)
        assert list(found) == case["expected"]["box"], case
        assert boxes.iou(found, case["gt"]) == pytest.approx(case["expected"]["iou"], abs=1e-9), case
        assert boxes.found(found, [case["gt"]]) == case["expected"]["hit"], case


def test_boxes_are_read_as_vlmevalkit_does(vectors):
    for case in vectors["refcoco.vlmevalkit"]:
        found, expected = boxes.vlmevalkit_box(case["prediction"], width=case["width"], height=case["height"]), case["expected"]
        assert (found and list(found)) == (expected["box"] and pytest.approx(expected["box"], abs=1e-9)), case
        assert boxes.iou(found or (0, 0, 0, 0), case["gt"]) == pytest.approx(expected["iou"], abs=1e-9), case
        assert boxes.found(found, [case["gt"]]) == expected["hit"], case


@given(EDGES, EDGES)
def test_overlap_is_symmetric_and_a_share(a, b):
    assert boxes.iou(a, b) == boxes.iou(b, a)
    assert 0 < boxes.iou(a, b) <= 1
    assert boxes.iou(a, a) == 1


@pytest.mark.parametrize(("metric", "prediction", "fields", "strict", "lenient", "parsed"), [
    ("exact", "Red.", {"references": ("red",)}, 1, 1, "red"), ("exact", "", {"references": ("red",)}, 0, 0, None),
    ("exact", "It is red", {"references": ("red",)}, 0, 1, "it is red"), ("exact", "reddish", {"references": ("red",)}, 0, 0, "reddish"),
    ("yes_no", "banana", {"references": ("yes",)}, 0, 0, None), ("yes_no", "No", {"references": ("no",)}, 1, 1, "no"),
    ("yes_no", "NO.", {"references": ("no",)}, 0, 1, None), ("yes_no", "It is not.", {"references": ("no",)}, 1, 1, "no"),
    ("choice", "E", {"references": ("A",), "options": OPTIONS}, 0, 0, None),
    ("choice", "b", {"references": ("B",), "options": OPTIONS}, 1, 1, "B"),
    ("choice", "It is (B)", {"references": ("B",), "options": OPTIONS}, 0, 1, None),
    ("iou", "[0, 0, 10, 10]", {"references": ("[0, 0, 10, 20]",)}, 1, 1, "[0.0, 0.0, 10.0, 10.0]"),
    ("iou", "left", {"references": ("[0, 0, 10, 20]",)}, 0, 0, None),
    ("iou", "10 20 0 0", {"references": ("[0, 0, 10, 20]",)}, 0, 1, None),
    ("relaxed", "105", {"references": ("100",)}, 1, 1, "105"), ("relaxed", "many", {"references": ("100",)}, 0, 0, None),
    ("relaxed", "It is 98.", {"references": ("100",)}, 0, 1, None), ("relaxed", "red", {"references": ("Red",)}, 1, 1, "red"),
    ("vqa", "Two Answer: three", {"references": ("2",) * 9 + ("a",)}, 1, 1, "two"),
    ("vqa", "HELLO", {"references": ("hello",) * 10}, 0, 1, "hello"), ("vqa", "", {"references": ("2",) * 10}, 0, 0, None),
    ("denotation", "b, a", {"references": ("a|b",)}, 0, 0, "b, a"), ("denotation", "b|a", {"references": ("a|b",)}, 1, 1, "b | a"),
    ("denotation", "", {"references": ("a",)}, 0, 0, None), ("denotation", "It is a", {"references": ("a",)}, 0, 1, "it is a"),
    ("mmmu", "The answer is 42.", {"references": ("42",)}, 1, 1, "the answer is 42"), ("mmmu", "", {"references": ("42",)}, 0, 0, None),
    ("mmmu", "(B)", {"references": ("B",), "options": OPTIONS}, 1, 1, "B"),
    ("refcoco", "[0, 0, 10, 20]", {"meta": PLACED}, 1, 1, "[0.0, 0.0, 1.0, 4.0]"), ("refcoco", "10 20 0 0", {"meta": PLACED}, 0, 1, None),
    ("phrase", "a dog [0, 0, 10, 20].", {"meta": PLACED}, 1, 1, "[0.0, 0.0, 1.0, 4.0]"),
    ("phrase", "a cat [0, 0, 10, 20].", {"meta": PLACED}, 0, 1, None),
    ("phrase", "[0, 0, 10, 20]", {"meta": PLACED}, 1, 1, "[0.0, 0.0, 1.0, 4.0]"),
    ("likelihood", "4.0", {"references": ("x",)}, 0.5, 0.5, "4.0"), ("likelihood", "16.0", {"references": ("é",)}, 0, 0, "16.0"),
    ("loss", "0.0 nats over 3 tokens", {"references": ("x",)}, 1, 1, "0.0 nats over 3 tokens"),
    ("anls", "hello", {"references": ("helo",)}, 0.8, 0.8, "hello"), ("anls", "it says 42", {"references": ("42",)}, 0, 1, "it says 42"),
])
def test_an_answer_is_judged_strictly_and_leniently(metric, prediction, fields, strict, lenient, parsed):
    judged = score_item(metric, prediction, item(**fields))
    assert (judged.strict, judged.lenient, judged.parsed) == (pytest.approx(strict), pytest.approx(lenient), parsed)


@given(st.sampled_from(sorted(METRICS.keys() - {"likelihood", "loss"})), ANSWERS)
def test_strict_never_exceeds_lenient_and_the_unparseable_is_wrong(metric, said):
    judged = score_item(metric, said, item(**FIELDS.get(metric, {"references": ("B",), "options": OPTIONS})))
    assert 0 <= judged.strict <= judged.lenient <= 1
    assert judged.is_parsed or judged.strict == 0


@pytest.mark.parametrize(("metric", "fields", "message"), [
    ("exact", {"references": ()}, "references"), ("anls", {"references": ("",)}, "not empty"),
    ("choice", {"references": ("A",)}, "0 options"),
    ("choice", {"references": ("A",), "options": ("x",) * 27}, "27 options"), ("iou", {"references": ("left",)}, "thousandths"),
])
def test_an_item_that_cannot_be_judged_is_refused_by_name(metric, fields, message):
    with pytest.raises(ValueError, match=rf"item-7.*{message}"):
        score_item(metric, "answer", item(item_id="item-7", **fields))


@pytest.mark.parametrize(("metric", "prediction", "fields", "choice", "strict"), [
    ("anls", "HELLO", {"references": ("hello",)}, {"anls_form": "due"}, 0), ("anls", "HELLO", {"references": ("hello",)}, {}, 1),
    ("vqa", "HELLO", {"references": ("hello",) * 10}, {"textvqa_form": "m4c"}, 1),
    ("tabfact", "it is true", {"references": ("1",)}, {"tabfact_rule": "exact"}, 0),
    ("tabfact", "it is true", {"references": ("1",)}, {}, 1),
    ("denotation", "b|a", {"references": ("a|b",)}, {"wtq_rule": "exact"}, 0),
    ("refcoco", "[0, 0, 5, 20]", {"meta": PLACED}, {"iou_threshold": "above"}, 0),
    ("refcoco", "[0, 0, 5, 20]", {"meta": PLACED}, {}, 1),
    ("refcoco", "[0, 0, 0.01, 0.02]", {"meta": PLACED}, {"box_scale": "fractions"}, 1),
    ("refcoco", "[0, 0, 1, 4]", {"meta": PLACED}, {"box_scale": "pixels"}, 1), ("refcoco", "[0, 0, 1, 4]", {"meta": PLACED}, {}, 0),
    ("phrase", "[0, 0, 20, 20]", {"meta": PLACED | {"boxes": "[[0, 0, 1, 4], [1, 0, 2, 4]]"}}, {"flickr_protocol": "merged"}, 1),
    ("phrase", "[0, 0, 30, 20]", {"meta": PLACED | {"boxes": "[[0, 0, 1, 4], [1, 0, 2, 4]]"}}, {}, 0),
])
def test_what_the_papers_leave_open_is_chosen(metric, prediction, fields, choice, strict):
    assert score_item(metric, prediction, item(**fields), ScoringConfig(**choice)).strict == strict


MARKS = st.one_of(st.floats(0, 10), st.sampled_from([-999, -1, -0.5, 10.5, 11, 100, float("inf"), float("nan")]))


@given(MARKS, MARKS)
def test_a_pair_of_marks_outside_the_scale_is_unread(reference, model):
    pair = judged.score_pair(f"{reference} {model}\nBecause.")
    assert pair == ((reference, model) if all(0 <= mark <= 10 for mark in (reference, model)) else None)


@given(st.one_of(st.floats(0, 1), st.sampled_from([-999, -0.1, 1.5, 2, 10, float("inf"), float("nan")])))
def test_a_grade_outside_the_scale_is_unread(grade):
    expected = grade if 0 <= grade <= 1 else None
    assert judged.correctness(f"{grade} because") == judged.correctness_whole(str(grade)) == expected
