"""Samples of a step grouped into passes: everything once, within limits of rows, positions and tiles, padded to a multiple."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.config.stages import ImageConfig, SftConfig
from model.cost.flops import sample_cost
from model.cost.memory import training_bytes
from model.data.encoding import Encoded, Encoder
from model.data.step import passes, to_batches
from model.data.tokenizer import load_tokenizer
from tests.support.gloo import DENSE

IMAGES = ImageConfig(mode="single", tile=16, tokens=4)
CONFIG = SftConfig(images=IMAGES, steps=1, batch=8, lr=1e-3, max_tokens=512)
ENCODER = Encoder(load_tokenizer(), IMAGES, max_tokens=512)
LIMITS = st.fixed_dictionaries({"micro_batch": st.integers(0, 5), "pass_tokens": st.integers(0, 600), "pass_tiles": st.integers(0, 6),
                                "round_length": st.sampled_from([0, 64])})


def samples(sizes):
    return [Encoded([7] * tokens, [9] * tokens, np.zeros((tiles, 3, 16, 16), np.uint8)) for tokens, tiles in sorted(sizes)]


@given(st.lists(st.tuples(st.integers(1, 200), st.integers(0, 5)), max_size=30), LIMITS)
def test_passes_hold_every_sample_once_and_keep_their_limits(sizes, limits):
    encoded, config = samples(sizes), replace(CONFIG, **limits)
    found = list(passes(encoded, config))
    assert [each for group in found for each in group] == encoded
    step = to_batches(ENCODER, encoded, config)
    for group, batch in zip(found, step.batches, strict=True):
        assert len(group) == 1 or not 0 < config.micro_batch < len(group)
        assert len(group) == 1 or not 0 < config.pass_tokens < batch.ids_BT.numel()
        assert len(group) == 1 or not 0 < config.pass_tiles < len(batch.tiles_NCXX)


@given(st.lists(st.tuples(st.integers(1, 200), st.integers(0, 5)), min_size=1, max_size=30), LIMITS)
def test_two_passes_that_follow_one_another_could_not_be_one(sizes, limits):
    config = replace(CONFIG, **limits)
    found = list(passes(samples(sizes), config))
    for first, second in zip(found, found[1:], strict=False):
        assert len(list(passes([*first, second[0]], config))) > 1


@pytest.mark.parametrize(("multiple", "length"), [(0, 130), (64, 192), (128, 256), (400, 400), (600, 512)])
def test_a_pass_is_padded_to_the_next_multiple_within_the_longest_accepted(multiple, length):
    batch, = to_batches(ENCODER, samples([(130, 1), (20, 0)]), replace(CONFIG, round_length=multiple)).batches
    assert batch.ids_BT.shape == (2, length)
    assert batch.mask_BT.sum() == 150


def test_packed_rows_are_padded_within_their_length():
    batch, = to_batches(ENCODER, samples([(130, 1), (20, 0)]), replace(CONFIG, pack=512, round_length=128)).batches
    assert batch.ids_BT.shape == (1, 256)


def test_memory_follows_the_limits():
    cost = sample_cost(DENSE, replace(IMAGES, tile=64), text_tokens=50)
    needed = [training_bytes(DENSE, replace(CONFIG, images=replace(IMAGES, tile=64), **limit), cost)
              for limit in ({"micro_batch": 2}, {"pass_tokens": 2 * cost.longest}, {"pass_tiles": 2 * cost.most_tiles}, {})]
    assert needed[0] == needed[1] == needed[2] < needed[3]
