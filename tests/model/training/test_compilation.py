"""Recomputed blocks give the same numbers, bit for bit; compiled ones numbers as close as roundings are."""

from dataclasses import replace

import pytest
import torch

from model.config.stages import DataConfig
from model.data.encoding import Encoder
from model.data.loader import Steps
from model.data.tokenizer import load_tokenizer
from model.network.mm15 import MM15
from model.training.compilation import prepare
from model.training.gradients import gradients
from model.training.parallel import Workers
from orchestrator.plan.identity import canonical
from tests.support.gloo import CONFIG, DENSE, MOE

ALONE = Workers(torch.device("cpu"))


def prepared(shape, config):
    """Return a model with its blocks set up, and the first step."""
    torch.manual_seed(0)
    model, encoder = MM15(shape).train(), Encoder(load_tokenizer(), config.images, max_tokens=512)
    prepare(model, config)
    return model, Steps(config=config, data=DataConfig(), encoder=encoder, seed=0).opened()(0)


def learnt(shape, config):
    """Return the losses of one step, and the gradient of every weight."""
    model, step = prepared(shape, config)
    losses = gradients(model, step.batches, config, ALONE)
    return losses, {name: weight.grad for name, weight in model.named_parameters()}


@pytest.mark.parametrize("shape", [DENSE, MOE], ids=["dense", "experts"])
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_recomputing_changes_no_bit(shape, dtype):
    config = replace(CONFIG, dtype=dtype)
    (kept, gradients_kept), (again, gradients_again) = learnt(shape, config), learnt(shape, replace(config, recompute=True))
    assert kept == again
    for name, gradient in gradients_kept.items():
        assert torch.equal(gradient, gradients_again[name]), name


def test_compiled_blocks_come_close_with_experts_too():
    shape = replace(MOE, decoder=replace(MOE.decoder, layers=1, moe_every=1))
    (plain, gradients_plain), (compiled, gradients_compiled) = learnt(shape, CONFIG), learnt(shape, replace(CONFIG, compile=True))
    assert compiled.loss == pytest.approx(plain.loss, rel=1e-5)
    assert compiled.of_routers == pytest.approx(plain.of_routers, rel=1e-5)
    for name, gradient in gradients_plain.items():
        torch.testing.assert_close(gradients_compiled[name], gradient, rtol=1e-3, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}")


def test_compiling_is_part_of_the_identity_and_recomputing_is_not():
    assert canonical(replace(CONFIG, recompute=True)) == canonical(CONFIG) != canonical(replace(CONFIG, compile=True))
