"""The workbench: samples follow from their names, test differs from train, and every answer is true of its picture."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from model.evaluation.benchmarks.registry import BENCHMARKS
from model.evaluation.workbench_items import OWN
from model.samples import IMAGE
from model.workbench import VERSIONS, item_makers, make_item, make_sample, sample_makers

ROOT = Path(__file__).parents[3]
TEXT_SOURCES = {"text_only", "text_mm1", "text_hq"}
PICTURED = sorted(set(sample_makers()) - TEXT_SOURCES)
# Longest and shortest side in px that each kind of picture may have.
SIDES = {"general": (26, 160), "text_rich": (26, 272), "ocr": (26, 272), "math": (32, 68), "code": (40, 96), "caption": (26, 272)}

WORDS = {
    "table-cells": (1, "4722c7ea1b09"), "geometry": (1, "52b968e247a8"), "geometry-choice": (1, "ccdd2724cb5b"),
    "markup-source": (1, "0ecbce43ad6e"), "film-moves": (2, "c1baea6c9e18"), "words-text": (1, "8055e536c06c"),
    "operators": (1, "d16be64b8420"), "emoji-pictures": (1, "12a96ce0e960"), "refer_ground": (2, "22afcd9e18a6"),
    "recap": (2, "65d5841e2abc"), "sharegpt4v": (2, "2063f5aa0f9b"), "scene-qa": (2, "9c980b0f2bdf"), "scene-probe": (2, "0ade7a8e0657"),
    "box-name": (2, "b3d8be5622e0"), "name-box": (2, "7a59141de2a3"), "science-names": (2, "8b00c363f2f3"),
    "scene-pairs": (2, "946c65d15ec6"), "scene-choice": (2, "5491854d2070"), "small-print": (2, "f465ea0a3a77"),
    "line-values": (2, "3633a26e05cd"), "handwriting": (2, "75b3b68f1312"), "phrase-box": (2, "e83554a91563"),
    "science-diagram": (2, "1eb385b517da"), "which-image": (2, "d6120d7bd460"), "spot-difference": (2, "dbe3853db3da"),
    "bound-words": (2, "9202ee0bdb1c"), "scene-layout": (2, "17bbe5e753d5"), "picture-choice": (2, "562d11783b3f"),
    "picture-quality": (2, "f2c6347a896d"), "scene-talk": (2, "b59e491682eb"), "scene-skills": (2, "6dbfc0cba45b"),
    "region-talk": (2, "90a888b4e666"), "maths-read": (2, "8236821bfcf6"), "code": (2, "487f326e8658"), "text_only": (2, "48a5ed6993c8"),
    "text_mm1": (3, "df02b285019c"), "text_hq": (3, "d9fe57224564"), "form-fields": (2, "bd30f4307955"), "sums-text": (2, "4233730a9d53"),
    "table-facts": (2, "a3861fbf664b"), "general": (3, "d06141885805"), "math": (3, "dbce6cad467f"), "ocr": (3, "7d1a055baa34"),
    "chart-values": (3, "b633e5e43e5f"), "drawn-sums": (3, "cc94a9177039"), "screen-words": (3, "af01a4a3a10c"),
    "science-choice": (3, "279101a28b93"), "same-or-not": (3, "4e9d4372c917"), "text_rich": (4, "e4d309bf7e03"),
    "multi_image": (4, "ff9a3e8d57db"), "caption": (5, "add67188db3d"), "interleaved": (4, "339ab05077d6"), "science": (5, "fdb5239bdc13"),
    "spot-choice": (1, "9561cf7d4251"), "film-choice": (1, "a550b13adaf6"),
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
    categories = {name} & sample_makers().keys()
    samples = [make_sample(each, split, index) for each in categories for split in ("train", "test") for index in range(30)]
    items = [make_item(each, index) for each in {name} & item_makers().keys() for index in range(30)]
    after_examples = [OWN[each](index, seed=0, shots=4) for each in {name} & OWN.keys() for index in range(30)]
    return [pair for each in (*samples, *items, *after_examples) for pair in spoken(each)]


@pytest.mark.parametrize("category", sample_makers())
def test_a_sample_follows_from_category_split_index_and_seed(category):
    same = [content(make_sample(category, "train", index)) for index in range(20)]
    assert same == [content(make_sample(category, "train", index)) for index in range(20)]
    assert len(set(same)) > 10
    assert same != [content(make_sample(category, "train", index, seed=1)) for index in range(20)]
    assert same != [content(make_sample(category, "test", index)) for index in range(20)]


@pytest.mark.parametrize("benchmark", item_makers())
def test_an_item_follows_from_benchmark_index_and_seed(benchmark):
    same = [content(make_item(benchmark, index)) for index in range(20)]
    assert same == [content(make_item(benchmark, index)) for index in range(20)]
    assert same != [content(make_item(benchmark, index, seed=1)) for index in range(20)]


def test_another_process_with_another_hash_seed_makes_the_same():
    code = ("import hashlib; from model.workbench import sample_makers, make_sample; samples = [make_sample(name, split, 7)"
            " for name in sample_makers() for split in ('train', 'test')]; print(hashlib.sha256(repr([(each.turns,"
            " [image.tobytes() for image in each.images]) for each in samples]).encode()).hexdigest())")
    digests = {subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed}, check=True,
                              capture_output=True, text=True).stdout for seed in ("1", "2")}
    assert len(digests) == 1


@pytest.mark.parametrize("category", sample_makers())
def test_a_sample_names_itself_and_is_asked_about_its_images(category):
    sample = make_sample(category, "train", 3)
    assert sample.category == category
    assert sample.sample_id.startswith(f"{category}/train/")
    assert bool(sample.images) == (category in PICTURED)
    assert sample.turns[0].question.startswith(IMAGE) == (category in PICTURED)
    assert all(turn.answer for turn in sample.turns)


@pytest.mark.parametrize("category", PICTURED)
def test_images_are_of_the_declared_sizes(category):
    smallest, largest = SIDES.get(category, (26, 96))
    sizes = [image.size for index in range(200) for image in make_sample(category, "train", index).images]
    assert smallest <= min(map(min, sizes))
    assert max(map(max, sizes)) <= largest
    assert {image.mode for image in make_sample(category, "train", 0).images} == {"RGB"}


def test_shapes_of_images_vary_from_flat_to_tall():
    aspects = [width / height for width, height in (make_sample("text_rich", "train", index).images[0].size for index in range(200))]
    assert min(aspects) < 0.3
    assert max(aspects) > 4


def test_half_of_the_scenes_are_thumbnails():
    sizes = [make_sample("refer_ground", "train", index).images[0].size for index in range(200)]
    assert 70 <= sum(max(size) <= 32 for size in sizes) <= 130


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
    assert set(sample_makers()) | set(item_makers()) | set(OWN) == set(VERSIONS)


def test_every_benchmark_of_the_workbench_has_a_maker_and_the_reverse():
    own = {name: each for name, each in BENCHMARKS.items() if each.source == "workbench"}
    weighed = ("likelihood", "loss")  # texts and samples, which other makers make
    asked = {name for name, each in own.items() if each.category != "in_context" and each.metric not in weighed}
    assert set(item_makers()) == asked
    made_of = {name for each in own.values() for name in each.made_of if each.category == "in_context"}
    assert made_of <= {*item_makers(), *sample_makers(), *OWN}


@pytest.mark.parametrize("benchmark", item_makers())
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
