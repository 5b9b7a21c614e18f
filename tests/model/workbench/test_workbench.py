"""The workbench: samples follow from their names, test differs from train, and every answer is true of its picture."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from model.data.fingerprint import VERSIONS
from model.evaluation.benchmarks.registry import BENCHMARKS
from model.evaluation.workbench_items import OWN
from model.samples import IMAGE
from model.workbench import ITEM_MAKERS, SAMPLE_MAKERS, make_item, make_sample

ROOT = Path(__file__).parents[3]
TEXT_SOURCES = {"text_only", "text_mm1", "text_hq"}
PICTURED = sorted(set(SAMPLE_MAKERS) - TEXT_SOURCES)
# Longest and shortest side in px that each kind of picture may have.
SIDES = {"general": (48, 160), "text_rich": (40, 262), "ocr": (26, 262), "math": (32, 68), "code": (40, 96), "caption": (32, 96)}

WORDS = {
    "refer_ground": (1, "3008e4475803"), "recap": (1, "983a8e441ccd"), "sharegpt4v": (1, "72eac912a746"),
    "scene-qa": (1, "37c8628197a0"), "scene-probe": (1, "5baa9147e93a"), "box-name": (1, "a729722df1bd"),
    "name-box": (1, "2486bfd157b3"), "science-names": (1, "a09089b1065f"), "science-choice": (2, "724a6b2b0306"),
    "scene-pairs": (1, "7f45e5d2c2f1"), "scene-choice": (1, "e8c867442331"), "small-print": (1, "219496978f2a"),
    "line-values": (1, "05886c09af46"), "table-cells": (1, "4722c7ea1b09"), "table-facts": (2, "a3861fbf664b"),
    "handwriting": (1, "b4298419c12f"), "phrase-box": (1, "e93109f93bff"), "science-diagram": (1, "c98924e35b4b"),
    "geometry": (1, "52b968e247a8"), "geometry-choice": (1, "ccdd2724cb5b"), "markup-source": (1, "0ecbce43ad6e"),
    "same-or-not": (2, "5d3aaaffb9a4"), "which-image": (1, "a83668575e71"), "spot-difference": (1, "dd453d13fcab"),
    "film-moves": (1, "8f34582cadb5"), "words-text": (1, "8055e536c06c"), "general": (2, "4c677508b47d"),
    "text_rich": (3, "64519b877412"), "math": (2, "1babe5fac679"), "code": (2, "487f326e8658"), "multi_image": (3, "6115843de831"),
    "text_only": (2, "48a5ed6993c8"), "caption": (3, "4ca43433031d"), "interleaved": (3, "fb12b17493c3"),
    "text_mm1": (2, "b2f073ac2fb7"), "text_hq": (2, "d492e99fd173"), "ocr": (2, "00ba208019ee"), "form-fields": (2, "bd30f4307955"),
    "chart-values": (2, "6de4295ad6cc"), "drawn-sums": (2, "e9006b114f8b"), "sums-text": (2, "4233730a9d53"),
    "screen-words": (2, "343e42b9c289"), "science": (4, "5e67e7fe862d"), "bound-words": (1, "841c4f1556d9"),
    "operators": (1, "d16be64b8420"), "scene-layout": (1, "4aae058338cd"), "picture-choice": (1, "562d11783b3f"),
    "picture-quality": (1, "171b8fded629"), "scene-talk": (1, "9bcd0d992d64"), "scene-skills": (1, "fb0b5191e08a"),
    "region-talk": (1, "e860fa01cc2e"), "maths-read": (1, "9547f1e0032a"), "emoji-pictures": (1, "12a96ce0e960"),
}
"""Version and digest of what each generator says. A change here needs a new version, and makes the packaged checkpoint old."""


def spoken(sample):
    """The text of a sample or an item."""
    return [(turn.question, turn.answer) for turn in getattr(sample, "turns", ())] or [(sample.question, sample.references, sample.options)]


def content(sample):
    """Everything that a sample or an item holds, as one digest."""
    pixels = [(image.size, image.mode, image.tobytes()) for image in sample.images]
    return hashlib.sha256(repr((spoken(sample), pixels)).encode()).hexdigest()


def text_of(name):
    """The text of a generator's first samples of both splits, or of its first items; pixels may differ between Pillows."""
    categories = {name} & SAMPLE_MAKERS.keys()
    samples = [make_sample(each, split, index) for each in categories for split in ("train", "test") for index in range(30)]
    items = [make_item(each, index) for each in {name} & ITEM_MAKERS.keys() for index in range(30)]
    after_examples = [OWN[each](index, seed=0, shots=4) for each in {name} & OWN.keys() for index in range(30)]
    return [pair for each in (*samples, *items, *after_examples) for pair in spoken(each)]


@pytest.mark.parametrize("category", SAMPLE_MAKERS)
def test_a_sample_follows_from_category_split_index_and_seed(category):
    same = [content(make_sample(category, "train", index)) for index in range(20)]
    assert same == [content(make_sample(category, "train", index)) for index in range(20)]
    assert len(set(same)) > 10
    assert same != [content(make_sample(category, "train", index, seed=1)) for index in range(20)]
    assert same != [content(make_sample(category, "test", index)) for index in range(20)]


@pytest.mark.parametrize("benchmark", ITEM_MAKERS)
def test_an_item_follows_from_benchmark_index_and_seed(benchmark):
    same = [content(make_item(benchmark, index)) for index in range(20)]
    assert same == [content(make_item(benchmark, index)) for index in range(20)]
    assert same != [content(make_item(benchmark, index, seed=1)) for index in range(20)]


def test_another_process_with_another_hash_seed_makes_the_same():
    code = ("import hashlib; from model.workbench import SAMPLE_MAKERS, make_sample; samples = [make_sample(name, split, 7)"
            " for name in SAMPLE_MAKERS for split in ('train', 'test')]; print(hashlib.sha256(repr([(each.turns,"
            " [image.tobytes() for image in each.images]) for each in samples]).encode()).hexdigest())")
    digests = {subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed}, check=True,
                              capture_output=True, text=True).stdout for seed in ("1", "2")}
    assert len(digests) == 1


@pytest.mark.parametrize("category", SAMPLE_MAKERS)
def test_a_sample_names_itself_and_is_asked_about_its_images(category):
    sample = make_sample(category, "train", 3)
    assert sample.category == category
    assert sample.sample_id.startswith(f"{category}/train/")
    assert bool(sample.images) == (category in PICTURED)
    assert sample.turns[0].question.startswith(IMAGE) == (category in PICTURED)
    assert all(turn.answer for turn in sample.turns)


@pytest.mark.parametrize("category", PICTURED)
def test_images_are_of_the_declared_sizes(category):
    smallest, largest = SIDES.get(category, (48, 96))
    sizes = [image.size for index in range(200) for image in make_sample(category, "train", index).images]
    assert smallest <= min(map(min, sizes))
    assert max(map(max, sizes)) <= largest
    assert {image.mode for image in make_sample(category, "train", 0).images} == {"RGB"}


def test_shapes_of_images_vary_from_flat_to_tall():
    aspects = [width / height for width, height in (make_sample("text_rich", "train", index).images[0].size for index in range(200))]
    assert min(aspects) < 0.5
    assert max(aspects) > 2.5


def test_conversations_about_scenes_are_dense():
    counts = [len(make_sample("general", "train", index).turns) for index in range(200)]
    assert min(counts) >= 6
    assert sum(counts) / len(counts) > 7


@pytest.mark.parametrize("category", ["general", "refer_ground", "science", "math", "caption", "ocr", "recap", "sharegpt4v", "multi_image"])
def test_no_picture_is_in_both_splits(category):
    train, test = ({content_of_image(image) for index in range(300) for image in make_sample(category, split, index).images}
                   for split in ("train", "test"))
    assert not train & test


def content_of_image(image):
    return image.size, image.tobytes()


@pytest.mark.parametrize("name", VERSIONS)
def test_what_a_generator_says_changes_only_with_its_version(name):
    assert (VERSIONS[name], hashlib.sha256(repr(text_of(name)).encode()).hexdigest()[:12]) == WORDS[name]


def test_the_makers_are_the_versioned_generators():
    assert set(SAMPLE_MAKERS) | set(ITEM_MAKERS) | set(OWN) == set(VERSIONS)


def test_every_benchmark_of_the_workbench_has_a_maker_and_the_reverse():
    own = {name: each for name, each in BENCHMARKS.items() if each.source == "workbench"}
    assert set(ITEM_MAKERS) == {name for name, each in own.items() if each.category != "in_context" and each.metric != "likelihood"}
    assert {name for each in own.values() for name in each.made_of if each.category == "in_context"} <= {*ITEM_MAKERS, *SAMPLE_MAKERS, *OWN}


@pytest.mark.parametrize("benchmark", ITEM_MAKERS)
def test_an_item_asks_about_its_images_and_has_a_reference(benchmark):
    item = make_item(benchmark, 5)
    assert item.benchmark == benchmark
    assert item.question.count(IMAGE) == len(item.images)
    assert item.references
    assert all(item.references)


def test_an_unknown_category_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match="'sciense' is not in the workbench; did you mean 'science'"):
        make_sample("sciense", "train", 0)


def test_an_unknown_benchmark_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match="'scene-qaa' is not in the workbench; did you mean 'scene-qa'"):
        make_item("scene-qaa", 0)


def test_an_unknown_split_is_refused_with_the_allowed_ones():
    with pytest.raises(ValueError, match="split is 'val'; allowed: train, test"):
        make_sample("general", "val", 0)
