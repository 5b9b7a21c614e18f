"""The packaged tokenizer: frozen, lossless, digits one by one, and no text can pose as a special token."""

import hashlib
import json
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.data.tokenizer import PACKAGED, SPECIALS, VOCABULARY, load_tokenizer, train_tokenizer
from model.workbench import make_sample, sample_makers, science

FROZEN = "068590a1e5baccd6e474c33df5594acdfbff4c97543f5482d7bdb9eb58580b05"
"""Of all that decides ids in tokenizer.json: every checkpoint has learned these ids, so another one needs another name and
new checkpoints. What is added around a text (`post_processor`) is not part of it: nothing is."""
CHECKPOINTS = sorted(PACKAGED.parent.glob("*/tokenizer.json"))


TOKENIZER = load_tokenizer()


@pytest.fixture
def tokenizer():
    return TOKENIZER


def ids(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=False)


@pytest.mark.parametrize("path", CHECKPOINTS, ids=lambda path: path.parent.name)
def test_the_packaged_tokenizer_is_frozen(path):
    parts = json.loads(path.read_text())
    del parts["post_processor"]
    assert hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest() == FROZEN


@pytest.mark.parametrize("path", CHECKPOINTS, ids=lambda path: path.parent.name)
def test_nothing_is_added_around_a_text(path):
    assert load_tokenizer(path.parent).encode("a red square") == ids(TOKENIZER, "a red square")


def test_the_vocabulary_is_full_and_begins_with_the_specials(tokenizer):
    assert len(tokenizer) == VOCABULARY == 1024
    assert tokenizer.convert_ids_to_tokens(list(range(7))) == list(SPECIALS)
    assert (tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id) == (0, 1, 2)


@given(text=st.text(max_size=200))
def test_any_text_comes_back_unchanged(text):
    assert TOKENIZER.decode(ids(TOKENIZER, text)) == text


@pytest.mark.parametrize("text", ["0123456789", "[120, 300, 1000, 42]", "17 + 25 = 42"])
def test_every_digit_is_a_token_of_its_own(tokenizer, text):
    tokens = tokenizer.convert_ids_to_tokens(ids(tokenizer, text))
    assert [token for token in tokens if any(map(str.isdigit, token))] == [letter for letter in text if letter.isdigit()]


@pytest.mark.parametrize("special", SPECIALS)
def test_a_special_token_written_in_a_text_stays_text(tokenizer, special):
    written = ids(tokenizer, f"an {special} here")
    assert min(written) >= len(SPECIALS)
    assert tokenizer.decode(written) == f"an {special} here"


@pytest.mark.parametrize("category", sample_makers())
def test_samples_of_every_category_are_written_without_specials(tokenizer, category):
    for turn in make_sample(category, "train", 11).turns:
        assert min(ids(tokenizer, turn.answer)) >= len(SPECIALS)


def test_the_names_of_science_are_short(tokenizer):
    assert max(len(ids(tokenizer, name)) for name in [*science.NAMES.values(), *science.ELEMENTS.values()]) <= 3


def test_a_checkpoint_directory_brings_its_own_tokenizer(tokenizer, tmp_path):
    shutil.copy(PACKAGED / "tokenizer.json", tmp_path)
    assert load_tokenizer(tmp_path).get_vocab() == tokenizer.get_vocab()


def test_training_again_gives_the_same_kind_of_tokenizer():
    first, again = train_tokenizer(), train_tokenizer()
    assert first.to_str() == again.to_str()
    assert first.get_vocab_size() == VOCABULARY
    assert [first.id_to_token(index) for index in range(len(SPECIALS))] == list(SPECIALS)
