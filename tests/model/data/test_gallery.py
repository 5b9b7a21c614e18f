"""The page of examples: every text is there and escaped, boxes are drawn where they are said to be."""

import base64
import io
import re

import pytest
from PIL import Image

from model.data.gallery import BOX_COLOUR, boxes_in, gallery, with_boxes
from model.samples import Sample, Turn
from model.workbench import make_item, make_sample, sample_makers

WHITE = Image.new("RGB", (40, 20), (255, 255, 255))


def pictures(page):
    return [Image.open(io.BytesIO(base64.b64decode(data))) for data in re.findall(r"data:image/png;base64,([^\"]+)", page)]


def test_a_box_is_drawn_in_the_frame_of_its_image():
    drawn = with_boxes(WHITE, [(250, 500, 750, 1000)])
    found = {(x, y) for x in range(drawn.width) for y in range(drawn.height) if drawn.getpixel((x, y)) == BOX_COLOUR}
    assert min(x for x, _ in found) == drawn.width // 4
    assert min(y for _, y in found) == drawn.height // 2
    assert max(x for x, _ in found) == drawn.width * 3 // 4


def test_an_image_is_enlarged_by_a_whole_number():
    assert with_boxes(WHITE, []).size == (200, 100)


def test_boxes_are_read_from_questions_and_answers_once_each():
    assert boxes_in(["What is in [1, 2, 3, 4]?", "[1, 2, 3, 4]", "[not a box]", "[5, 6, 7, 8]"]) == [(1, 2, 3, 4), (5, 6, 7, 8)]


@pytest.mark.parametrize("category", sample_makers())
def test_a_page_holds_every_image_of_its_samples(category):
    samples = [make_sample(category, "train", index) for index in range(4)]
    assert len(pictures(gallery(category, [("training", samples)]))) == sum(len(sample.images) for sample in samples)


def test_the_boxes_of_a_grounding_item_are_on_its_picture():
    (picture,) = pictures(gallery("boxes", [("test", [make_item("name-box", 0)])]))
    assert BOX_COLOUR in set(picture.convert("RGB").get_flattened_data())


def test_texts_are_escaped():
    sample = Sample(sample_id="a", category="code", turns=(Turn("Write <script>.", "<td red>"),))
    page = gallery("<b>", [("<i>", [sample])])
    assert "<script>" not in page
    assert "&lt;td red&gt;" in page
    assert "&lt;i&gt;" in page
