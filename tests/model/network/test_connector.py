"""The C-Abstractor: its published parameter counts, and a plain re-statement of its forward pass."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from model.config.stages import PRESETS, ConnectorConfig
from model.network.connector import CAbstractor, PooledConnector
from model.network.vision import interpolate_positions

TINY = PRESETS["tiny"]


def sized(width, side, hidden, out):
    vision = replace(TINY.vision, width=width, tile=side * TINY.vision.patch, heads=1)
    decoder = replace(TINY.decoder, width=out, heads=1, kv_heads=1)
    return replace(TINY, vision=vision, connector=ConnectorConfig(hidden=hidden), decoder=decoder)


@pytest.mark.parametrize(("width", "side", "hidden", "out", "before", "after", "readout", "total"), [
    (1024, 24, 1024, 4096, 7_914_240, 7_914_240, 20_979_712, 37_398_016),
    (1280, 27, 1024, 2048, 9_620_288, 7_914_240, 6_295_552, 24_763_200),
    (1280, 27, 1024, 3072, 9_620_288, 7_914_240, 12_589_056, 31_056_704),
    (1280, 48, 1024, 3072, 9_620_288, 7_914_240, 12_589_056, 33_072_704),
    (768, 32, 1024, 960, 8_309_440, 7_914_240, 1_906_560, 18_916_672),
    (768, 14, 256, 576, 897_856, 504_000, 480_384, 2_032_768),
])
def test_parameters_are_those_of_honeybee(width, side, hidden, out, before, after, readout, total):
    with torch.device("meta"):
        connector = CAbstractor(sized(width, side, hidden, out))
    count = lambda module: sum(weight.numel() for weight in module.parameters())  # noqa: E731
    assert [count(connector.before), count(connector.after), count(connector.readout), count(connector)] == [before, after, readout, total]


def test_forward_equals_its_definition_in_plain_functions():
    torch.manual_seed(0)
    connector = CAbstractor(TINY).double()
    connector.initialise()
    patches = torch.randn(2, 64, 128, dtype=torch.float64)

    def norm(x, layer):
        mean, var = x.mean(1, keepdim=True), x.var(1, keepdim=True, unbiased=False)
        return (x - mean) / (var + layer.eps).sqrt() * layer.weight.view(1, -1, 1, 1) + layer.bias.view(1, -1, 1, 1)

    def block(x, b):
        y = functional.silu(norm(functional.conv2d(x, b.conv1[0].weight), b.conv1[1]))
        y = functional.silu(norm(functional.conv2d(y, b.conv2[0].weight, padding=1, groups=y.shape[1]), b.conv2[1]))
        mean = y.mean((2, 3))
        gate = torch.sigmoid(functional.silu(mean @ b.gate.reduce.weight[:, :, 0, 0].T + b.gate.reduce.bias)
                             @ b.gate.expand.weight[:, :, 0, 0].T + b.gate.expand.bias)
        return functional.silu(x + norm(functional.conv2d(y * gate[:, :, None, None], b.conv3[0].weight), b.conv3[1]))

    x = (patches + connector.positions).transpose(1, 2).reshape(2, 128, 8, 8)
    for b in connector.before:
        x = block(x, b)
    x = x.reshape(2, 128, 4, 2, 4, 2).mean((3, 5))
    for b in connector.after:
        x = block(x, b)
    x = x.flatten(2).transpose(1, 2)
    first, last = connector.readout[0], connector.readout[2]
    expected = functional.silu(x @ first.weight.T + first.bias) @ last.weight.T + last.bias
    torch.testing.assert_close(connector(patches, tokens=16), expected)


@pytest.mark.parametrize("kind", ["c_abstractor", "linear", "mlp", "average_pool"])
@pytest.mark.parametrize("tokens", [1, 9, 16])
def test_every_connector_gives_the_tokens_asked_for(kind, tokens):
    config = replace(TINY, connector=replace(TINY.connector, kind=kind))
    connector = CAbstractor(config) if kind == "c_abstractor" else PooledConnector(config)
    connector.initialise()
    assert connector(torch.randn(3, 64, 128), tokens=tokens).shape == (3, tokens, 128)


def test_positions_interpolate_between_squares_and_keep_constants():
    assert interpolate_positions(torch.ones(1, 27 * 27, 4), 48).allclose(torch.ones(1, 48 * 48, 4))
    same = torch.randn(1, 64, 4)
    assert interpolate_positions(same, math.isqrt(64)) is same
    with pytest.raises(ValueError, match="63 rows"):
        interpolate_positions(torch.ones(1, 63, 4), 8)
