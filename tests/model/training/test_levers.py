"""Levers of a step: what gives the same numbers gives the same bits, what rounds otherwise comes close; identities stay."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from model.config.fields import FieldError
from model.config.speed import SpeedConfig
from model.cost.flops import at_tile
from model.cost.memory import activation_bytes
from model.network.vision import attend
from model.training.fused import TOGETHER, FusedAdafactor
from model.training.gradients import gradients
from model.training.low_weights import LowWeights
from model.training.optimizer import Adafactor, make_optimizer
from orchestrator.plan.identity import canonical
from tests.model.training.test_compilation import ALONE, learnt, prepared
from tests.support.gloo import CONFIG, DENSE, MOE

BF16 = replace(CONFIG, dtype="bf16")
SHAPES = [(6, 5)] * (TOGETHER + 1) + [(3, 4), (4, 3, 2, 2), (7,), (1, 4, 3), (4, 3, 1, 1), (1, 1, 6)]


def with_speed(config=CONFIG, **levers):
    return replace(config, speed=SpeedConfig(**levers))


def moved(optimizers, *, norm=1.0, clip=1.0, steps=4):
    """Move the same weights by several optimizers with the same gradients; return weights and states of each."""
    found = []
    for make, is_fused in optimizers:
        torch.manual_seed(0)
        weights = [torch.randn(shape, requires_grad=True) for shape in SHAPES]
        optimizer = make([{"params": weights[:4]}, {"params": weights[4:], "lr": 0.002}], lr=0.01, weight_decay=0.1)
        for _ in range(steps):
            for weight in weights:
                weight.grad = torch.randn_like(weight) * (1.0 if is_fused else min(1.0, clip / (norm + 1e-6)))
            if is_fused:
                optimizer.clip(norm, clip)
            optimizer.step()
        found.append((weights, [optimizer.state[weight] for weight in weights]))
    return found


@pytest.fixture(params=["force_eager", "default"])
def stance(request):
    """The functions as they are written, and as they are compiled."""
    with torch.compiler.set_stance(request.param):
        yield request.param


def test_fused_adafactor_moves_weights_and_moments_as_the_plain_one(stance):
    (plain, states), (fused, fused_states) = moved([(Adafactor, False), (FusedAdafactor, True)], norm=4.0)
    for a, b in zip(plain, fused, strict=True):
        torch.testing.assert_close(b, a, rtol=1e-5, atol=1e-7)
    for a, b in zip(states, fused_states, strict=True):
        assert a.keys() == b.keys()
        assert a["step"] == b["step"] == 4
        for name in a.keys() - {"step"}:
            torch.testing.assert_close(b[name], a[name], rtol=1e-5, atol=0)


def test_one_setting_chooses_the_fused_optimizers():
    model, _ = prepared(DENSE, CONFIG)
    assert type(make_optimizer(model, with_speed(fused_optimizer=True))) is FusedAdafactor
    assert type(make_optimizer(model, CONFIG)) is Adafactor
    adamw = make_optimizer(model, with_speed(replace(CONFIG, optimizer="adamw"), fused_optimizer=True))
    assert adamw.defaults["fused"]


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("shape", [DENSE, MOE], ids=["dense", "experts"])
def test_casting_once_a_step_changes_no_bit(shape, recompute):
    config = replace(BF16, micro_batch=2, recompute=recompute)
    losses, expected = learnt(shape, config)
    model, step = prepared(shape, config)
    low = LowWeights(model)
    assert gradients(model, step.batches, config, ALONE, low=low) == losses
    assert len(step.batches) == 2
    for name, weight in model.named_parameters():
        assert weight.dtype == weight.grad.dtype == torch.float32
        assert torch.equal(weight.grad, expected[name]), name


def test_copies_follow_the_weights_and_leave_the_model_as_it_was():
    model, _ = prepared(DENSE, BF16)
    low, weight = LowWeights(model), model.vision.blocks[0].qkv.weight
    with torch.no_grad():
        weight.add_(1)
    with low.in_place():
        assert torch.equal(model.vision.blocks[0].qkv.weight, weight.to(torch.bfloat16))
        assert model.decoder.get_input_embeddings().weight.dtype == torch.float32
    assert model.vision.blocks[0].qkv.weight is weight


def limit(step, *, recomputed):
    """Return the GiB that the first pass of a step keeps if so many blocks are recomputed; next to nothing for all of them."""
    if recomputed == 3:
        return 1e-9
    batch = step.batches[0].located()
    return activation_bytes(at_tile(DENSE, CONFIG.images.tile), tiles=len(batch.tiles_NCXX), tokens=CONFIG.images.tokens,
                            length=batch.ids_BT.numel(), predicted=len(batch.loss_at), recomputed=recomputed) / 2**30


@pytest.mark.parametrize("number", [0, 2, 3])
def test_as_many_blocks_are_recomputed_as_a_pass_may_not_keep_and_no_bit_changes(number):
    losses, expected = learnt(DENSE, CONFIG)
    _, step = prepared(DENSE, CONFIG)
    config = with_speed(activations_gib=limit(step, recomputed=number))
    model, step = prepared(DENSE, config)
    assert gradients(model, step.batches, config, ALONE) == losses
    assert model.num_recomputed == number
    for name, weight in model.named_parameters():
        assert torch.equal(weight.grad, expected[name]), name


def test_heads_filled_up_with_zeros_attend_alike():
    q, k, v = (torch.randn(2, 4, 9, 80) for _ in range(3))
    torch.testing.assert_close(attend(q, k, v, kernel="padded"), functional.scaled_dot_product_attention(q, k, v))
    wide = torch.randn(1, 1, 2, 160)
    with pytest.raises(ValueError, match="heads have 160 channels; allowed with vision_attention padded: <= 128"):
        attend(wide, wide, wide, kernel="padded")


@pytest.mark.parametrize("levers", [{"vision_stream": "bf16"}, {"vision_attention": "padded"}])
def test_levers_of_the_encoder_come_close(levers):
    (losses, plain), (other, found) = learnt(DENSE, BF16), learnt(DENSE, with_speed(BF16, **levers))
    assert other.loss == pytest.approx(losses.loss, rel=1e-2)
    whole, difference = (torch.cat([each.flatten() for each in tensors])
                         for tensors in (plain.values(), (plain[name] - found[name] for name in plain)))
    assert difference.norm() < 0.05 * whole.norm()


def test_the_stream_of_the_encoder_has_the_type_that_is_chosen():
    model, step = prepared(DENSE, with_speed(BF16, vision_stream="bf16"))
    seen = []
    model.vision.blocks[0].register_forward_hook(lambda module, given, output: seen.extend([given[0].dtype, output.dtype]))
    with torch.autocast("cpu", torch.bfloat16):
        patches = model.vision(step.batches[0].tiles_NCXX)
    assert seen == [torch.bfloat16, torch.bfloat16]
    assert patches.shape[-1] == DENSE.vision.width


@pytest.mark.parametrize("levers", [{"cast_once": True}, {"activations_gib": 2.0}])
def test_levers_without_other_numbers_are_in_no_identity(levers):
    assert canonical(with_speed(BF16, **levers)) == canonical(BF16)


@pytest.mark.parametrize("levers", [{"fused_optimizer": True}, {"compile_connector": True}, {"cuda_graphs": True},
                                    {"vision_stream": "bf16"}, {"vision_attention": "cudnn"}])
def test_levers_that_round_otherwise_are_part_of_the_identity(levers):
    config = replace(BF16, compile=True)
    name, = levers
    assert f'"speed":{{"{name}":' in canonical(with_speed(config, **levers))
    assert '"speed"' not in canonical(config)


@pytest.mark.parametrize(("config", "levers", "says"), [
    (CONFIG, {"cast_once": True}, "speed.cast_once: True; allowed with dtype fp32: False"),
    (CONFIG, {"vision_stream": "bf16"}, "speed.vision_stream: 'bf16'; allowed with dtype fp32: fp32"),
    (CONFIG, {"cuda_graphs": True}, "speed.cuda_graphs: true; allowed without compile: false"),
    (CONFIG, {"compile_connector": True}, "speed.compile_connector: true; allowed without compile: false"),
    (replace(CONFIG, compile=True, micro_batch=1), {"cuda_graphs": True}, "speed.cuda_graphs: true; allowed with micro_batch"),
    (replace(CONFIG, recompute=True), {"activations_gib": 1.0}, "speed.activations_gib: 1; allowed with recompute: 0"),
])
def test_levers_that_cannot_work_are_refused(config, levers, says):
    with pytest.raises(FieldError, match=says.replace("(", r"\(")):
        with_speed(config, **levers)
