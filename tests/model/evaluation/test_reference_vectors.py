"""Each metric against recorded answers of the reference implementations; `--metric-vectors FILE` takes another file of that form.

Where a reference guesses at random or fails, ours reads nothing: that is what these tests ask for there.
"""

import pytest

from model.evaluation.metrics import boxes, denotation, grounding, judged, mathvista, mmmu, text, vqa, yes_no
from model.evaluation.metrics.text import without_punctuation

UNREAD = [-1, -1]


def close(value):
    return pytest.approx(value, abs=1e-9)


def readable(expected):
    """Return what a reference answered, None where it failed or answered nonsense."""
    return None if isinstance(expected, dict) and expected.keys() & {"raises", "invalid"} else expected


@pytest.mark.parametrize("form", vqa.FORMS)
def test_texts_are_normalised_as_each_form_of_textvqa_does(vectors, form):
    for case in vectors["vqa.normalise"]:
        assert vqa.FORMS[form](case["text"]) == case["expected"][form], case


@pytest.mark.parametrize(("form", "key"), [
    ("open_flamingo", "open_flamingo"), ("m4c", "m4c"), ("m4c", "lmms"), ("vlmevalkit", "vlmevalkit")])
def test_agreement_with_the_annotators_equals_each_form(vectors, form, key):
    for case in vectors["vqa.accuracy10"]:
        assert vqa.accuracy(case["prediction"], case["answers"], form) == close(case["expected"][key]), case


def test_generations_are_cut_as_open_flamingo_does(vectors):
    for case in vectors["vqa.open_flamingo_postprocess"]:
        assert vqa.cut_generation(case["generation"]) == case["expected"], case


@pytest.mark.parametrize(("form", "key"), [("rrc", "rrc"), ("due", "due_raw_case_sensitive"), ("pix2struct", "pix2struct_lower")])
def test_string_similarity_equals_each_form_of_anls(vectors, form, key):
    for case in vectors["anls"]:
        assert text.anls(case["prediction"], case["references"], form) == close(case["expected"][key]), case


def test_denotations_are_compared_as_by_the_official_script(vectors):
    for case in vectors["wtq.denotation"]:
        assert denotation.denotes(case["prediction"], case["gold"]) == (readable(case["expected"]) or 0), case


def test_mmmus_open_answers_are_read_and_judged_as_by_the_official_script(vectors):
    for case in vectors["mmmu.open"]:
        golds = [case["gold"]] if isinstance(case["gold"], str) else case["gold"]
        assert sorted(map(str, mmmu.read(case["prediction"]))) == sorted(case["parsed"]), case
        assert mmmu.is_right(case["prediction"], golds) == case["expected"], case


def test_mmmus_subjects_are_pooled_over_questions(vectors):
    for case in vectors["mmmu.aggregate"]:
        subjects = {name: tuple(subject) for name, subject in case["subjects"].items() if subject[1]}
        assert (mmmu.pooled(subjects) if subjects else 0) == close(case["expected"]), case


def test_mathvistas_extractions_are_normalised_as_by_its_script(vectors):
    for case in vectors["mathvista.normalise"]:
        kind = mathvista.AnswerKind(case["question_type"], case["answer_type"], case["precision"], tuple(case["choices"] or ()))
        found = mathvista.normalise(case["extraction"], kind)
        assert found == case["normalised"], case
        assert mathvista.is_equal(found, case["answer"]) == case["expected"], case


def test_the_upper_bound_of_grounding_equals_lmms(vectors):
    for case in vectors["refcoco.lmms_grounding_parse"]:
        best = grounding.oracle_box(case["prediction"], case["gt"], width=case["width"], height=case["height"])
        assert [list(box) for box in grounding.all_boxes(case["prediction"])] == [close(box) for box in case["expected"]["boxes"]], case
        assert list(best) == close(case["expected"]["best"]), case
        assert boxes.iou(best, case["gt"]) == close(case["expected"]["iou"]), case


def test_boxes_in_text_are_decoded_as_ferret_does(vectors):
    for case in vectors["ferret.decode_boxes"]:
        expected, found = readable(case["expected"]), grounding.decode(case["prediction"], width=case["width"], height=case["height"])
        as_written = found if found is None else [[phrase for phrase, _ in found], [list(box) for _, box in found]]
        assert as_written == expected, case


def test_phrases_are_matched_as_ferret_does(vectors):
    for case in vectors["ferret.phrase_match"]:
        assert grounding.is_same_phrase(case["a"], case["b"]) == case["expected"], case


@pytest.mark.parametrize(("name", "protocol"), [("flickr30k.recall_any", "any"), ("flickr30k.recall_merged", "merged")])
def test_recall_of_phrases_equals_ferret_for_every_k(vectors, name, protocol):
    for case in vectors[name]:
        truths = [boxes.enclosing(case["gts"])] if protocol == "merged" else case["gts"]
        assert grounding.is_recalled(case["predictions"], case["gts"], k=case["k"], protocol=protocol) == case["expected"]["hit"], case
        overlap = readable(case["expected"]["max_iou"]) or 0  # two boxes without area: the reference divides nothing by nothing
        assert grounding.best_overlap(case["predictions"], truths, k=case["k"]) == close(overlap), case


def test_judges_pairs_are_read_as_by_llava_and_by_lmms(vectors):
    for case in vectors["judge.llava_scores"]:
        assert list(judged.score_pair(case["review"]) or UNREAD) == case["expected"]["original"], case
        assert list(judged.score_pair_loose(case["review"]) or UNREAD) == case["expected"]["lmms"], case


def test_judges_pairs_are_added_up_as_by_llava(vectors):
    for case in vectors["judge.llava_aggregate"]:
        assert judged.relative([tuple(pair) for pair in case["scores"]]) == readable(case["expected"]), case


def test_judges_grades_are_read_as_by_lmms_and_by_vlmevalkit(vectors):
    for case in vectors["judge.mmvet_score"]:
        assert judged.correctness(case["reply"]) == readable(case["expected"]["lmms"]), case
        assert judged.correctness_whole(case["reply"]) == readable(case["expected"]["vlmevalkit"]), case


def test_answers_are_shown_to_ferrets_judge_as_by_its_script(vectors):
    for case in vectors["ferretbench.postprocess"]:
        assert judged.shown_to_judge(case["text"], case["category"]) == readable(case["expected"]), case


def test_pope_in_lmms_form_compares_whole_answers(vectors):
    for case in vectors["pope.aggregate"]:
        found = yes_no.summarise([prediction.lower().strip() for prediction in case["predictions"]], case["labels"], is_raw=True)
        expected = case["expected"]["lmms"]
        assert {name: getattr(found, name) for name in expected} == close(expected), case


def test_every_metric_of_the_vectors_has_a_test(vectors, request):
    """A metric that a later file brings along must not go by unseen."""
    sources = "".join(path.read_text() for path in request.path.parent.glob("test_*.py"))
    assert [name for name in vectors if f'"{name}"' not in sources] == []


def test_at_most_32_dots_are_deleted_as_in_the_references():
    assert without_punctuation("." * 40) == "." * 8
