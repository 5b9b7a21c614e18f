"""Compiled steps with each lever: close to plain ones, and nothing is compiled again for another layer, step or length.

The compiler takes some ten seconds a case, so `make chaos` runs them.
"""

import logging
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch._dynamo.utils import counters

from model.config.speed import SpeedConfig
from model.training import fused
from model.training.gradients import gradients
from model.training.low_weights import LowWeights
from model.training.optimizer import FusedAdafactor, make_optimizer
from tests.model.training.test_compilation import ALONE, prepared
from tests.support.gloo import CONFIG, DENSE

pytestmark = pytest.mark.chaos
BF16 = replace(CONFIG, dtype="bf16", pack=0, micro_batch=2)
LEVERS = {
    "blocks": {},
    "cast once": {"cast_once": True},
    "some recomputed": {"activations_gib": 1e-3},
    "connector": {"compile_connector": True},
    "encoder": {"vision_stream": "bf16", "vision_attention": "padded"},
}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Keep the compiler from writing down all that it does, because pytest would take it."""
    logging.disable(logging.INFO)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def traced(monkeypatch) -> Iterator[None]:
    """Trace and differentiate as the compiler does, without writing kernels; a function that is compiled too often is an error."""
    torch._dynamo.reset()
    counters.clear()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    with torch._dynamo.config.patch(fail_on_recompile_limit_hit=True):
        yield
    torch._dynamo.reset()


def deep(shape, layers):
    return replace(shape, vision=replace(shape.vision, layers=layers), decoder=replace(shape.decoder, layers=layers))


def run(shape, config, steps=2):
    """Return the losses of a few steps, and the graphs that had been compiled after each."""
    model, step = prepared(shape, config)
    optimizer, low = make_optimizer(model, config), LowWeights(model) if config.speed.cast_once else None
    losses, graphs = [], []
    for _ in range(steps):
        found = gradients(model, step.batches, config, ALONE, low=low)
        losses.append(found.loss)
        if isinstance(optimizer, FusedAdafactor):
            optimizer.clip(found.norm, config.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        graphs.append(counters["stats"]["unique_graphs"])
    return losses, graphs


def test_blocks_are_compiled_once_for_all_layers(traced):
    """Passes of two lengths: a graph for each, however many layers there are."""
    config = replace(BF16, compile=True, recompute=True)
    _, few = run(deep(DENSE, 2), config, steps=1)
    torch._dynamo.reset()
    counters.clear()
    _, many = run(deep(DENSE, 4), config, steps=1)
    assert few == many
    assert few[0] >= 4


@pytest.mark.parametrize("levers", LEVERS.values(), ids=LEVERS.keys())
def test_a_compiled_step_with_levers_learns_as_a_plain_one_and_compiles_once(traced, levers):
    config = replace(BF16, speed=SpeedConfig(**levers), compile=True)
    plain, _ = run(DENSE, BF16)
    losses, graphs = run(DENSE, config)
    assert losses == pytest.approx(plain, rel=2e-3)
    assert graphs == [graphs[0]] * 2
    assert graphs[0] >= 4


def test_the_fused_optimizer_is_compiled_for_forms_and_not_for_shapes(monkeypatch):
    """Square, flat, tall and stacked matrices, convolutions of one pixel, gradients in another order: PyTorch allows 8 forms of each."""
    shapes = [(4, 4), (6, 4), (4, 6), (9, 2), (1, 3, 5), (1, 1, 5), (5, 1, 3, 3), (2, 3, 4, 4), (8, 4, 6), (4, 6, 1, 1), (7,), (2,)]
    for name in ("_observe", "_rms", "_move", "_observe_vector", "_move_vector"):
        written = getattr(fused, name)._torchdynamo_orig_callable
        monkeypatch.setattr(fused, name, torch.compile(written, dynamic=True, backend="eager"))
    monkeypatch.setattr(fused, "TOGETHER", 2)
    counters.clear()
    weights = [torch.randn(shape, requires_grad=True) for shape in shapes for _ in range(3)]
    optimizer = FusedAdafactor(weights, lr=0.01)
    with torch._dynamo.config.patch(fail_on_recompile_limit_hit=True):
        for _ in range(2):
            for weight in weights:
                weight.grad = torch.randn_like(weight.transpose(0, -1)).transpose(0, -1)
            optimizer.step()
    assert counters["stats"]["unique_graphs"] > 5
