"""Answers in windows: the same as at once, with few pictures in memory at a time."""

from dataclasses import replace

import pytest
import torch

from model.config.stages import PRESETS, EvaluateConfig, ImageConfig
from model.data.encoding import Encoder
from model.data.tokenizer import load_tokenizer
from model.evaluation import generation
from model.evaluation.benchmarks.registry import BENCHMARKS
from model.evaluation.generation import Generator
from model.evaluation.workbench_items import workbench_item
from model.network.mm15 import MM15
from model.training.loop import Stopped

CONFIG = EvaluateConfig(images=ImageConfig(mode="static", tile=32, tokens=4), benchmarks=("scene-qa",), batch=2)
COUNT = 13
TILES = 5 * 3 * 32 * 32
"""Bytes of an item's tiles."""


@pytest.fixture(scope="module")
def generator():
    torch.manual_seed(0)
    tiny = PRESETS["tiny"]
    model = MM15(replace(tiny, vision=replace(tiny.vision, layers=1, tile=32), decoder=replace(tiny.decoder, layers=1))).eval()
    return Generator(model, Encoder(load_tokenizer(), CONFIG.images, max_tokens=512), CONFIG, 4)


def item(index):
    return workbench_item(BENCHMARKS["scene-qa"], index, seed=0)


def items(opened):
    for index in range(COUNT):
        opened.append(index)
        yield item(index)


@pytest.fixture
def windows_of(monkeypatch):
    """End a window after so many items: by their number, or by their bytes."""
    def limit(number, *, by):
        if by == "number":
            monkeypatch.setattr(generation, "BATCHES_IN_WINDOW", number // CONFIG.batch)
        else:
            monkeypatch.setattr(generation, "WINDOW_BYTES", number * TILES)
    return limit


@pytest.mark.parametrize("by", ["number", "bytes"])
def test_windows_change_no_answer_and_hold_few_items(generator, windows_of, by):
    whole = generator.answer(items([]), COUNT)
    assert [each.item.item_id for each in whole] == [item(index).item_id for index in range(COUNT)]
    assert {each.tokens_per_image for each in whole} == {20}
    windows_of(4, by=by)
    opened, ahead = [], []
    watched = replace(generator, report=lambda progress: ahead.append(len(opened) - progress["step"]))
    assert watched.answer(items(opened), COUNT) == whole
    assert not any(each.item.images for each in whole)
    assert max(ahead) <= 2 + 4  # the rest of this window, and the next one


@pytest.mark.parametrize("number", [4, 100])
def test_too_few_items_are_an_error(generator, windows_of, number):
    windows_of(number, by="bytes")
    with pytest.raises(ValueError, match=f"{COUNT} of 15 items; allowed: all of them"):
        generator.answer(items([]), 15)


def test_an_item_that_cannot_be_opened_is_named_and_a_stop_is_heard_between_batches(generator, windows_of):
    windows_of(4, by="number")

    def broken():
        yield from map(item, range(6))
        raise ValueError("item 7: no such picture")

    with pytest.raises(ValueError, match="item 7: no such picture"):
        generator.answer(broken(), COUNT)
    asked = iter([False, False, False, True])
    with pytest.raises(Stopped, match=f"stopped after 6 of {COUNT} items"):
        replace(generator, should_stop=lambda: next(asked)).answer(items([]), COUNT)
