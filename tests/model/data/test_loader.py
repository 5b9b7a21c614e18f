"""Loaders prepare what the training process would have prepared, in its order, from any step on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.config import Alpha, DataConfig, ImageConfig, SftMixture
from model.data.conversation import Encoder
from model.data.loader import Batches, Loader
from model.data.tokenizer import load_tokenizer
from tests import corpora

MIXTURE = SftMixture(alpha=Alpha(general=1, science=0.5))


def batches(data, mixture=MIXTURE):
    encoder = Encoder(load_tokenizer(None), ImageConfig(mode="static", tile=64, tokens=16), max_tokens=2048)
    return Batches(mixture=mixture, batch=4, data=data, encoder=encoder, seed=3)


@pytest.fixture
def loader(request):
    """Make loaders that end with the test."""
    made = []

    def make(source, steps):
        made.append(Loader(source, steps=steps, loaders=2))
        return made[-1]

    yield make
    for each in made:
        each.close()


def same(found, expected):
    assert [replace(each, tiles=None) for each in found] == [replace(each, tiles=None) for each in expected]
    for left, right in zip(found, expected, strict=True):
        np.testing.assert_array_equal(left.tiles, right.tiles)


def test_batches_of_loaders_are_those_of_the_process_itself(loader):
    source = batches(DataConfig())
    ahead, here = loader(source, 6), source.opened()
    for step in (0, 1, 2, 3, 5, 1):  # in order, then onwards and back: as a resumed stage asks
        same(ahead(step), here(step))


def test_a_broken_sample_arrives_as_the_error_that_it_is(loader, tmp_path):
    config = corpora.llava(tmp_path, "general", 4)
    Path(config.files[0]).write_text("{broken\n" * 4)
    data = DataConfig(source="catalogue", catalogue=corpora.catalogue(tmp_path, config))
    with pytest.raises(ValueError, match=r"general/general-llava: .*general\.jsonl:\d: not JSON"):
        loader(batches(data, SftMixture()), 3)(0)


def test_data_on_disk_are_read_by_loaders_as_here(loader, tmp_path):
    sources = corpora.cauldron(tmp_path / "a", "general", 5), corpora.webdataset(tmp_path / "b", "science", 4)
    source = batches(DataConfig(source="catalogue", catalogue=corpora.catalogue(tmp_path, *sources)))
    ahead, here = loader(source, 4), source.opened()
    for step in range(4):
        same(ahead(step), here(step))
