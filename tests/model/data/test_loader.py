"""Loaders prepare what the training process would have prepared, in its order, from any step on."""

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from model.config.catalogue import SourceConfig
from model.config.stages import Alpha, DataConfig, ImageConfig, SftConfig, SftMixture
from model.data.encoding import Encoder
from model.data.loader import Loader, Steps, _Packed, images_of
from model.data.step import Step
from model.data.tokenizer import load_tokenizer
from model.network.mm15 import Batch
from tests.support import corpora

CONFIG = SftConfig(images=ImageConfig(mode="static", tile=64, tokens=16), mixture=SftMixture(alpha=Alpha(general=1, science=0.5)),
                   steps=6, batch=4, lr=1e-3, max_tokens=2048)
LAYOUTS = {"one batch": CONFIG, "two passes": replace(CONFIG, micro_batch=2), "packed": replace(CONFIG, pack=2048, batch=12),
           "packed, row by row": replace(CONFIG, pack=2048, batch=12, micro_batch=1)}


def steps(data, config=CONFIG, part=(0, 1)):
    encoder = Encoder(load_tokenizer(None), config.images, max_tokens=config.max_tokens)
    return Steps(config=config, data=data, encoder=encoder, seed=3, part=part)


@pytest.fixture
def loader():
    """Make loaders that end with the test."""
    made = []

    def make(source):
        made.append(Loader(source, loaders=2))
        return made[-1]

    yield make
    for each in made:
        each.close()


def same(found, expected):
    assert found.seen == expected.seen
    assert len(found.batches) == len(expected.batches)
    for ours, theirs in zip(found.batches, expected.batches, strict=True):
        for each in fields(Batch):
            left, right = getattr(ours, each.name), getattr(theirs, each.name)
            assert left.dtype == right.dtype and torch.equal(left, right) if isinstance(right, torch.Tensor) else left == right, each.name


@pytest.mark.parametrize("layout", LAYOUTS)
def test_steps_of_loaders_are_those_of_the_process_itself(loader, layout):
    source = steps(DataConfig(), LAYOUTS[layout])
    ahead, here = loader(source), source.opened()
    for number in (0, 1, 2, 3, 5, 1):  # in order, then onwards and back: as a resumed stage asks
        same(ahead(number), here(number))


def test_a_worker_without_a_sample_gets_an_empty_step(loader):
    source = steps(DataConfig(), part=(4, 5))
    assert loader(source)(0) == source.opened()(0) == Step((), (), CONFIG.images)


def test_each_pass_over_the_image_settings_takes_each_once_in_an_order_of_the_seed():
    settings = tuple(ImageConfig(mode="single", tile=tile, tokens=4) for tile in range(8, 72, 8))
    config = replace(CONFIG, image_settings=settings)
    passes = [[images_of(config, 8 * number + place, seed=seed) for place in range(8)] for number in range(3) for seed in range(3)]
    assert all(sorted(each, key=lambda one: one.tile) == list(settings) for each in passes)
    assert len({tuple(each) for each in passes}) == len(passes)


def test_a_step_is_cut_by_its_own_image_setting(loader):
    config = replace(CONFIG, image_settings=(CONFIG.images, ImageConfig(mode="single", tile=32, tokens=9)))
    source = steps(DataConfig(), config)
    ahead, here = loader(source), source.opened()
    for number in range(4):
        found = ahead(number)
        same(found, here(number))
        assert found.images == here(number).images == images_of(config, number, seed=3)
        assert found.batches[0].tiles_NCXX.shape[-1] == found.images.tile


def test_workers_divide_a_step_among_them():
    whole = steps(DataConfig()).opened()(2).seen
    parts = [steps(DataConfig(), part=(rank, 3)).opened()(2).seen for rank in range(3)]
    assert [parts[place % 3][place // 3] for place in range(len(whole))] == list(whole)


def test_beside_a_device_all_of_a_step_is_pinned(monkeypatch):
    """Without a device nothing can be pinned: what is asked for is recorded, and answered by a copy."""
    pinned = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: pinned.append(tensor.clone()) or pinned[-1])
    step = steps(DataConfig(), LAYOUTS["packed"]).opened()(0)
    there = _Packed.of(step).pinned().step()
    same(there, step)
    starts = {each.untyped_storage().data_ptr() for each in pinned}
    assert all(batch.tiles_NCXX.untyped_storage().data_ptr() in starts and batch.ids_BT.untyped_storage().data_ptr() in starts
               for batch in there.batches)


def test_a_broken_sample_arrives_as_the_error_that_it_is(loader, tmp_path):
    config = corpora.llava(tmp_path, "general", 4)
    Path(config.files[0]).write_text("{broken\n" * 4)
    data = DataConfig(source="catalogue", catalogue=corpora.catalogue(tmp_path, config))
    with pytest.raises(ValueError, match=r"general/general-llava: .*general\.jsonl:\d: not JSON"):
        loader(steps(data, replace(CONFIG, mixture=SftMixture())))(0)


def test_data_on_disk_are_read_by_loaders_as_here(loader, tmp_path):
    sources = corpora.cauldron(tmp_path / "a", "general", 5), corpora.webdataset(tmp_path / "b", "science", 4)
    source = steps(DataConfig(source="catalogue", catalogue=corpora.catalogue(tmp_path, *sources)))
    ahead, here = loader(source), source.opened()
    for number in range(4):
        same(ahead(number), here(number))


def records(folder, *questions, broken=0.0, images=0):
    """A catalogue of one data set, a conversation for each question."""
    talks = [{"conversations": [{"from": "human", "value": "<image>" * images + each}, {"from": "gpt", "value": "ok"}],
              **({"image": ["a.png"] * images} if images else {})} for each in questions]
    (folder / "g.jsonl").write_text("\n".join(map(json.dumps, talks)))
    (folder / "a.png").write_bytes(corpora.png(Image.new("RGB", (32, 32))))
    source = SourceConfig(category="general", name="x", layout="llava", files=(str(folder / "g.jsonl"),), broken=broken, images=str(folder))
    return DataConfig(source="catalogue", catalogue=corpora.catalogue(folder, source))


LONG = ["hi"] * 19 + ["word " * 6000]
ALONE = replace(CONFIG, mixture=SftMixture(alpha=Alpha(general=1)), steps=5)


def test_a_sample_that_is_too_long_is_replaced_where_some_may_be_broken(tmp_path):
    step = steps(records(tmp_path, *LONG, broken=0.2), ALONE).opened()
    replaced = [each for number in range(5) for seen in step(number).seen for each in seen.replaces]
    assert [(Path(each.where).name, each.reason.partition(";")[0]) for each in replaced] == [("g.jsonl:19", "18005 tokens")]


def test_a_sample_that_is_too_long_is_named_once_where_none_may_be_broken(tmp_path):
    step = steps(records(tmp_path, *LONG), ALONE).opened()
    with pytest.raises(ValueError, match=r"g\.jsonl:19: 18005 tokens; allowed: 2048") as error:
        [step(number) for number in range(5)]
    assert str(error.value).count("g.jsonl") == 1


def test_a_sample_with_more_images_than_a_packed_row_holds_is_broken(tmp_path):
    config = replace(ALONE, pack=2048, pack_images=2)
    with pytest.raises(ValueError, match=r"g\.jsonl:0: 3 images; allowed: 2 \(pack_images"):
        steps(records(tmp_path, "What?", images=3), config).opened()(0)
