"""The memory formula against what autograd saves, seen by its hooks: as on a GPU, whose autocast runs norms in fp32."""

from dataclasses import replace

import pytest
import torch
from torch.overrides import TorchFunctionMode

from model.config.stages import PRESETS, ConnectorConfig
from model.cost.memory import Precision, activation_bytes, blocks_beyond, num_blocks
from model.network.connector import CONNECTORS
from model.network.mm15 import MM15
from model.network.vision import Block
from model.training.compilation import blocks
from tests.model.cost.test_flops import batch_of, changed

TINY = PRESETS["tiny"]
LIKE_3B = replace(changed(TINY, "vision", stem="patch", activation="quick_gelu", class_token=True),
                  connector=ConnectorConfig(hidden=160, depth=3), decoder=replace(TINY.decoder, kv_heads=2, head_width=48))
SHAPES = {"tiny": TINY, "like mm1.5-3b": LIKE_3B, "shallow connector": changed(LIKE_3B, "connector", depth=0),
          "experts": changed(LIKE_3B, "decoder", experts=4),
          **{kind: changed(LIKE_3B, "connector", kind=kind) for kind in ("linear", "mlp", "average_pool")}}
TILES, TOKENS, LENGTH, PREDICTED = 5, 16, 200, 60


class NormsInFp32(TorchFunctionMode):
    """Runs layer norms as autocast does on a GPU: in fp32, whatever comes in. On a CPU it leaves their type."""

    def __torch_function__(self, function, kinds, given=(), named=None):
        named = named or {}
        if function is not torch.nn.functional.layer_norm or not torch.is_autocast_enabled("cpu"):
            return function(*given, **named)
        with torch.autocast("cpu", enabled=False):
            return function(*map(wide, given), **{name: wide(each) for name, each in named.items()})


def wide(value):
    return value.float() if isinstance(value, torch.Tensor) else value


def saved_bytes(module, run, *, is_bf16):
    """Return the bytes that autograd keeps of a forward pass, without weights and without weights cast to bf16."""
    weights = {weight.untyped_storage().data_ptr() for weight in module.parameters()}
    shapes = {shape for weight in module.parameters() for shape in (weight.shape, weight.T.shape if weight.ndim == 2 else weight.shape)}
    kept = []
    with (NormsInFp32(), torch.autocast("cpu", torch.bfloat16, enabled=is_bf16),
          torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor)):
        kept.append(run())
    sizes = {each.untyped_storage().data_ptr(): each.untyped_storage().nbytes() for each in kept[:-1] if each.shape not in shapes}
    return sum(size for place, size in sizes.items() if place not in weights)


PASS = {"tiles": TILES, "tokens": TOKENS, "length": LENGTH, "predicted": PREDICTED}


def formula(config, *, is_bf16=False, has_low_stream=False, **changes):
    return activation_bytes(config, **PASS, precision=Precision(is_bf16=is_bf16, has_low_stream=has_low_stream), **changes)


@pytest.mark.parametrize("is_bf16", [False, True], ids=["fp32", "bf16"])
@pytest.mark.parametrize("name", SHAPES)
def test_a_pass_keeps_what_the_formula_says_to_a_tenth(name, is_bf16):
    model = MM15(SHAPES[name]).train()
    batch = batch_of(tiles=TILES, tokens=TOKENS, tile=64, length=LENGTH, predicted=PREDICTED)
    kept = saved_bytes(model, lambda: model(batch, tokens=TOKENS), is_bf16=is_bf16)
    assert formula(SHAPES[name], is_bf16=is_bf16) == pytest.approx(kept, rel=0.1)


@pytest.mark.parametrize("is_bf16", [False, True], ids=["fp32", "bf16"])
@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
def test_a_block_of_the_encoder_alone(activation, is_bf16):
    config = changed(LIKE_3B, "vision", activation=activation)
    block, patches = Block(config.vision), torch.randn(TILES, 65, config.vision.width, requires_grad=True)
    deeper = changed(config, "vision", layers=config.vision.layers + 1)
    expected = formula(deeper, is_bf16=is_bf16) - formula(config, is_bf16=is_bf16)
    assert expected == pytest.approx(saved_bytes(block, lambda: block(patches), is_bf16=is_bf16), rel=0.05)


@pytest.mark.parametrize("is_bf16", [False, True], ids=["fp32", "bf16"])
@pytest.mark.parametrize("depth", [0, 1, 3])
def test_the_connector_alone(depth, is_bf16):
    config = changed(LIKE_3B, "connector", depth=depth)
    connector, patches = CONNECTORS["c_abstractor"](config), torch.randn(TILES, 64, config.vision.width, requires_grad=True)
    blind = changed(changed(config, "vision", layers=1), "decoder", layers=1)
    without = formula(changed(blind, "connector", kind="linear"), is_bf16=is_bf16)
    linear = TILES * 64 * config.vision.width * (2 if is_bf16 else 4)
    expected = formula(blind, is_bf16=is_bf16) - without + linear
    kept = saved_bytes(connector, lambda: connector(patches, tokens=TOKENS), is_bf16=is_bf16)
    assert expected == pytest.approx(kept, rel=0.1)


def kept_by_blocks(model, batch, *, tokens):
    """Return how many bytes go into the blocks of encoder and decoder: what recomputation keeps of them."""
    inputs = []
    for block in blocks(model):
        block.register_forward_pre_hook(lambda module, given: inputs.append(given[0]))
    model(batch, tokens=tokens)
    return 4 * sum(each.numel() for each in inputs)


def test_recomputed_blocks_keep_their_inputs_and_one_block_at_a_time():
    model, batch = MM15(TINY), batch_of(tiles=TILES, tokens=TOKENS, tile=64, length=LENGTH, predicted=PREDICTED)
    all_of_it, less = (formula(TINY, recomputed=each) for each in (0, num_blocks(TINY)))
    shallow = changed(changed(TINY, "vision", layers=1), "decoder", layers=1)
    assert less == pytest.approx(formula(shallow) + kept_by_blocks(model, batch, tokens=TOKENS), rel=0.01)
    assert less < 0.6 * all_of_it


def test_a_bf16_stream_of_the_encoder_keeps_what_the_formula_says():
    block, patches = Block(LIKE_3B.vision), torch.randn(TILES, 65, LIKE_3B.vision.width, dtype=torch.bfloat16, requires_grad=True)
    deeper = changed(LIKE_3B, "vision", layers=LIKE_3B.vision.layers + 1)
    low = {"is_bf16": True, "has_low_stream": True}
    kept = saved_bytes(block, lambda: block(patches), is_bf16=True)
    assert formula(deeper, **low) - formula(LIKE_3B, **low) == pytest.approx(kept, rel=0.05)
    assert kept < 0.95 * saved_bytes(block, lambda: block(patches.float()), is_bf16=True)


def test_as_many_blocks_are_recomputed_as_exceed_the_limit():
    sizes = [formula(TINY, recomputed=number) for number in range(num_blocks(TINY) + 1)]
    for limit in sizes:
        number = blocks_beyond(TINY, limit, precision=Precision(), **PASS)
        assert sizes[number] <= limit
        assert all(size > limit for size in sizes[:number])
    assert sizes[0] > sizes[1] > sizes[-1]
    assert blocks_beyond(TINY, 0, precision=Precision(), **PASS) == num_blocks(TINY)
