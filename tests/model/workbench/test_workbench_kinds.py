"""Tables, lines, screens, handwriting, figures, pages and several images: answers against pixels, and what is held out."""

import hashlib
import json
import re
import unicodedata
from collections import Counter
from random import Random

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageDraw
from sklearn.datasets import load_digits

from model.images.placement import box_text
from model.workbench import (
    assets,
    charts,
    documents,
    geometry,
    handwriting,
    make_item,
    make_sample,
    markup,
    multi,
    scenes,
    screens,
    sums,
    tables,
    texts,
)
from tests.model.workbench import emoji_sheet

SPLITS = pytest.mark.parametrize("split", ["train", "test"])


def drawn(draw, split, num=60):
    return [draw(Random(seed), split) for seed in range(num)]


# ---- assets --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", assets.manifest())
def test_an_asset_is_the_one_that_the_manifest_describes(name):
    entry = assets.manifest()[name]
    assert hashlib.sha256((assets.HERE / name).read_bytes()).hexdigest() == entry["sha256"]
    assert entry["package"]
    assert entry["version"]
    assert entry["licence"]


def test_every_packaged_asset_is_in_the_manifest():
    assert {path.name for path in assets.HERE.iterdir() if path.suffix in (".txt", ".png")} == set(assets.manifest())


def test_the_digits_are_those_of_scikit_learn():
    pixels, values = load_digits(return_X_y=True)
    theirs = Counter((int(value), tuple(map(int, picture))) for value, picture in zip(values, pixels, strict=True))
    ours = Counter(pair for split in ("train", "test") for pair in digit_pairs(split))
    assert ours == theirs


def digit_pairs(split):
    return [(value, picture) for value, pictures in assets.digits(split).items() for picture in pictures]


@pytest.mark.skipif(not emoji_sheet.has_font(), reason="Debian's fonts-noto-color-emoji 2.042 is not installed")
def test_the_emoji_are_those_of_the_font():
    characters = emoji_sheet.chosen()
    assert list(assets.emoji_pictures()) == [unicodedata.name(each).lower() for each in characters]
    ours = [np.asarray(each, float) for each in assets.emoji_pictures().values()]
    theirs = [np.asarray(emoji_sheet.sheet([each]).crop((0, 0, 32, 32)), float) for each in characters]
    for number, mine in enumerate(ours):  # the nearest one, since all share 128 colours
        distances = [np.abs(mine - each).mean() for each in theirs]
        assert distances.index(min(distances)) == number
        assert min(distances) < 20


def test_every_emoji_differs_from_every_other_and_fills_its_cell():
    pictures = [np.asarray(each, float) for each in assets.emoji_pictures().values()]
    assert all((each < 250).any(axis=2).mean() > 0.15 for each in pictures)
    assert min(np.abs(a - b).mean() for i, a in enumerate(pictures) for b in pictures[:i]) > 5


def test_an_emoji_is_shown_whole_and_its_name_is_the_answer():
    for index in range(60):
        item = make_item("emoji-pictures", index)
        shown, name = np.asarray(item.images[0]), item.options["ABCD".index(item.references[0])]
        y, x = (int(axis.min()) for axis in np.nonzero((shown < 255).any(axis=2)))
        drawn_there, cell = (shown < 255).any(axis=2), (np.asarray(assets.emoji_pictures()[name]) < 255).any(axis=2)
        top, left = (int(axis.min()) for axis in np.nonzero(cell))
        assert (drawn_there[y - top:y - top + 32, x - left:x - left + 32] == cell).all()
        assert len(set(item.options)) == 4


@pytest.mark.parametrize("asset", [assets.english, assets.emoji_names, digit_pairs])
def test_no_asset_is_in_both_splits(asset):
    assert not set(asset("train")) & set(asset("test"))
    assert len(asset("test")) > 50


# ---- held out ------------------------------------------------------------------------------------------------------


FORMS = [tables.CELL_FORMS, tables.FACT_FORMS, tables.MORE_FORMS, screens.WORD_FORMS, screens.COLOUR_FORMS, screens.SWITCH_FORMS,
         charts.BAR_FORMS, charts.LINE_FORMS, sums.RESULT_FORMS,
         handwriting.FORMS, markup.FORMS, *[{split: forms[split][kind] for split in forms}
                                            for forms in (geometry.FORMS, multi.FORMS, texts.FORMS) for kind in forms["train"]]]


@pytest.mark.parametrize("forms", FORMS, ids=lambda forms: str(forms["train"]))
def test_no_wording_is_in_both_splits(forms):
    train, test = ({wording} if isinstance(wording, str) else set(wording) for wording in (forms["train"], forms["test"]))
    assert not train & test


def draw_form(rng, split):
    return documents.draw_form(rng, split, fields=2)


@SPLITS
def test_a_form_holds_a_held_out_value_in_test_alone(split):
    for _, fields in drawn(draw_form, split):
        assert sum(documents.held_out(name, int(value)) for name, value in fields.items()) == (split == "test")


def test_every_label_and_every_last_digit_is_seen_in_training():
    pairs = [pair for _, fields in drawn(draw_form, "train", 400) for pair in fields.items()]
    assert {name for name, _ in pairs} == set(documents.LABELS)
    assert {value[-1] for _, value in pairs} == set("0123456789")


def test_labels_of_test_documents_are_labels_of_training():
    questions = [make_item(name, index).question for name in ("form-fields", "small-print") for index in range(100)]
    assert {question.split(" the ")[1].rstrip("?") for question in questions} <= {*documents.LABELS, "total"}


@SPLITS
def test_bars_lines_screens_and_pages_are_split_by_what_they_show(split):
    is_test = split == "test"
    assert {sum(charts.held_out_bar(*bar) for bar in bars.items()) for _, bars in drawn(charts.draw_bars, split)} == {int(is_test)}
    assert {charts.held_out_series(values) for _, values in drawn(charts.draw_line, split)} == {is_test}
    buttons = [screen.buttons.items() for screen in drawn(screens.draw_screen, split)]
    assert {sum(screens.held_out(*button) for button in each) for each in buttons} == {int(is_test)}
    pages = [[re.findall(r"td (\w+)", row) for row in source.split("<tr>")] for _, source in drawn(markup.draw_page, split)]
    assert {markup.held_out(rows) for rows in pages} == {is_test}


@pytest.mark.parametrize("category", ["text_rich", "math", "code", "interleaved"])
def test_no_picture_is_in_both_splits(category):
    train, test = ({(image.size, image.tobytes()) for index in range(300) for image in make_sample(category, split, index).images}
                   for split in ("train", "test"))
    assert not train & test


# ---- answers -------------------------------------------------------------------------------------------------------


@SPLITS
def test_a_line_passes_its_points_at_their_values(split):
    for image, values in drawn(charts.draw_line, split):
        unit, foot, step = (image.height - 20) / 5, image.height - 15, image.width / len(values)
        for place, value in enumerate(values):
            dot = image.getpixel((round(step * (place + 0.5)), round(foot - unit * value)))
            assert dot in {scenes.COLOURS[colour] for colour in charts.CHART_COLOURS}


def test_a_line_ends_as_it_says():
    for seed in range(40):
        _, values = charts.draw_line(Random(seed), "train")
        assert charts.line_turns(values, "train", Random(0))[-1].answer == ("up" if values[-1] > values[-2] else "down")


def test_a_statement_is_true_of_its_table_or_not():
    for seed, table in enumerate(drawn(tables.draw_table, "train")):
        for is_true in (True, False):
            turn = tables.fact_turn(table, "train", Random(seed), is_true=is_true)
            column, name, value = re.search(r"(\w) of (\w+) is (\d)", turn.question).groups()
            assert (table.cells[column, name] == int(value)) == is_true == (turn.answer == "true")


def test_half_of_the_statements_are_true():
    assert [make_item("table-facts", index).references[0] for index in range(100)].count("1") == 50


def test_the_row_with_more_is_the_one_asked_for():
    for table in drawn(tables.draw_table, "train"):
        values = {name: value for (column, name), value in table.cells.items() if column == "x"}
        larger = [name for name, value in values.items() if value > min(values.values())]
        assert [turn.answer for turn in tables.more_turns(table, "train")] == larger


def test_the_number_in_a_cell_is_drawn_in_that_cell():
    for table in drawn(tables.draw_table, "train", 30):
        columns, names = (list(dict.fromkeys(keys)) for keys in zip(*table.cells, strict=True))
        height, width = (table.image.height - 1) // 3, (table.image.width - 28) // len(columns)
        for (column, name), value in table.cells.items():
            x, y = 27 + width * columns.index(column) + 4, (names.index(name) + 1) * height + 1
            assert [digit for digit in range(1, 10) if stands(table.image, (x, y), str(digit))] == [value]


def stands(image, place, digit):
    """Whether a cell looks as the digit alone does, drawn at its place on the same ground."""
    alone = Image.new("RGB", image.size, image.getpixel((1, 1)))
    ImageDraw.Draw(alone).text(place, digit, font=documents.font(13), fill=(10, 10, 90))
    box = (place[0], place[1] + 2, place[0] + 9, place[1] + 14)
    return image.crop(box).tobytes() == alone.crop(box).tobytes()


@SPLITS
def test_a_button_is_where_and_what_colour_it_says(split):
    for screen in drawn(screens.draw_screen, split):
        for word, colour in screen.buttons.items():
            x1, y1, x2, y2 = screen.boxes[word]
            assert screen.image.getpixel((round(x1) + 1, round(y1) + 1)) == scenes.COLOURS[colour]
            assert screen.image.getpixel((round(x2) - 1, round(y2) - 1)) == scenes.COLOURS[colour]


def test_a_switch_is_green_where_it_is_on():
    for screen in drawn(screens.draw_screen, "train", 100):
        found = (30, 150, 60) in set(screen.image.get_flattened_data())
        assert found == any(screen.switches.values())


def test_handwriting_is_dark_on_light_and_as_wide_as_its_digits():
    for image, number in drawn(handwriting.draw_number, "train"):
        levels = image.convert("L").point(lambda level: 255 * (level < 140))
        x1, _, x2, _ = levels.getbbox()
        assert (x2 - x1 > 32) <= (len(number) == 2)


@SPLITS
def test_a_strip_is_filled_as_far_as_it_says(split):
    for seed in range(60):
        image, answer = geometry.draw_figure(Random(seed), split, "part")
        filled, parts = map(int, answer.split("/"))
        step, y = (image.width - 6) / parts, image.height // 2
        inside = [image.getpixel((round(3 + step * (part + 0.5)), y)) != (255, 255, 255) for part in range(parts)]
        assert inside == [part < filled for part in range(parts)]


def test_kinds_of_angles_keep_apart():
    (_, acute), (right, _), (obtuse, _) = geometry.ANGLES.values()
    assert acute + 20 <= right <= obtuse - 20


@SPLITS
def test_markup_draws_what_it_says(split):
    for image, source in drawn(markup.draw_page, split):
        cell = image.width // 3
        for y, row in enumerate(source.split(" <tr> ")):
            for x, colour in enumerate(re.findall(r"td (\w+)", row)):
                assert image.getpixel((cell * x + 5, cell * y + 5)) == scenes.COLOURS[colour]


def test_the_letter_of_every_choice_names_the_true_option():
    for index in range(60):
        for item in (make_item("which-image", 2 * index + 1), make_item("scene-choice", index)):
            assert "Answer with the letter." in item.question
            assert f"{item.references[0]}. {item.options['ABCD'.index(item.references[0])]}" in item.question
            assert len(set(item.options)) == len(item.options)


# ---- several images ------------------------------------------------------------------------------------------------


def test_a_change_is_one_object_in_another_colour():
    for (before, after), things, shape in drawn(multi.draw_change, "train"):
        x1, y1, x2, y2 = ImageChops.difference(before, after).getbbox()
        left, top, right, bottom = next(thing.box for thing in things if thing.shape == shape)
        assert left - 2 <= x1 <= x2 <= right + 2
        assert top - 2 <= y1 <= y2 <= bottom + 2


@SPLITS
def test_a_film_moves_where_it_says_and_back_when_reversed(split):
    for film in drawn(multi.draw_film, split):
        boxes = [ImageChops.difference(frame, frame.resize((1, 1), box=(0, 0, 1, 1)).resize(frame.size)).getbbox() for frame in film.frames]
        dx, dy = multi.MOVES[film.move]
        assert all((b[0] - a[0]) * dx + (b[1] - a[1]) * dy >= 8 for a, b in zip(boxes, boxes[1:], strict=False))


def test_same_or_not_is_true_of_about_half():
    letters = Counter(make_item("same-or-not", index).references[0] for index in range(100))
    assert 30 <= letters["A"] <= 60


def test_which_image_needs_the_order():
    for index in range(0, 40, 2):
        item = make_item("which-image", index)
        assert item.references[0] in multi.ORDINALS
        assert len({image.tobytes() for image in item.images}) == 3
    assert len({make_item("which-image", index).references[0] for index in range(0, 40, 2)}) == 3


def test_a_document_of_examples_answers_all_images_alike():
    shapes = {make_sample_of_examples(seed) for seed in range(40)}
    assert shapes == {"shape", "colour"}


def make_sample_of_examples(seed):
    answers = {turn.answer for turn in multi.shown_sample("s", "interleaved", "train", Random(seed)).turns}
    return "shape" if answers <= set(scenes.SHAPES) else "colour" if answers <= set(scenes.COLOURS) else "mixed"


def test_instructions_about_words_are_followed():
    for seed in range(80):
        turn = texts.word_turn(Random(seed), "train")
        order, text = turn.question.split(": ")
        words = text.split()
        wanted = {"Repeat": words, "First word": words[:1], "Last word": words[-1:], "Backwards": words[::-1]}[order]
        assert turn.answer == " ".join(wanted)


def test_a_phrase_box_is_where_its_question_is_about():
    for index in range(30):
        item = make_item("phrase-box", index)
        width, height = item.images[0].size
        assert (item.meta["width"], item.meta["height"]) == (str(width), str(height))
        assert item.meta["phrase"] in item.question
        (box,) = json.loads(item.meta["boxes"])
        assert box_text(box, width=width, height=height) == item.references[0]
