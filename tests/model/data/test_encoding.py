"""Sequences: where images stand, which tokens carry loss, how batches are padded."""

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from model.config.stages import ImageConfig
from model.data.encoding import Encoder
from model.data.tokenizer import SPECIALS, load_tokenizer
from model.network.mm15 import IGNORED
from model.samples import Item, Sample, Turn
from tests.support.small_models import bytewise

SINGLE = ImageConfig(mode="single", tile=64, tokens=16)
STATIC = ImageConfig(mode="static", tile=64, tokens=4, indicator="seps")
TOKENIZER = load_tokenizer()
PICTURE = Image.new("RGB", (80, 60), (200, 10, 10))


def encoder(images=SINGLE, *, max_tokens=512):
    return Encoder(TOKENIZER, images, max_tokens=max_tokens)


def sample(*turns, images=()):
    return Sample(sample_id="general/train/0/0", category="general", turns=tuple(Turn(*turn) for turn in turns), images=images)


def text(ids):
    return TOKENIZER.decode(ids)


def supervised(encoded):
    return [label for label in encoded.labels if label != IGNORED]


def test_a_turn_is_user_question_assistant_answer_end():
    encoded = encoder().sample(sample(("What is it?", "red star"), ("Sure?", "yes")))
    assert text(encoded.ids) == "<bos><user>What is it?<assistant>red star<eos><user>Sure?<assistant>yes<eos>"


def test_only_answers_and_their_ends_carry_loss():
    encoded = encoder().sample(sample(("What is it?", "red star"), ("Sure?", "yes")))
    assert text(supervised(encoded)) == "red star<eos>yes<eos>"
    assert encoded.num_supervised == len(supervised(encoded))


def test_a_label_is_the_next_token_of_its_position():
    encoded = encoder().sample(sample(("What is it?", "red star"),))
    pairs = [(label, following) for label, following in zip(encoded.labels, encoded.ids[1:], strict=False) if label != IGNORED]
    assert pairs
    assert all(label == following for label, following in pairs)
    assert encoded.labels[-1] == IGNORED


def test_an_empty_question_is_plain_text():
    encoded = encoder().sample(sample(("", "Once upon"),))
    assert text(encoded.ids) == "<bos>Once upon<eos>"
    assert text(supervised(encoded)) == "Once upon<eos>"


@settings(deadline=None)
@given(st.text(max_size=60) | st.lists(st.sampled_from([*SPECIALS, " ", "12", "a red star", "é"]), max_size=6).map("".join))
def test_texts_have_the_ids_that_the_tokenizer_itself_gives_in_another_process_too(words):
    expected = TOKENIZER.encode(words, add_special_tokens=False)
    travelled = pickle.loads(pickle.dumps(encoder()))  # noqa: S301
    assert encoder().text_ids(words) == expected == travelled.text_ids(words)


def test_a_tokenizer_that_cuts_or_pads_is_told_not_to():
    cutting = load_tokenizer()
    cutting.backend_tokenizer.enable_truncation(4)
    cutting.backend_tokenizer.enable_padding(length=4)
    found = Encoder(cutting, SINGLE, max_tokens=512)
    assert [found.text_ids(text) for text in ("one two three four five six", "1")] == [
        TOKENIZER.encode(text, add_special_tokens=False) for text in ("one two three four five six", "1")]


def test_an_image_takes_its_tokens_where_its_marker_stands():
    encoded = encoder().sample(sample(("See <image>here", "ok"), images=(PICTURE,)))
    assert text(encoded.ids) == "<bos><user>See " + 16 * "<image>" + "here<assistant>ok<eos>"
    assert encoded.tiles.shape == (1, 3, 64, 64)


def test_image_tokens_are_as_many_as_the_tiles_give():
    encoded = encoder(STATIC).sample(sample(("<image>What?", "ok"), images=(PICTURE,)))
    assert encoded.tiles.shape == (5, 3, 64, 64)
    assert encoded.ids.count(TOKENIZER.convert_tokens_to_ids("<image>")) == 5 * 4
    assert encoded.ids.count(TOKENIZER.convert_tokens_to_ids("<n>")) == 1


def test_text_without_images_has_no_tiles():
    assert encoder().sample(sample(("Hi", "ho"),)).tiles.shape == (0, 3, 64, 64)


def test_a_marker_in_an_answer_stays_text():
    encoded = encoder().sample(sample(("Repeat", "<image>"),))
    assert TOKENIZER.convert_tokens_to_ids("<image>") not in encoded.ids


def test_a_sample_that_is_too_long_is_refused_with_both_numbers():
    with pytest.raises(ValueError, match=r"general/train/0/0: \d+ tokens; allowed: 20 \(max_tokens\)"):
        encoder(max_tokens=20).sample(sample(("<image>What?", "red"), images=(PICTURE,)))


def test_an_item_ends_where_its_answer_begins():
    item = Item(item_id="x/0", benchmark="x", question="<image>What?", images=(PICTURE,), references=("red",))
    encoded = encoder().item(item)
    assert text(encoded.ids).endswith("What?<assistant>")
    assert set(encoded.labels) == {IGNORED}


@pytest.mark.parametrize("left", [False, True])
def test_padding_stands_on_one_side_and_is_masked(left):
    builder = encoder()
    encoded = [builder.sample(sample(turn)) for turn in (("What is it?", "a red star"), ("Hi", "ho"))]
    batch = builder.collate(encoded, left=left)
    short, width = len(encoded[1].ids), len(encoded[0].ids)
    span = slice(width - short, width) if left else slice(0, short)
    assert batch.mask_BT[1].sum() == short
    assert batch.mask_BT[1, span].all()
    assert batch.ids_BT[1, span].tolist() == encoded[1].ids
    assert batch.labels_BT[1, span].tolist() == encoded[1].labels
    assert set(batch.labels_BT[1][~batch.mask_BT[1]].tolist()) == {IGNORED}


@pytest.mark.parametrize(("question", "images", "says"), [
    ("<image> or <image>?", (PICTURE,), "item/0: 2 image markers but 1 images"),
    ("What?", (PICTURE,), "item/0: 0 image markers but 1 images"),
    ("<image>What?", (), "item/0: 1 image markers but 0 images"),
])
def test_an_item_whose_images_have_no_place_is_refused(question, images, says):
    with pytest.raises(ValueError, match=says):
        encoder().item(Item(item_id="item/0", benchmark="b", question=question, images=images, references=("x",)))


def test_a_tokenizer_without_our_tokens_is_refused():
    with pytest.raises(ValueError, match=r"the tokenizer has no <assistant>, <bos>, <image>, <n>, <pad>, <user>; .*model\.weights"):
        Encoder(bytewise(), SINGLE, max_tokens=10)
