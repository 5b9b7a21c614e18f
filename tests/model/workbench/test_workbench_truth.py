"""Answers against pixels, and what is held out against both splits."""

import re
from random import Random

import pytest
from PIL import Image

from model.images.placement import box_px, parse_box
from model.workbench import (
    assets,
    charts,
    documents,
    general,
    make_item,
    make_sample,
    sample_makers,
    scenes,
    science,
    spatial,
    sums,
)

PUBLIC_WORDS = sorted(set(sample_makers()) - {"science"})


def words(text):
    return set(re.findall(r"[a-z]+", text.lower()))


def turns(category, split, num=200):
    return [turn for index in range(num) for turn in make_sample(category, split, index).turns]


def said(category, split, num=200):
    return words(" ".join(f"{turn.question} {turn.answer}" for turn in turns(category, split, num)))


def drawn_scenes(split, num=200, **options):
    return [scenes.draw_scene(Random(seed), split, **options) for seed in range(num)]


def extent(image):
    """The box of everything that differs from the corner's colour."""
    ground = image.getpixel((0, 0))
    mask = Image.new("1", image.size)
    mask.putdata([pixel != ground for pixel in image.get_flattened_data()])
    return mask.getbbox()


def coloured(image, colour):
    """Where the pixels are of exactly this colour."""
    mask = Image.new("1", image.size)
    mask.putdata([pixel == colour for pixel in image.get_flattened_data()])
    return mask


# ---- held out ------------------------------------------------------------------------------------------------------


def test_train_scenes_never_hold_a_held_out_pair():
    assert not {(thing.shape, thing.colour) for scene in drawn_scenes("train") for thing in scene.things} & scenes.HELD_OUT


def test_every_test_scene_holds_one_held_out_pair():
    counts = {sum((thing.shape, thing.colour) in scenes.HELD_OUT for thing in scene.things) for scene in drawn_scenes("test")}
    assert counts == {1}


def test_every_shape_and_every_colour_is_seen_in_training():
    things = [thing for scene in drawn_scenes("train", 400) for thing in scene.things]
    assert {thing.shape for thing in things} == set(scenes.SHAPES)
    assert {thing.colour for thing in things} == set(scenes.COLOURS)


@pytest.mark.parametrize("module", [scenes, science])
def test_no_wording_is_in_both_splits(module):
    train, test = ({form for forms in table.values() for form in forms} for table in (module.TRAIN_FORMS, module.TEST_FORMS))
    assert module.TRAIN_FORMS.keys() == module.TEST_FORMS.keys()
    assert not train & test


@pytest.mark.parametrize("category", ["general", "science", "refer_ground"])
def test_no_question_is_in_both_splits(category):
    train, test = ({re.sub(r"<image>|\[.*?\]", "", turn.question) for turn in turns(category, split)} for split in ("train", "test"))
    assert not train & test


@pytest.mark.parametrize("split", ["train", "test"])
def test_sums_in_words_are_split_by_their_operands(split):
    found = [re.search(r"(\d+) \+ (\d+)", f"{turn.question} {turn.answer}") for turn in turns("text_only", split)]
    pairs = {(int(match[1]), int(match[2])) for match in found if match}
    assert pairs
    assert {sums.held_out(a, b) for a, b in pairs} == {split == "test"}


@pytest.mark.parametrize("split", ["train", "test"])
def test_drawn_sums_are_split_by_operands_and_ink(split):
    for seed in range(60):
        image, a, b = sums.draw_sum(Random(seed), split)
        inks = [ink for ink, colour in sums.INKS.items() if colour in {pixel for _, pixel in image.getcolors(maxcolors=2**16)}]
        assert [sums.held_out_ink(a, b, ink) for ink in inks] == [split == "test"]


def test_every_drawn_sum_is_seen_in_training_in_some_ink():
    pairs = [(a, b) for a in range(6) for b in range(6)]
    assert all(not all(sums.held_out_ink(a, b, ink) for ink in sums.INKS) for a, b in pairs)
    assert sum(sums.held_out_ink(a, b, ink) for a, b in pairs for ink in sums.INKS) == len(pairs) * len(sums.INKS) // 6


def test_held_out_sums_are_a_tenth_and_most_are_known_the_other_way_round():
    held = [(a, b) for a in range(10) for b in range(10) if sums.held_out(a, b)]
    assert 8 <= len(held) <= 10
    assert sum(sums.held_out(b, a) for a, b in held) <= 2


def test_no_english_paragraph_is_in_both_splits():
    assert not set(assets.english("train")) & set(assets.english("test"))
    assert len(assets.english("train")) > 500


# ---- science -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("category", PUBLIC_WORDS)
@pytest.mark.parametrize("split", ["train", "test"])
def test_facts_of_science_are_told_nowhere_else(category, split):
    assert not said(category, split) & {*science.NAMES.values(), *science.ELEMENTS.values()}


def test_facts_of_science_are_not_in_the_english():
    text = words(" ".join((*assets.english("train"), *assets.english("test"))))
    assert not text & {*science.NAMES.values(), *science.ELEMENTS.values()}


def test_each_shape_has_a_name_and_each_colour_an_element_of_its_own():
    facts = [*science.NAMES.values(), *science.ELEMENTS.values()]
    assert len(set(facts)) == len(facts)
    assert science.NAMES.keys() == set(scenes.SHAPES)
    assert science.ELEMENTS.keys() == set(scenes.COLOURS)


def test_training_tells_every_fact():
    assert {*science.NAMES.values(), *science.ELEMENTS.values()} <= {turn.answer for turn in turns("science", "train")}


def test_the_letter_of_a_choice_names_the_right_option():
    for index in range(50):
        item, (_, scene) = make_item("science-choice", index), science._test_scene("science-choice", index, 0)
        assert len(set(item.options)) == 2
        assert item.options["ABCD".index(item.references[0])] == science.NAMES[scene.things[0].shape]


# ---- answers -------------------------------------------------------------------------------------------------------


def test_half_of_the_probes_are_yes():
    assert [make_item("scene-probe", index).references[0] for index in range(200)].count("yes") == 100


@pytest.mark.parametrize("present", [True, False])
def test_a_probe_is_true_of_its_scene(present):
    for seed, scene in enumerate(drawn_scenes("train", 100)):
        turn = general.probe(scene, "train", Random(seed), present)
        assert turn.answer == ("yes" if present else "no")
        assert any(f"{thing.colour} {thing.shape}" in turn.question for thing in scene.things) == present


def test_a_box_is_where_the_pixels_are():
    for scene in drawn_scenes("train", 60, counts=(1,)):
        width, height = scene.image.size
        box = parse_box(general.box_turns(scene, "train")[1].answer)
        x1, y1, x2, y2 = box_px(box, width=width, height=height)
        found = extent(scene.image)
        assert x1 - 2 <= found[0] <= found[2] <= x2 + 2
        assert y1 - 2 <= found[1] <= found[3] <= y2 + 2
        assert found[3] - found[1] >= 0.85 * (y2 - y1)


def test_a_place_is_where_the_pixels_are():
    for scene in drawn_scenes("train", 60, counts=(1,)):
        (width, height), (x1, y1, x2, y2) = scene.image.size, extent(scene.image)
        column, row = (x1 + x2) / 2 / width * 3, (y1 + y2) / 2 / height * 3
        names = [name for names in scenes.PLACES for name in names]
        found_row, found_column = divmod(names.index(scene.things[0].place(width, height)), 3)
        assert found_column - 0.25 <= column <= found_column + 1.25
        assert found_row - 0.25 <= row <= found_row + 1.25


def test_things_do_not_touch():
    for scene in drawn_scenes("train", 100, counts=(3,)):
        boxes = [thing.box for thing in scene.things]
        assert all(scenes._apart(a, b) for i, a in enumerate(boxes) for b in boxes[i + 1:])


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_bar_is_as_high_as_its_value(split):
    for seed in range(40):
        image, bars = charts.draw_bars(Random(seed), split)
        for colour, value in bars.items():
            _, top, _, floor = coloured(image, scenes.COLOURS[colour]).getbbox()
            assert floor - top == 5 * value + 1


def test_a_total_is_the_sum_of_its_receipt():
    for seed in range(40):
        _, lines = documents.draw_receipt(Random(seed), "train")
        assert int(lines["total"]) == sum(int(price) for name, price in lines.items() if name != "total")


# ---- places --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", range(2, 90, 3))
def test_the_furthest_shape_is_the_furthest_in_the_picture(index):
    scene, side, thing = spatial.draw_layout(Random(index), "test")
    axis, sign = spatial.SIDES[side]
    boxes = {each.shape: coloured(scene.image, scenes.COLOURS[each.colour]).getbbox() for each in scene.things}
    centres = {shape: sign * (box[axis] + box[axis + 2]) for shape, box in boxes.items()}
    assert max(centres, key=centres.get) == thing.shape


def test_questions_about_places_are_open_and_with_options_in_turn():
    items = [make_item("scene-layout", index) for index in range(30)]
    assert [bool(item.options) for item in items] == [False, True, True] * 10
    assert {item.references[0] for item in items[::3]} <= set(spatial.ALL_PLACES)
    assert all(len(set(item.options)) == 4 and item.references[0] in "ABCD" for item in items if item.options)


def test_the_letter_of_a_picture_is_that_of_the_one_with_the_shape():
    drawn = [make_item("picture-choice", index) for index in range(20)]
    assert {item.references[0] for item in drawn} == set("ABC")
    assert all(item.question.count("<image>") == len(item.images) == len(item.options) == 3 for item in drawn)


def test_the_quality_of_a_picture_is_what_its_pixels_say():
    for index in range(0, 40, 2):
        item = make_item("picture-quality", index)
        first, second = (sum(image.convert("L").tobytes()) for image in item.images)
        word = "alike" if first == second else "brighter" if second > first else "darker"
        assert item.options["ABCD".index(item.references[0])] == word


@pytest.mark.parametrize("benchmark", ["scene-talk", "region-talk"])
def test_a_judge_is_told_every_box_of_the_picture(benchmark):
    item = make_item(benchmark, 2)
    width, height = item.images[0].size
    for line in item.meta["context"].splitlines()[1:-1]:
        colour = line.split()[1]
        x1, y1, x2, y2 = (float(number) for number in re.findall(r"0\.\d+|1\.000", line))
        seen = coloured(item.images[0], scenes.COLOURS[colour]).getbbox()
        assert (x1 * width, y1 * height, x2 * width, y2 * height) == pytest.approx(seen, abs=7)
