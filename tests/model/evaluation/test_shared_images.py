"""Image tokens that items share: the same answers item by item, the encoder once a picture, nothing kept without need."""

from dataclasses import replace

import pytest
import torch

from model.config.stages import PRESETS, EvaluateConfig, ImageConfig
from model.data.encoding import Encoder
from model.data.tokenizer import load_tokenizer
from model.evaluation.benchmarks.registry import BENCHMARKS
from model.evaluation.generation import Generator
from model.evaluation.workbench_items import workbench_item
from model.network.mm15 import MM15
from model.training.low_weights import lower
from orchestrator.plan.identity import canonical

CONFIG = EvaluateConfig(images=ImageConfig(mode="static", tile=32, tokens=4), benchmarks=("scene-qa",), batch=4)
QUESTIONS, PICTURES = 3, 4
TINY = PRESETS["tiny"]
SHAPE = replace(TINY, vision=replace(TINY.vision, layers=1, tile=32), decoder=replace(TINY.decoder, layers=1))


def items():
    """Yield questions of different lengths, three on each picture."""
    for picture in range(PICTURES):
        first = workbench_item(BENCHMARKS["scene-qa"], picture, seed=0)
        for number in range(QUESTIONS):
            yield replace(first, item_id=f"{picture}/{number}", question=first.question + " Tell me." * number)


@pytest.fixture
def generator():
    torch.manual_seed(0)
    return Generator(MM15(SHAPE).eval(), Encoder(load_tokenizer(), CONFIG.images, max_tokens=512), CONFIG, 4)


def answered(generator, **changes):
    return replace(generator, config=replace(generator.config, **changes)).answer(items(), QUESTIONS * PICTURES)


@pytest.fixture
def encoded_tiles(generator):
    """Return the list of how many tiles each pass of the encoder saw."""
    seen = []
    generator.model.vision.register_forward_pre_hook(lambda module, given: seen.append(len(given[0])))
    return seen


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_answers_are_equal_item_by_item(generator, dtype):
    assert answered(generator, share_images=True, dtype=dtype) == answered(generator, dtype=dtype)


def test_each_picture_is_encoded_once(generator, encoded_tiles):
    answered(generator)
    alone = sum(encoded_tiles)
    encoded_tiles.clear()
    answered(generator, share_images=True)
    assert (alone, sum(encoded_tiles)) == (5 * QUESTIONS * PICTURES, 5 * PICTURES)


def test_pictures_of_one_item_each_are_encoded_as_without_sharing(generator, encoded_tiles):
    config = replace(CONFIG, share_images=True)
    different = [workbench_item(BENCHMARKS["scene-qa"], index, seed=0) for index in range(6)]
    plain = generator.answer(iter(different), 6)
    passes = encoded_tiles.copy()
    assert replace(generator, config=config).answer(iter(different), 6) == plain
    assert encoded_tiles == 2 * passes


def test_blind_questions_share_nothing_and_are_answered(generator):
    assert answered(generator, share_images=True, blind=True) == answered(generator, blind=True)


def test_weights_that_are_bf16_answer_as_weights_that_autocast_casts(generator):
    expected = answered(generator, dtype="bf16")
    lower(generator.model)
    assert generator.model.vision.blocks[0].qkv.weight.dtype == torch.bfloat16
    assert answered(generator, dtype="bf16") == expected


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_a_cache_of_fixed_size_answers_alike(generator, dtype):
    with torch.compiler.set_stance("force_eager"):
        assert answered(generator, compile=True, dtype=dtype) == answered(generator, dtype=dtype)


def test_sharing_is_in_no_identity_and_compiling_is():
    assert canonical(replace(CONFIG, share_images=True)) == canonical(CONFIG) != canonical(replace(CONFIG, compile=True))
