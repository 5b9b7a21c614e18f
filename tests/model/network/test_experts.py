"""Precision of experts and routers under autocast, and families whose routers choose by their logits."""

from dataclasses import replace

import pytest
import torch
import transformers
from packaging.version import Version

from model.config.fields import FieldError
from model.config.routing import FAMILIES, require_plain_routing
from model.config.stages import PRESETS
from model.network.experts import routers
from model.network.language import decoder
from model.network.mm15 import MM15
from tests.support.decoder_families import SHIPPED, imported, small_decoder
from tests.support.gloo import MOE
from tests.support.products import products

SMALL = replace(PRESETS["tiny"].decoder, experts=4)


def built():
    torch.manual_seed(0)
    return decoder(SMALL), torch.randn(2, 16, SMALL.width)


def test_routers_compute_in_fp32_and_experts_in_bf16():
    model, hidden = built()
    logits = []
    for router in routers(model):
        router.register_forward_hook(lambda module, given, output: logits.append(output[0]))
    with torch.autocast("cpu", torch.bfloat16), products() as seen:
        model(inputs_embeds=hidden, use_cache=False)
    assert {each.dtype for each in logits} == {torch.float32}
    assert seen["_grouped_mm"] == {torch.bfloat16}
    assert seen["mm"] == {torch.bfloat16, torch.float32}  # fp32 of the routers alone, as the next test counts


def test_only_routers_are_left_in_fp32():
    model, hidden = built()
    dense = decoder(replace(SMALL, experts=0))
    with torch.autocast("cpu", torch.bfloat16), products() as seen:
        dense(inputs_embeds=hidden, use_cache=False)
    assert seen["mm"] == {torch.bfloat16}
    assert len(routers(model)) == SMALL.layers // SMALL.moe_every


def test_the_weights_of_experts_get_fp32_gradients_close_to_those_without_autocast():
    model, hidden = built()
    gradients = []
    for is_low in (False, True):
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=is_low):
            model(inputs_embeds=hidden, use_cache=False).logits.float().square().mean().backward()
        gradients.append({name: weight.grad for name, weight in model.named_parameters() if "experts" in name})
    exact, low = gradients
    assert {each.dtype for each in low.values()} == {torch.float32}
    for name, gradient in exact.items():
        assert torch.nn.functional.cosine_similarity(gradient.flatten(), low[name].flatten(), dim=0) > 0.99


def test_names_of_weights_stay():
    with torch.device("meta"):
        assert "model.layers.1.mlp.experts.gate_up_proj" in MM15(MOE).decoder.state_dict()


@pytest.mark.parametrize("family", sorted(FAMILIES & SHIPPED.keys()))
def test_routers_of_listed_families_choose_the_largest_logits(family):
    model, outputs = small_decoder(family).train(), []
    for buffer in model.buffers():  # a bias that would be moved for balance is zero at first
        if buffer.is_floating_point() and buffer.ndim == 1:
            buffer.add_(torch.randn_like(buffer))
    for router in routers(model):
        router.register_forward_hook(lambda module, given, output: outputs.append(output) if isinstance(output, tuple) else None)
    model(inputs_embeds=torch.randn(1, 9, 32), use_cache=False)
    if Version(transformers.__version__) >= Version("5.23"):
        assert outputs, "older releases do not report the routers of all families; training refuses those, as test_mm15 shows"
    for output in outputs:  # which place holds what differs between releases of transformers
        chosen = next(each for each in output if not each.is_floating_point())
        logits = max((each for each in output if each.is_floating_point()), key=lambda each: each.shape[-1])
        assert torch.equal(logits.topk(chosen.shape[-1], -1).indices.sort(-1).values, chosen.sort(-1).values)


@pytest.mark.parametrize("family", ["deepseek_v3", "ernie4_5_moe", "glm4_moe", "llama4_text", "minimax_m2"])
def test_other_families_with_experts_are_refused_by_name(family):
    with pytest.raises(FieldError, match=rf"model\.decoder: decoder '{family}' is not among the families that choose"):
        require_plain_routing(replace(imported(model_type=family), experts=4))


def test_decoders_without_experts_and_our_own_are_accepted():
    require_plain_routing(imported(model_type="deepseek_v3"))
    require_plain_routing(PRESETS["mm1.5-3b-moe"].decoder)
