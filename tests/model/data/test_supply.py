"""Draws become samples, the same ones whoever asks and whenever."""

from hypothesis import given, settings
from hypothesis import strategies as st

from model.config import DataConfig
from model.data.mixture import Draw, sample_index
from model.data.supply import supply
from model.data.workbench import make_sample


@settings(deadline=None, max_examples=20)
@given(st.sampled_from(["general", "science", "text_only"]), st.integers(0, 10**6), st.integers(0, 9))
def test_the_workbench_supplies_what_it_generates(category, k, seed):
    found = supply(DataConfig(seed=3), seed=seed).sample(Draw(category, k))
    expected = make_sample(category, "train", sample_index(seed, category, k), seed=3)
    assert (found.sample_id, found.turns) == (expected.sample_id, expected.turns)
    assert [image.tobytes() for image in found.images] == [image.tobytes() for image in expected.images]
