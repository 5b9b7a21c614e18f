"""Benchmarks and categories of the operator's own: read from the catalogue, asked, scored and averaged as declared, or refused by line."""

import json
import sys

import pytest
from PIL import Image

from model.config.benchmark import Benchmark
from model.config.fields import build, to_plain
from model.config.scoring import ScoringConfig
from model.data.sources.dataset import open_dataset
from model.evaluation.averages import averages
from model.evaluation.held_out import item_sample
from model.evaluation.local_copies.checking import check_copies
from model.evaluation.local_copies.fingerprint import copy_fingerprint
from model.evaluation.local_copies.items import LocalItems
from model.evaluation.local_copies.opening import open_copy
from model.evaluation.metrics.own import score_answer, with_options
from model.samples import Item
from model.workbench import make_sample
from orchestrator.errors import StudyError
from orchestrator.plan.identity import canonical
from orchestrator.study.catalogue import load_catalogue
from tests.support import corpora, package

TEXT = """
kind: catalogue
name: lab
categories:
  remote_sensing: {in_mmbase: true}
datasets:
  remote_sensing:
    roofs: {own: true, layout: pairs, files: [roofs.jsonl], images: .}
benchmarks:
  roofs: {files: roofs, category: remote_sensing, metric: exact, prompt: "{question}\\nAnswer with one word."}
  forms:
    files: forms
    category: text_rich
    metric: {name: anls, anls_form: due}
    columns: {question: ask, answer: gold, image: picture, name: id}
    group: kind
    in_average: false
  maps:
    files: maps
    category: knowledge
    metric: choice
    columns: {options: choices}
  words: {files: roofs, category: general, metric: {name: first-word, ignore_case: true}}
  things: {files: things, category: general, metric: exact, family: counting}
  loss-roofs: {files: held-out, metric: loss, layout: llava}
"""
ROWS = {
    "roofs": [{"image": "a.png", "question": "What colour?", "answer": ["Red", "reddish"]}],
    "forms": [{"picture": ["a.png", "a.png"], "ask": "Date?", "gold": "1 May", "id": "x7", "kind": "tax"}],
    "maps": [{"image": "a.png", "question": "Which?", "choices": ["river", "road"], "answer": answer} for answer in (1, "B", "road")],
    "things": [{"image": "a.png", "things": {"dogs": 2, "cats": 3}}],
}


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A folder with copies, one data set, and an installed package."""
    monkeypatch.syspath_prepend(str(package.install(tmp_path / "site")))
    for name, rows in ROWS.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))
        Image.new("RGB", (8, 8)).save(tmp_path / name / "a.png")
    (tmp_path / "roofs.jsonl").write_text(json.dumps({"ask": "What is it?", "say": "A roof.", "file": "roofs/a.png"}))
    corpora.llava(tmp_path / "held-out", "general", 3)
    records = tmp_path / "held-out" / "general.jsonl"
    # Pictures are named from the copy's folder.
    records.write_text(records.read_text().replace("train/", "images/train/"))
    yield tmp_path
    sys.modules.pop("lab_plugins", None)


@pytest.fixture
def read(lab):
    def written(old="", new=""):
        assert old in TEXT
        (lab / "catalogue.yaml").write_text(TEXT.replace(old, new) if old else TEXT)
        return load_catalogue(lab / "catalogue.yaml", cache=lab / "cache")

    return written


def spec_of(catalogue, name):
    return next(each for each in catalogue.own if each.name == name)


def items(catalogue, name):
    return LocalItems(spec_of(catalogue, name), catalogue.copy_of(name))


def item(*references, options=()):
    return Item(item_id="x/0", benchmark="x", question="?", images=(), references=references, options=options)


def test_rows_become_items_by_their_columns(read):
    catalogue = read()
    (roof,) = [items(catalogue, "roofs")[0]]
    assert (roof.question, roof.references) == ("<image>What colour?\nAnswer with one word.", ("Red", "reddish"))
    form = items(catalogue, "forms")[0]
    assert (form.item_id, form.question, form.meta["kind"], len(form.images)) == ("forms/x7", "<image><image>Date?", "tax", 2)


def test_the_right_option_is_a_letter_an_index_or_itself(read):
    found = items(read(), "maps")
    assert [each.references for each in found] == [("B",)] * 3
    assert [each.options for each in found] == [("river", "road")] * 3


def test_a_familys_items_are_those_of_its_function(read):
    found = items(read(), "things")
    assert [(each.question, each.references, each.meta["thing"]) for each in found] == [
        ("<image>How many dogs?", ("2",), "dogs"), ("<image>How many cats?", ("3",), "cats")]


def test_a_layout_of_a_package_makes_samples(read):
    catalogue = read()
    (source,) = catalogue.sources
    sample = open_dataset(source, catalogue, "stored").sample(0)
    assert (sample.category, sample.turns[0].question, len(sample.images)) == ("remote_sensing", "<image>What is it?", 1)


def test_a_packages_metric_scores_with_the_catalogues_options(read):
    spec = spec_of(read(), "words")
    assert (spec.metric_version, spec.options) == (3, '{"ignore_case": true}')
    scores = [score_answer(spec, said, item("Red roof"), ScoringConfig()) for said in ("red", "blue", "")]
    assert [(each.strict, each.is_parsed) for each in scores] == [(1.0, True), (0.0, True), (0.0, False)]


def test_a_packages_score_beyond_1_is_refused(read):
    spec = spec_of(read("first-word, ignore_case: true", "wrong"), "words")
    with pytest.raises(ValueError, match="'wrong' returned 7; allowed: a number from 0 to 1"):
        score_answer(spec, "red", item("Red"), ScoringConfig())


def test_the_catalogue_fixes_options_of_our_metrics_and_leaves_the_rest_to_the_study(read):
    spec = spec_of(read(), "forms")
    assert (spec.choices, with_options(spec, ScoringConfig(anls_form="rrc")).anls_form) == ((), "due")
    free = spec_of(read("{name: anls, anls_form: due}", "anls"), "forms")
    assert (free.choices, with_options(free, ScoringConfig(anls_form="pix2struct")).anls_form) == (("anls_form",), "pix2struct")


def test_averages_hold_own_benchmarks_where_the_catalogue_says(read):
    own = read().own
    scores = {"roofs": 30.0, "form-fields": 60.0, "scene-qa": 90.0, "science-names": 60.0, "forms": 1.0}
    found = averages(scores, tuple(scores), own).values
    assert (found["remote_sensing"], found["text_rich"], found["mmbase"], found["overall"]) == (30, 60, 60, 60)
    outside = averages(scores, tuple(scores), read("in_mmbase: true", "in_overall: false").own).values
    assert (outside["mmbase"], outside["overall"]) == (70, 70)


def test_what_is_asked_changes_the_identity_and_its_place_does_not(read):
    first = spec_of(read(), "roofs")
    assert canonical(first) == canonical(spec_of(read("in_mmbase: true", "in_mmbase: false"), "roofs"))
    for old, new in (("with one word", "shortly"), ("remote_sensing, metric: exact", "remote_sensing, metric: contains")):
        assert canonical(spec_of(read(old, new), "roofs")) != canonical(first)
    assert build(Benchmark, to_plain(first)) == first


@pytest.mark.parametrize(("old", "new", "line", "says"), [
    ("category: text_rich", "category: text_rihc", 13, "'text_rihc' is no category"),
    ("anls_form: due", "anls_from: due", 14, "has no option 'anls_from'; allowed: anls_form"),
    ("anls_form: due", "anls_form: duo", 14, "'duo'; allowed: rrc, due, pix2struct"),
    ("gold, image", "gold, imgae", 15, "unknown field"),
    ("metric: choice\n    columns: {options: choices}", "metric: choice", 21, "'choice' needs"),
    ("first-word", "first-wrod", 23, "no metric 'first-wrod' is installed"),
    ("family: counting", "family: countnig", 24, "no family of benchmarks 'countnig' is installed"),
    ("layout: pairs", "layout: pairz", 8, "no layout 'pairz' is installed"),
    ("in_mmbase: true", "in_mbase: true", 5, "unknown field"),
    ("  roofs: {files: roofs,", "  docvqa: {files: roofs,", 10, "'docvqa' is a benchmark that there is"),
    ("  roofs: {files: roofs,", "  mmbase: {files: roofs,", 10, "cannot be the name of an own benchmark"),
    ("  remote_sensing: {in", "  general: {in", 5, "cannot be the name of an own category"),
])
def test_a_mistake_is_refused_by_line(read, old, new, line, says):
    with pytest.raises(StudyError) as refused:
        read(old, new)
    assert (refused.value.line, says in str(refused.value)) == (line, True), str(refused.value)


# ---- a held-out loss of the operator's own ----


def test_a_held_out_loss_weighs_the_records_of_a_folder(read):
    catalogue = read()
    spec = spec_of(catalogue, "loss-roofs")
    assert (spec.category, spec.is_loss, spec.in_average, spec.records) == ("held_out", True, False, "llava")
    found = open_copy(spec, catalogue.copy_of("loss-roofs"))
    expected = [make_sample("general", "train", index) for index in range(3)]
    samples = [item_sample(found[index]) for index in range(len(found))]
    assert [len(each.turns) for each in samples] == [len(each.turns) for each in expected]
    assert [samples[0].turns[-1].answer, len(samples[0].images)] == [expected[0].turns[-1].answer, 1]


def test_its_identity_follows_its_records(read, lab):
    before = copy_fingerprint(read(), "loss-roofs")
    records = lab / "held-out" / "general.jsonl"
    records.write_text(records.read_text().replace("human", "user"))
    assert copy_fingerprint(read(), "loss-roofs") != before


def test_its_records_are_checked_like_those_of_training(read, lab):
    records = lab / "held-out" / "general.jsonl"
    records.write_text(records.read_text().replace("train/general_1_0.png", "train/none.png"))
    (found,) = [each for each in check_copies(read(), 0) if each.name == "loss-roofs"]
    assert (found.size, found.num_images, len(found.broken)) == (3, 2, 1)
    assert "none.png" in found.broken[0].reason


@pytest.mark.parametrize(("old", "new", "says"), [
    ("layout: llava}", "layout: lava}", "loss-roofs.layout: .*'lava'"),
    ("layout: llava}", "layout: llava, boxes: inches}", "loss-roofs.boxes: 'inches'; allowed: none, thousandths"),
    ("layout: llava}", "layout: llava, category: general}",
     "loss-roofs.category: a held-out loss has no 'category'; allowed: files, metric, layout, boxes, version"),
    ("metric: exact, prompt", "metric: exact, layout: llava, prompt", "roofs.layout: allowed with metric: loss alone"),
    ("remote_sensing: {in", "held_out: {in", "'held_out' cannot be the name of an own category"),
])
def test_what_a_held_out_loss_cannot_be_is_refused(read, old, new, says):
    with pytest.raises(StudyError, match=says):
        read(old, new)


def test_a_folder_without_records_is_refused(read, lab):
    (lab / "held-out" / "general.jsonl").unlink()
    catalogue = read()
    with pytest.raises(ValueError, match=r"no file of records; allowed: one or more that end in .json, .jsonl"):
        open_copy(spec_of(catalogue, "loss-roofs"), catalogue.copy_of("loss-roofs"))
