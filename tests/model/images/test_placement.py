"""Order of tiles and position text, and boxes as text."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.config.stages import ImageConfig
from model.images.placement import box_px, box_text, grid_pieces, parse_box, pieces
from model.images.tiling import Tiling


def config(indicator, overview="before"):
    return ImageConfig(mode="dynamic", tile=8, tokens=1, indicator=indicator, overview=overview)


def of_two_by_three(indicator, overview="before", image_number=0):
    tiling = Tiling(np.zeros((7, 3, 8, 8), np.uint8), 2, 3, 0 if overview == "before" else 6)
    return pieces(tiling, config(indicator, overview), image_number=image_number)


def test_without_indicator_tiles_follow_each_other():
    assert of_two_by_three("none") == (0, 1, 2, 3, 4, 5, 6)


def test_separators_stand_between_columns_and_rows():
    assert of_two_by_three("seps") == (":", 0, 1, ",", 2, ",", 3, "<n>", 4, ",", 5, ",", 6)


def test_colon_stays_with_the_overview_when_it_comes_last():
    assert of_two_by_three("seps", "after") == (0, ",", 1, ",", 2, "<n>", 3, ",", 4, ",", 5, ":", 6)


def test_index_names_image_row_and_column():
    assert of_two_by_three("index", image_number=1)[:6] == ("(1,0,0)", 0, "(1,1,1)", 1, "(1,1,2)", 2)


def test_index_of_the_overview_comes_last_with_it():
    assert of_two_by_three("index", "after")[-4:] == ("(0,2,3)", 5, "(0,0,0)", 6)


@pytest.mark.parametrize(("indicator", "expected"), [("none", (0,)), ("seps", (0,)), ("index", ("(2,1,1)", 0))])
def test_one_tile_stands_for_itself(indicator, expected):
    assert grid_pieces(1, 1, config(indicator), image_number=2) == expected


INDICATORS, PLACES = st.sampled_from(["none", "seps", "index"]), st.sampled_from(["before", "after"])


@given(st.integers(1, 8), st.integers(1, 8), INDICATORS, PLACES)
def test_every_tile_appears_once_in_order(rows, cols, indicator, overview):
    shown = [piece for piece in grid_pieces(rows, cols, config(indicator, overview)) if isinstance(piece, int)]
    assert shown == list(range(rows * cols + (rows * cols > 1)))


def test_box_is_cut_down_to_thousandths_of_the_image():
    assert box_text((1, 2, 333, 479), width=640, height=480) == "[1, 4, 520, 997]"


def test_box_over_the_whole_image_is_zero_to_thousand():
    assert box_text((0, 0, 640, 480), width=640, height=480) == "[0, 0, 1000, 1000]"


def test_frame_is_the_whole_image_not_the_tile():
    assert box_text((672, 672, 1344, 1344), width=1344, height=1344) == "[500, 500, 1000, 1000]"


@pytest.mark.parametrize("box", [(-1, 0, 5, 5), (0, 0, 11, 5), (6, 0, 5, 5), (0, 0, 5, 9), (float("nan"), 0, 5, 5)])
def test_box_outside_the_image_is_refused(box):
    with pytest.raises(ValueError, match="10 x 8 px"):
        box_text(box, width=10, height=8)


@given(st.data(), st.integers(1, 4000), st.integers(1, 4000))
def test_box_survives_the_text_up_to_a_thousandth(data, width, height):
    x1, x2 = sorted(data.draw(st.tuples(st.integers(0, width), st.integers(0, width))))
    y1, y2 = sorted(data.draw(st.tuples(st.integers(0, height), st.integers(0, height))))
    back = box_px(parse_box(box_text((x1, y1, x2, y2), width=width, height=height)), width=width, height=height)
    assert back == pytest.approx((x1, y1, x2, y2), abs=max(width, height) / 1000 + 1e-9)


@pytest.mark.parametrize(("text", "box"), [
    ("the cat is at [1, 2, 3, 4].", (1, 2, 3, 4)), ("[10,20,30,40] and [1, 1, 1, 1]", (10, 20, 30, 40)),
    ("[ 0 ,0, 1000 , 1000 ]", (0, 0, 1000, 1000)),
])
def test_first_box_of_a_text_is_read(text, box):
    assert parse_box(text) == box


@pytest.mark.parametrize("text", [
    "", "[1, 2, 3]", "1, 2, 3, 4", "[1, 2, 3, x]", "[-1, 2, 3, 4]", "[1, 2, 3, 99999]", "[\u0661, 2, 3, 4]",
])
def test_text_without_a_box_gives_none(text):
    assert parse_box(text) is None
