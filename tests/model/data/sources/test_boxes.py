"""Boxes of every convention become thousandths of the whole image."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.data.sources.boxes import boxes_in, convert
from model.images.placement import box_text, parse_box

SIDES = st.integers(40, 3000)


@st.composite
def boxes(draw):
    width, height = draw(SIDES), draw(SIDES)
    x1, y1 = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    return (x1, y1, draw(st.integers(x1, width)), draw(st.integers(y1, height))), (width, height)


@given(boxes())
def test_pixels_become_what_our_own_data_say(case):
    (x1, y1, x2, y2), size = case
    expected = box_text((x1, y1, x2, y2), width=size[0], height=size[1])
    assert convert(f"at [{x1}, {y1}, {x2}, {y2}].", "pixels", size) == f"at {expected}."
    assert convert(f"[{x1},{y1},{x2 - x1},{y2 - y1}]", "pixels_xywh", size) == expected


@given(boxes())
def test_fractions_of_the_padded_square_are_unpadded(case):
    box, (width, height) = case
    side = max(width, height)
    pads = ((side - width) / 2, (side - height) / 2) * 2
    padded = ", ".join(f"{(px + pad) / side:.6f}" for px, pad in zip(box, pads, strict=True))
    found = parse_box(convert(f"[{padded}]", "fractions_of_square", (width, height)))
    expected = parse_box(box_text(box, width=width, height=height))
    # Six decimals of the longer side are up to 0.04 thousandths of the shorter one here, so a floor may fall one lower.
    assert found == pytest.approx(expected, abs=1)


@given(st.tuples(*[st.integers(0, 1000)] * 4))
def test_thousandths_stay_as_they_are(numbers):
    x1, x2 = sorted(numbers[:2])
    y1, y2 = sorted(numbers[2:])
    text = f"[{x1}, {y1}, {x2}, {y2}]"
    assert convert(text, "thousandths", None) == text
    assert convert(f"<ref>a dog</ref><box>({x1},{y1}),({x2},{y2})</box>", "qwen", None) == f"a dog{text}"
    assert convert(f"[{x1 / 1000}, {y1 / 1000}, {x2 / 1000}, {y2 / 1000}]", "fractions", None) == text


def test_text_without_declared_boxes_is_left_alone():
    assert convert("matrix [1, 2, 3, 4000]", "none", None) == "matrix [1, 2, 3, 4000]"


@pytest.mark.parametrize(("text", "form", "size"), [
    ("[10, 10, 101, 20]", "pixels", (100, 100)), ("[-2, 0, 10, 10]", "pixels", (100, 100)), ("[0.1, 0.2, 1.2, 0.3]", "fractions", None),
    ("[50, 10, 40, 20]", "pixels", (100, 100)), ("[0, 0, 1001, 1006]", "thousandths", None),
])
def test_a_box_outside_its_image_is_broken_data(text, form, size):
    with pytest.raises(ValueError, match="is not inside the image"):
        convert(text, form, size)


def test_rounding_at_the_edge_is_tolerated():
    assert convert("[0, 0, 1.002, 1]", "fractions", None) == "[0, 0, 1000, 1000]"


SPELLINGS = ("[{0}, {1}, {2}, {3}]", "[{0},{1},{2},{3}]", "({0}, {1}, {2}, {3})", "({0},{1}),({2},{3})",
             "<box>({0},{1}),({2},{3})</box>", "<box>[[{0}, {1}, {2}, {3}]]</box>", "<box>[{0}, {1}, {2}, {3}]</box>",
             "<box>{0}, {1}, {2}, {3}</box>", "<|box_start|>({0},{1}),({2},{3})<|box_end|>", "<bbox>[{0}, {1}, {2}, {3}]</bbox>")
NUMBERS = (str, "{:.6f}".format, "{:.6e}".format, lambda each: f"{each:.6f}".lstrip("0"))
"""How a number of 0 to 1 may be written: `.5`, `1e-05` and `0.` are what other tools print."""


@given(st.tuples(*[st.integers(0, 1000)] * 4), st.sampled_from(SPELLINGS), st.sampled_from(NUMBERS))
def test_every_spelling_of_a_box_is_read(numbers, spelling, number):
    x1, x2, y1, y2 = *sorted(numbers[:2]), *sorted(numbers[2:])
    text = f"a dog {spelling.format(*(number(each / 1000) for each in (x1, y1, x2, y2)))} runs"
    assert convert(text, "fractions", None) == f"a dog [{x1}, {y1}, {x2}, {y2}] runs"
    assert boxes_in(text) == 1


@pytest.mark.parametrize(("text", "form", "expected"), [
    ("<|object_ref_start|>dog<|object_ref_end|><|box_start|>(100,200),(300,400)<|box_end|>", "qwen", "dog[100, 200, 300, 400]"),
    ('[{"bbox_2d": [64, 48, 320, 240], "label": "dog"}]', "pixels", '[{"bbox_2d": [100, 100, 500, 500], "label": "dog"}]'),
    ("<ref>dogs</ref><box>[[1, 2, 3, 4], [5, 6, 7, 8]]</box>", "thousandths", "dogs[1, 2, 3, 4], [5, 6, 7, 8]"),
    ("[0., 0., 1., 1.]", "fractions", "[0, 0, 1000, 1000]"), ("[1e-05, .2, 3E-1, 0.4]", "fractions", "[0, 200, 300, 400]"),
])
def test_forms_of_other_models(text, form, expected):
    assert convert(text, form, (640, 480)) == expected


def test_a_tag_without_a_box_is_refused():
    with pytest.raises(ValueError, match="<box> encloses no box"):
        convert("<box>the dog</box>", "thousandths", None)


@given(SIDES, SIDES)
def test_two_decimals_of_a_padded_square_are_rounding(width, height):
    side = max(width, height)
    x, y = (side - width) / 2 / side, (side - height) / 2 / side
    written = [round(part, 2) for part in (x, y, 1 - x, 1 - y)]
    left, top, right, bottom = parse_box(convert(str(written), "fractions_of_square", (width, height)))
    assert max(left * width, (1000 - right) * width, top * height, (1000 - bottom) * height) / 1000 <= 0.011 * side


@pytest.mark.parametrize("form", ["pixels", "pixels_xywh", "thousandths", "qwen"])
@pytest.mark.parametrize("text", ["[0.1, 0.2, 0.3, 0.4]", "[0.0, 0.0, 1.0, 1.0]", "[.1, .2, .3, .4]"])
def test_fractions_under_another_name_are_refused(text, form):
    with pytest.raises(ValueError, match="looks like fractions"):
        convert(text, form, (640, 480))


def test_a_form_with_two_meanings_is_refused():
    with pytest.raises(ValueError, match="bbox_2d.*Qwen2.5-VL"):
        convert('[{"bbox_2d": [64, 48, 320, 240]}]', "qwen", (640, 480))


@pytest.mark.parametrize("form", ["pixels", "pixels_xywh", "fractions_of_square"])
def test_a_box_in_pixels_needs_one_image(form):
    with pytest.raises(ValueError, match="needs exactly one image"):
        convert("[0, 0, 0.5, 0.5]", form, None)
