"""Packing: everything once, nothing cut, rows full, the same every time."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.config import PretrainMixture
from model.data.mixture import MixtureDraw
from model.data.packing import FULL, pack

SAMPLES = st.lists(st.tuples(st.integers(1, 100), st.integers(0, 4)), min_size=1, max_size=60)


def packed(lengths, images=None, *, length=100, max_images=16):
    images = images or [0] * len(lengths)
    return pack(lengths, images, length=length, max_images=max_images, names=[f"sample {i}" for i in range(len(lengths))])


@given(SAMPLES)
def test_every_sample_stands_in_one_row_whole(samples):
    lengths, images = ([each[i] for each in samples] for i in (0, 1))
    packing = packed(lengths, images, max_images=4)
    assert sorted(index for row in packing.rows for index in row) == list(range(len(samples)))
    assert packing.length <= 100
    for row in packing.rows:
        assert sum(lengths[i] for i in row) <= packing.length
        assert sum(images[i] for i in row) <= 4


@given(SAMPLES)
def test_packing_is_a_function_of_its_arguments(samples):
    lengths = [each[0] for each in samples]
    assert packed(lengths) == packed(lengths)


@given(SAMPLES)
def test_no_two_rows_could_be_one(samples):
    lengths = [each[0] for each in samples]
    sums = sorted(sum(lengths[i] for i in row) for row in packed(lengths).rows)
    assert len(sums) == 1 or sums[0] + sums[1] > packed(lengths).length


@pytest.mark.parametrize("batch", [64, 512])
@pytest.mark.parametrize("seed", range(5))
def test_at_least_95_percent_of_positions_hold_tokens(batch, seed):
    """Lengths as in pre-training at 144 tokens an image: captions, documents of several images, long and short text."""
    rng = random.Random(seed)
    draw = {"caption": lambda: (rng.randint(160, 220), 1), "interleaved": lambda: (144 * 3 + rng.randint(100, 900), 3),
            "text_hq": lambda: (rng.randint(50, 3000), 0)}
    mixture = MixtureDraw(PretrainMixture(caption=0.5, interleaved=0.1, text=0.4), batch=batch, seed=seed)
    samples = [draw[each.category]() for each in mixture.batch(0)]
    lengths, images = ([each[i] for each in samples] for i in (0, 1))
    packing = packed(lengths, images, length=4096)
    assert packing.fill(lengths) >= FULL


def test_rows_keep_their_length_where_the_step_fills_them_and_narrow_where_it_does_not():
    assert packed([50] * 20).length == 100
    narrow = packed([40] * 3)
    assert (len(narrow.rows), narrow.length) == (2, 80)


def test_a_sample_longer_than_a_row_is_refused_with_both_numbers():
    with pytest.raises(ValueError, match=r"sample 1: 101 tokens; allowed: 100"):
        packed([3, 101])


def test_a_sample_of_too_many_images_is_refused_with_both_numbers():
    with pytest.raises(ValueError, match=r"sample 0: 17 images; allowed: 16"):
        packed([50], [17])


def test_rows_hold_sixteen_images_at_most():
    packing = packed([1] * 40, [1] * 40)
    assert len(packing.rows) == 3
    assert max(len(row) for row in packing.rows) <= 16
