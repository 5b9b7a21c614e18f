"""Records of public data sets become conversations; a record that does not fit says why."""

import pytest
from PIL import Image

from model.data.sources.layouts import MAX_IMAGES, MAX_SAMPLE_PIXELS, RecordFormat, sample_of
from model.samples import IMAGE, Turn

SIDE = 100


def read(layout, record, *, boxes="none", side=SIDE):
    return sample_of(record, "x", RecordFormat(layout, "general", boxes, lambda reference: Image.new("RGB", (side, side))))


def talk(*texts):
    return [{"from": who, "value": text} for who, text in zip(("human", "gpt") * len(texts), texts, strict=False)]


@pytest.mark.parametrize(("record", "turn"), [
    ({"instruction": "Say a.", "context": "", "response": "a"}, Turn("Say a.", "a")),
    ({"instruction": "Say a.", "context": "b", "response": "a"}, Turn("Say a.\nb", "a")),
    ({"instruction": "Say a.", "input": "b", "output": "a"}, Turn("Say a.\nb", "a")),
    ({"source": "s", "instruction": "Say a.", "output": "a"}, Turn("Say a.", "a")),
    ({"id": "1", "system_prompt": "Be kind.", "question": "Who?", "response": "I."}, Turn("Be kind.\nWho?", "I.")),
    ({"question": "1 + 1?", "answer": "2"}, Turn("1 + 1?", "2")),
    ({"query": "f?", "answer": "g"}, Turn("f?", "g")),
    ({"messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Who?"},
                   {"role": "assistant", "content": "I."}]}, Turn("Be kind.\nWho?", "I.")),
    ({"text": "plain text"}, Turn("", "plain text")),
])
def test_instructions_of_public_sets_are_understood(record, turn):
    assert read("text", record).turns == (turn,)


def test_line_breaks_around_an_image_are_dropped():
    record = {"image": "a", "conversations": talk("<image>\nWhat?", "A dog.", "Where?\n", "Here.")}
    assert read("llava", record).turns == (Turn(f"{IMAGE}What?", "A dog."), Turn("Where?", "Here."))
    assert read("llava", {"image": "a", "conversations": talk("What?\n<image>", "A dog.")}).turns == (Turn(f"What?{IMAGE}", "A dog."),)


def test_images_of_the_cauldron_stand_before_the_first_question():
    record = {"images": [b"1", b"2"], "texts": [{"user": "Same?", "assistant": "no"}, {"user": "Why?", "assistant": "so"}]}
    assert read("cauldron", record).turns == (Turn(f"{IMAGE}{IMAGE}Same?", "no"), Turn("Why?", "so"))


def test_a_caption_answers_its_image():
    assert read("caption", {"image": b"1", "text": " a dog "}).turns == (Turn(IMAGE, "a dog"),)


def test_a_document_gathers_images_until_text_follows():
    record = {"texts": ["Once", None, None, "two pictures"], "images": [None, "a", "b", None]}
    assert read("interleaved", record).turns == (Turn("", "Once"), Turn(f"{IMAGE}{IMAGE}", "two pictures"))


def test_boxes_are_converted_in_questions_and_answers():
    record = {"image": "a", "conversations": talk("<image>\nWhat is in [10, 10, 50, 50]?", "A dog at [0, 0, 100, 100].")}
    assert read("llava", record, boxes="pixels").turns == (
        Turn(f"{IMAGE}What is in [100, 100, 500, 500]?", "A dog at [0, 0, 1000, 1000]."),)


@pytest.mark.parametrize(("layout", "record", "message"), [
    ("llava", {"image": "a", "conversations": talk("What?", "A dog.")}, "0 image markers but 1 images"),
    ("llava", {"conversations": talk("<image> What?", "A dog.")}, "1 image markers but 0 images"),
    ("llava", {"conversations": talk("What?")}, "1 messages; allowed: as many answers"),
    ("llava", {"conversations": talk("What?", " ")}, "value is ' '; allowed: text that is not empty"),
    ("llava", {"conversations": talk("What?", "<image>")}, "an answer contains <image>"),
    ("llava", {"conversations": talk("What?", "a")[::-1]}, "'gpt' is followed by 'human'"),
    ("llava", {"conversations": []}, "contains no question"),
    ("llava", {"conversations": "What?"}, "has no list `conversations`"),
    ("llava", {"conversations": ["What?", "a"]}, "is not a mapping"),
    ("llava", {"image": ["a"] * (MAX_IMAGES + 1), "conversations": talk("<image>" * (MAX_IMAGES + 1), "a")}, "contains 65 images; allowed"),
    ("cauldron", {"images": [b"1"], "texts": [{"user": "What?"}]}, "has no assistant"),
    ("cauldron", {"images": [b"1"], "texts": []}, "contains no question"),
    ("cauldron", {"conversations": []}, "has no lists `images` and `texts`"),
    ("caption", {"text": "a"}, "has no `image`"),
    ("caption", {"image": b"1"}, "has no caption or text or txt"),
    ("interleaved", {"texts": ["a"], "images": []}, "of equal length"),
    ("interleaved", {"texts": ["a", None], "images": ["b", None]}, "item 0 has both text and image"),
    ("interleaved", {"texts": ["a", None], "images": [None, "b"]}, "ends with 1 images"),
    ("text", {"foo": "a", "bar": "b"}, "none of the known fields of an instruction; its fields: foo, bar"),
    ("text", {"question": "", "answer": "b"}, "a question is empty"),
    ("text", {"question": 3, "answer": "b"}, "question is '3'; allowed: text"),
])
def test_a_record_that_does_not_fit_says_why(layout, record, message):
    with pytest.raises(ValueError, match=message):
        read(layout, record)


def test_pixels_of_all_images_together_are_bounded():
    side = int((MAX_SAMPLE_PIXELS / 4) ** 0.5) + 10
    record = {"image": ["a"] * 4, "conversations": talk("<image>" * 4, "a")}
    with pytest.raises(ValueError, match="pixels together; allowed"):
        read("llava", record, side=side)


@pytest.mark.parametrize("record", [
    {"video": "a.mp4", "conversations": talk("<video>\nWhat happens?", "A dog runs.")},
    {"videos": ["a.mp4"], "conversations": talk("What happens?", "A dog runs.")},
    {"conversations": talk("<video>\nWhat happens?", "A dog runs.")}, {"conversations": talk("What happens?\n<audio>", "A dog runs.")},
    {"image": "a.mp4", "conversations": talk("<image>What happens?", "A dog runs.")},
    {"image": ["a.png", "b.WebM"], "conversations": talk("<image><image>What happens?", "A dog runs.")},
    {"audio": {"path": "a.wav"}, "messages": [{"role": "user", "content": "What?"}, {"role": "assistant", "content": "A bark."}]}])
def test_films_and_sounds_are_no_text(record):
    with pytest.raises(ValueError, match="film|video|audio"):
        read("llava", record)


@pytest.mark.parametrize("record", [{"video": None, "conversations": talk("Hi", "ok")}, {"videos": [], "conversations": talk("Hi", "ok")},
                                    {"conversations": talk("What does <video> do in HTML?", "It shows a film.")}])
def test_a_record_without_a_film_may_have_the_field_and_speak_of_it(record):
    assert read("llava", record).turns


@pytest.mark.parametrize(("layout", "record"), [
    ("llava", {"conversations": talk("hi \ud83d there", "ok")}), ("llava", {"conversations": talk("hi", "\udc00")}),
    ("cauldron", {"images": [], "texts": [{"user": "hi", "assistant": "\ud83d"}]}), ("text", {"instruction": "\ud83d", "output": "x"}),
    ("caption", {"image": "a", "text": "\ud83d"}), ("interleaved", {"texts": ["\ud83d", None], "images": [None, "a"]})])
def test_half_a_character_is_refused_in_every_layout(layout, record):
    with pytest.raises(ValueError, match="half of a character"):
        read(layout, record)


@pytest.mark.parametrize("text", [7, ["a"], float("nan"), {"a": 1}])
def test_a_document_holds_text_and_nothing_that_is_printed_like_it(text):
    with pytest.raises(ValueError, match="item 1 is .*; allowed: text"):
        read("interleaved", {"texts": [None, text], "images": ["a", None]})
