"""Counting without the model gives the lengths that training sees, and refuses what training would refuse."""

from dataclasses import replace

import pytest

from model.config.stages import ImageConfig, SftConfig
from model.data.encoding import Encoder
from model.data.lengths import Lengths
from model.data.tokenizer import PACKAGED, load_tokenizer
from model.samples import Turn
from model.workbench import make_sample

SETTINGS = (ImageConfig(mode="single", tile=32, tokens=9), ImageConfig(mode="dynamic", tile=24, tokens=4, n_max=6, indicator="index"),
            ImageConfig(mode="dynamic", tile=24, tokens=4, n_max=6, indicator="seps", overview="after"))
CONFIG = SftConfig(images=SETTINGS[0], steps=1, batch=1, lr=1e-3, max_tokens=4096)


@pytest.mark.parametrize("images", SETTINGS)
@pytest.mark.parametrize("category", ["general", "text_rich", "multi_image", "text_only", "interleaved"])
def test_lengths_are_those_of_the_encoder(category, images):
    encoder = Encoder(load_tokenizer(), images, max_tokens=4096)
    for index in range(6):
        sample = make_sample(category, "train", index)
        assert Lengths(PACKAGED, CONFIG, name="sft").count(sample, images) == len(encoder.sample(sample).ids)


def test_special_tokens_that_are_written_out_count_as_text():
    sample = replace(make_sample("text_only", "train", 0), turns=(Turn("<user> says <eos>", "yes"),))
    length = len(Encoder(load_tokenizer(), SETTINGS[0], max_tokens=4096).sample(sample).ids)
    assert Lengths(PACKAGED, CONFIG, name="sft").count(sample, SETTINGS[0]) == length


def test_what_training_refuses_is_refused_with_the_field(tmp_path):
    sample = make_sample("text_rich", "train", 0)
    longest = max(len(Encoder(load_tokenizer(), images, max_tokens=4096).sample(sample).ids) for images in SETTINGS)
    several = replace(CONFIG, image_settings=SETTINGS)
    Lengths(PACKAGED, replace(several, max_tokens=longest), name="sft").refuse(sample)
    with pytest.raises(ValueError, match=rf"{longest} tokens; allowed: {longest - 1} \(sft.max_tokens\)"):
        Lengths(PACKAGED, replace(several, max_tokens=longest - 1), name="sft").refuse(sample)
    two = make_sample("multi_image", "train", 0)
    with pytest.raises(ValueError, match=r"images; allowed: 1 \(sft.pack_images\)"):
        Lengths(PACKAGED, replace(CONFIG, pack=4096, pack_images=1), name="sft").refuse(two)
