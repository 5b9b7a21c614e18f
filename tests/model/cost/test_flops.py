"""Formulas against the modules that they describe, published counts, and torch's own counter."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from model.config.stages import (
    PRESETS,
    ConnectorConfig,
    DecoderConfig,
    ImageConfig,
    ModelConfig,
    SftConfig,
    VisionConfig,
)
from model.cost.flops import (
    TYPICAL_SIZES,
    at_tile,
    connector_parameters,
    decoder_flops,
    forward_flops,
    parameters,
    sample_cost,
    vision_flops,
    vision_parameters,
)
from model.cost.memory import activation_bytes, checkpoint_bytes, state_bytes, training_bytes
from model.network.mm15 import MM15, Batch

TINY = PRESETS["tiny"]
STATIC = ImageConfig(mode="static", tile=672, tokens=144)
DYNAMIC = ImageConfig(mode="dynamic", tile=672, tokens=144)


def changed(config, part, **changes):
    return replace(config, **{part: replace(getattr(config, part), **changes)})


def of_modules(config):
    with torch.device("meta"):
        model = MM15(config)
    return [sum(weight.numel() for weight in part.parameters()) for part in (model.vision, model.connector, model.decoder)]


def abstractor(*, width, patch, tile, language, hidden=1024, depth=3):
    vision = VisionConfig(width=width, layers=1, heads=1, mlp_width=4 * width, patch=patch, tile=tile)
    decoder = DecoderConfig(width=language, layers=1, heads=1, kv_heads=1, mlp_width=8, vocabulary=8, context=8)
    return ModelConfig(vision=vision, connector=ConnectorConfig(hidden=hidden, depth=depth), decoder=decoder)


@pytest.mark.parametrize("config", [
    *PRESETS.values(),
    *(changed(TINY, "connector", kind=kind) for kind in ("linear", "mlp", "average_pool")),
    changed(TINY, "connector", depth=0),
    changed(TINY, "connector", hidden=96, depth=2),
    changed(TINY, "decoder", tied=False, kv_heads=2),
    changed(TINY, "decoder", experts=4, moe_every=1),
    changed(TINY, "vision", stem="patch"),
    changed(TINY, "vision", stem="patch", stem_bias=True, norm_in=False),
    changed(TINY, "vision", class_token=True),
    changed(TINY, "decoder", head_width=16),
    at_tile(TINY, 96),
])
def test_parameters_equal_the_modules(config):
    counted = parameters(config)
    assert [counted.vision, counted.connector, counted.decoder] == of_modules(config)


@pytest.mark.parametrize(("config", "total"), [
    (abstractor(width=1024, patch=14, tile=336, language=4096), 37_398_016),
    (abstractor(width=1280, patch=14, tile=378, language=2048), 24_763_200),
    (abstractor(width=1280, patch=14, tile=378, language=3072), 31_056_704),
    (abstractor(width=1280, patch=14, tile=672, language=3072), 33_072_704),
    (abstractor(width=1280, patch=14, tile=378, language=4096), 39_447_360),
    (abstractor(width=768, patch=16, tile=512, language=960), 18_916_672),
    (abstractor(width=768, patch=1, tile=14, language=576, hidden=256), 2_032_768),
])
def test_c_abstractor_has_the_published_size(config, total):
    assert connector_parameters(config) == total


def test_vit_h_has_632_million():
    assert vision_parameters(PRESETS["mm1.5-3b"].vision) == pytest.approx(632e6, rel=2e-3)


@pytest.mark.parametrize(("name", "billions"), [("mm1.5-1b", 1), ("mm1.5-3b", 3), ("mm1.5-7b", 7), ("mm1.5-30b", 30)])
def test_decoders_are_within_a_tenth_of_their_name(name, billions):
    assert of_modules(PRESETS[name])[2] / 1e9 == pytest.approx(billions, rel=0.1)


@pytest.mark.parametrize(("name", "dense"), [("mm1.5-1b-moe", "mm1.5-1b"), ("mm1.5-3b-moe", "mm1.5-3b")])
def test_decoders_of_experts_are_their_namesakes_with_64_experts_in_every_second_layer(name, dense):
    sparse = PRESETS[name].decoder
    assert (sparse.experts, sparse.experts_per_token, sparse.moe_every) == (64, 2, 2)
    assert replace(PRESETS[name], decoder=replace(sparse, experts=0)) == PRESETS[dense]


def test_three_billion_with_experts_are_the_64_billion_of_mm1():
    assert of_modules(PRESETS["mm1.5-3b-moe"])[2] / 1e9 == pytest.approx(64, rel=0.1)


def test_token_of_an_expert_model_passes_two_experts():
    dense, sparse = (parameters(PRESETS[name]) for name in ("mm1.5-3b", "mm1.5-3b-moe"))
    assert dense.active == dense.total
    expert, router = 3 * 3072 * 8064, 3072 * 64
    assert sparse.active - dense.active == 13 * (expert + router)
    assert sparse.total - dense.total == 13 * (63 * expert + router)


@pytest.mark.parametrize(("tile", "teraflops"), [(378, 1.00), (672, 3.77)])
def test_vit_h_costs_the_reference_flops_of_a_tile(tile, teraflops):
    vision = at_tile(PRESETS["mm1.5-3b"], tile).vision
    assert vision_flops(vision) / 1e12 == pytest.approx(teraflops, rel=0.01)


@pytest.mark.parametrize(("tiles", "teraflops"), [(5, 18.8), (10, 37.7), (17, 64.1)])
def test_encoder_is_four_fifths_of_high_resolution(tiles, teraflops):
    flops = forward_flops(at_tile(PRESETS["mm1.5-3b"], 672), tiles=tiles, tokens=144, length=tiles * 144 + 150)
    assert flops.vision / 1e12 == pytest.approx(teraflops, rel=0.01)
    assert flops.vision / (flops.total - flops.connector) == pytest.approx(0.8, abs=0.025)


def batch_of(*, tiles, tokens, tile, length, predicted):
    ids = torch.full((1, length), 7)
    ids[:, : tiles * tokens] = 5
    labels = torch.full((1, length), -100)
    labels[:, length - predicted :] = 9
    return Batch(ids, labels, torch.ones(1, length, dtype=torch.bool), torch.zeros(tiles, 3, tile, tile, dtype=torch.uint8), 5)


@pytest.mark.parametrize("config", [
    TINY, changed(TINY, "vision", stem="patch"), changed(TINY, "vision", class_token=True),
    changed(TINY, "decoder", kv_heads=2, tied=False), changed(TINY, "decoder", head_width=48),
    *(changed(TINY, "connector", kind=kind) for kind in ("linear", "mlp", "average_pool")),
])
def test_flops_equal_what_torch_counts(config):
    model = MM15(config)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(batch_of(tiles=5, tokens=16, tile=64, length=200, predicted=60), tokens=16)
    # torch computes the upper triangle of causal attention too; model FLOPs count the half that is needed.
    not_needed = 2 * 200**2 * config.decoder.heads * config.decoder.head * config.decoder.layers
    flops = forward_flops(config, tiles=5, tokens=16, length=200, predicted=60)
    assert flops.total + not_needed == pytest.approx(counter.get_total_flops(), rel=1e-3)


def test_flops_of_experts_are_those_of_a_wider_dense_layer():
    sparse = changed(TINY, "decoder", experts=8, experts_per_token=2, moe_every=1).decoder
    dense = changed(TINY, "decoder", mlp_width=2 * TINY.decoder.mlp_width).decoder
    router = 2 * 100 * sparse.layers * sparse.width * sparse.experts
    assert decoder_flops(sparse, length=100) == decoder_flops(dense, length=100) + router


def test_training_costs_three_forward_passes():
    flops = forward_flops(TINY, tiles=1, tokens=16, length=50)
    assert flops.training(SftConfig(images=STATIC, steps=1, batch=1, lr=1e-3)) == pytest.approx(3 * flops.total)


def test_cost_of_a_static_sample_is_the_same_for_every_size():
    cost = sample_cost(PRESETS["mm1.5-3b"], STATIC, text_tokens=150)
    assert (cost.tiles, cost.image_tokens, cost.length, cost.longest) == (5, 720, 870, 870)
    one = forward_flops(at_tile(PRESETS["mm1.5-3b"], 672), tiles=5, tokens=144, length=870)
    assert cost.flops.total == pytest.approx(one.total)


def test_cost_is_the_mean_over_the_sizes():
    small, large = (600, 800), (1080, 1920)
    alone = [sample_cost(TINY, DYNAMIC, sizes=[size], text_tokens=10).flops.total for size in (small, large)]
    together = sample_cost(TINY, DYNAMIC, sizes=[small, small, large, large], text_tokens=10)
    assert (together.tiles, together.longest) == (6, 1018)
    assert together.flops.total == pytest.approx(sum(alone) / 2)


def test_cost_uses_the_tile_of_the_images_not_of_the_preset():
    small = sample_cost(PRESETS["mm1.5-3b"], replace(STATIC, tile=378), text_tokens=0)
    assert sample_cost(PRESETS["mm1.5-3b"], STATIC, text_tokens=0).flops.vision / small.flops.vision == pytest.approx(3.77, abs=0.03)


def test_position_text_makes_sequences_longer():
    plain, indexed = (sample_cost(TINY, replace(STATIC, indicator=name), text_tokens=0) for name in ("none", "index"))
    assert indexed.length - plain.length == 5 * len("(0,0,0)")


def test_no_sizes_are_refused():
    with pytest.raises(ValueError, match="no image sizes"):
        sample_cost(TINY, STATIC, sizes=[], text_tokens=0)


def test_typical_sizes_span_what_splitting_meets():
    sides = [side for size in TYPICAL_SIZES for side in size]
    assert (min(sides), max(sides)) == (336, 4000)


def test_checkpoint_is_four_bytes_a_weight(tmp_path):
    MM15(TINY).save_pretrained(tmp_path)
    written = (tmp_path / "model.safetensors").stat().st_size
    assert checkpoint_bytes(TINY) == pytest.approx(written, abs=20_000)
    assert checkpoint_bytes(TINY) <= written


@pytest.mark.parametrize(("changes", "copies"), [({}, 8), ({"optimizer": "adamw"}, 16), ({"dtype": "bf16"}, 10)])
def test_memory_holds_weights_gradients_and_optimizer(changes, copies):
    images = ImageConfig(mode="single", tile=64, tokens=16)
    train = SftConfig(images=images, steps=1, batch=8, lr=1e-3, **changes)
    cost = sample_cost(TINY, images, text_tokens=50)
    whole, half = (training_bytes(TINY, replace(train, micro_batch=size), cost) for size in (8, 4))
    assert 2 * half - whole == pytest.approx(copies * parameters(TINY).total)


def test_workers_share_the_state_and_the_samples():
    images = ImageConfig(mode="single", tile=64, tokens=16)
    train, cost = SftConfig(images=images, steps=1, batch=8, lr=1e-3), sample_cost(TINY, images, text_tokens=50)
    assert training_bytes(TINY, train, cost, workers=4) == pytest.approx(training_bytes(TINY, train, cost) / 4)


def test_a_pass_holds_the_largest_samples_or_full_rows():
    train = SftConfig(images=DYNAMIC, steps=1, batch=64, lr=1e-3, micro_batch=2)
    cost = sample_cost(TINY, DYNAMIC, text_tokens=50)
    state = state_bytes(TINY, train)
    one_by_one = activation_bytes(at_tile(TINY, 672), tiles=2 * 10, tokens=144, length=2 * cost.longest)
    assert training_bytes(TINY, train, cost) == pytest.approx(state + one_by_one)
    rows = activation_bytes(at_tile(TINY, 672), tiles=2 * 4096 / cost.length * cost.tiles, tokens=144, length=2 * 4096)
    assert training_bytes(TINY, replace(train, pack=4096), cost) == pytest.approx(state + rows)


def test_counting_needs_neither_torch_nor_numpy_nor_pillow():
    code = "import model.cost.flops, sys; print(sorted({'torch', 'numpy', 'PIL', 'transformers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(("frozen", "passes"), [
    ({"freeze_vision"}, (1, 2, 3)), ({"freeze_vision", "freeze_connector"}, (1, 1, 3)), ({"freeze_decoder"}, (3, 3, 2)),
    ({"freeze_connector"}, (3, 2, 3)),
])
def test_a_frozen_part_costs_what_its_backward_pass_still_needs(frozen, passes):
    flops = forward_flops(TINY, tiles=5, tokens=16, length=200, predicted=60)
    config = SftConfig(images=STATIC, steps=1, batch=1, lr=1e-3, **dict.fromkeys(frozen, True))
    assert flops.training(config) == sum(n * part for n, part in zip(passes, (flops.vision, flops.connector, flops.decoder), strict=True))
