"""What lmms-eval asks becomes our prompt, or is refused; lmms-eval itself is not needed for that."""

import pytest
from PIL import Image

from model.evaluation.lmms_eval.requests import Decoding, decoding, pictures, question


@pytest.mark.parametrize(("text", "until", "answer"), [
    ("a ring\n\nWhat", ("\n\n",), "a ring"), ("one. two", (" ", "."), "one"), ("whole", (), "whole"), ("whole", ("x",), "whole")])
def test_an_answer_ends_before_the_first_stop(text, until, answer):
    assert Decoding(8, until).cut(text) == answer


@pytest.mark.parametrize("asked", [
    {"max_new_tokens": 16, "temperature": 0, "top_p": 1.0, "num_beams": 1, "do_sample": False, "until": ["\n\n"]},
    {"max_new_tokens": 16, "until": "\n\n", "do_sample": False, "temperature": 0.2},
    {"max_new_tokens": 16, "until": ["\n\n", ""], "temperature": None, "image_aspect_ratio": "original"}])
def test_greedy_settings_are_taken(asked):
    assert decoding(asked, longest=64, name="x") == Decoding(16, ("\n\n",))


def test_without_a_length_the_longest_is_taken():
    assert decoding({}, longest=64, name="x") == Decoding(64)


@pytest.mark.parametrize(("asked", "named"), [
    ({"do_sample": True}, "do_sample: True"), ({"num_beams": 5}, "num_beams: 5"), ({"temperature": 0.7}, "temperature: 0.7"),
    ({"max_tokens": 5}, "generation_kwargs max_tokens"), ({"max_new_tokens": -1}, "max_new_tokens -1"),
    ({"repetition_penalty": 1.2}, "repetition_penalty: 1.2")])
def test_what_is_not_greedy_or_unknown_is_refused(asked, named):
    with pytest.raises(ValueError, match=f"^mmmu_val/3: {named}"):
        decoding(asked, longest=64, name="mmmu_val/3")


def test_images_stand_before_a_text_without_places_and_else_in_them():
    assert question("Which?", 2, "x") == "<image><image>Which?"
    assert question("A <image> or B <image>?", 2, "x") == "A <image> or B <image>?"
    assert question("No picture", 0, "x") == "No picture"


def test_another_number_of_places_is_refused():
    with pytest.raises(ValueError, match="x: 1 <image> in the text, but 2 images"):
        question("A <image>?", 2, "x")


def test_pictures_are_rgb_and_transparency_is_paper():
    (found,) = pictures([Image.new("RGBA", (4, 4), (0, 0, 0, 0))], "x")
    assert (found.mode, found.getpixel((0, 0))) == ("RGB", (255, 255, 255))


@pytest.mark.parametrize("other", ["film.mp4", {"array": [0], "sampling_rate": 16000}])
def test_films_and_sounds_are_refused(other):
    with pytest.raises(ValueError, match="allowed: images only"):
        pictures([other], "x")
