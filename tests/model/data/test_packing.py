"""Packing: everything once, nothing cut, rows full, the same every time."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.config.stages import PretrainMixture
from model.data.mixture import MixtureDraw
from model.data.packing import FULL, Pass, pack

SAMPLES = st.lists(st.tuples(st.integers(1, 100), st.integers(0, 4)), min_size=1, max_size=60)


def packed(lengths, images=None, *, length=100, max_images=16, most_rows=0):
    images = images or [0] * len(lengths)
    names = [f"sample {i}" for i in range(len(lengths))]
    return pack(lengths, images, length=length, max_images=max_images, names=names, most_rows=most_rows)


def filled(passes, lengths):
    return sum(lengths) / sum(len(each.rows) * each.length for each in passes)


def rows_of(passes):
    return [row for each in passes for row in each.rows]


@given(SAMPLES, st.integers(0, 5))
def test_every_sample_stands_in_one_row_whole(samples, most_rows):
    lengths, images = ([each[i] for each in samples] for i in (0, 1))
    passes = packed(lengths, images, max_images=4, most_rows=most_rows)
    assert sorted(index for row in rows_of(passes) for index in row) == list(range(len(samples)))
    for each in passes:
        assert each.length <= 100
        assert len(each.rows) <= (most_rows or len(samples))
        for row in each.rows:
            assert sum(lengths[i] for i in row) <= each.length
            assert sum(images[i] for i in row) <= 4


@given(SAMPLES)
def test_packing_is_a_function_of_its_arguments(samples):
    lengths = [each[0] for each in samples]
    assert packed(lengths) == packed(lengths)


@given(SAMPLES)
def test_no_two_rows_could_be_one(samples):
    lengths = [each[0] for each in samples]
    sums = sorted(sum(lengths[i] for i in row) for row in rows_of(packed(lengths)))
    assert len(sums) == 1 or sums[0] + sums[1] > max(each.length for each in packed(lengths))


@given(SAMPLES, st.integers(1, 16), st.integers(0, 5))
def test_at_least_95_percent_of_positions_hold_tokens_however_small_the_step(samples, max_images, most_rows):
    lengths, images = ([min(each[i], limit) for each in samples] for i, limit in ((0, 100), (1, max_images)))
    assert filled(packed(lengths, images, max_images=max_images, most_rows=most_rows), lengths) >= FULL


@pytest.mark.parametrize("batch", [64, 512])
@pytest.mark.parametrize("seed", range(5))
def test_rows_of_a_large_step_keep_the_length_asked_for(batch, seed):
    """Lengths as in pre-training at 144 tokens an image: captions, documents of several images, long and short text."""
    rng = random.Random(seed)
    draw = {"caption": lambda: (rng.randint(160, 220), 1), "interleaved": lambda: (144 * 3 + rng.randint(100, 900), 3),
            "text_hq": lambda: (rng.randint(50, 3000), 0)}
    mixture = MixtureDraw(PretrainMixture(caption=0.5, interleaved=0.1, text=0.4), batch=batch, seed=seed)
    samples = [draw[each.category]() for each in mixture.batch(0)]
    lengths, images = ([each[i] for each in samples] for i in (0, 1))
    passes = packed(lengths, images, length=4096)
    assert filled(passes, lengths) >= FULL
    assert batch < 512 or [each.length for each in passes] == [4096]


def test_rows_that_a_step_does_not_fill_are_evened_out():
    full, = packed([50] * 20)
    narrow, = packed([40] * 3 + [39])
    assert (len(full.rows), full.length) == (10, 100)
    assert (len(narrow.rows), narrow.length) == (2, 80)


def test_a_row_that_stays_short_is_a_pass_of_its_own():
    """A long sample keeps rows wide, and sixteen images may be all that a row takes: neither leaves positions empty."""
    assert packed([100, 60, 60]) == (Pass(((0,),), 100), Pass(((1,), (2,)), 60))
    assert [(len(each.rows), each.length) for each in packed([1] * 40, [1] * 40)] == [(3, 14)]


def test_nothing_makes_no_pass():
    assert packed([]) == ()


def test_a_sample_longer_than_a_row_is_refused_with_both_numbers():
    with pytest.raises(ValueError, match=r"sample 1: 101 tokens; allowed: 100"):
        packed([3, 101])


def test_a_sample_of_too_many_images_is_refused_with_both_numbers():
    with pytest.raises(ValueError, match=r"sample 0: 17 images; allowed: 16"):
        packed([50], [17])


def test_rows_hold_sixteen_images_at_most():
    rows = rows_of(packed([1] * 40, [1] * 40))
    assert len(rows) == 3
    assert max(map(len, rows)) <= 16
