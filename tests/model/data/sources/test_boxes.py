"""Boxes of every convention become thousandths of the whole image."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.data.sources.boxes import convert
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


@pytest.mark.parametrize("form", ["pixels", "pixels_xywh", "fractions_of_square"])
def test_a_box_in_pixels_needs_one_image(form):
    with pytest.raises(ValueError, match="needs exactly one image"):
        convert("[0, 0, 0.5, 0.5]", form, None)
