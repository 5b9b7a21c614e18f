"""The kinds of connector and the formulas of their cost. Torch-free.

- A connector is one entry of `CONNECTORS` here and one entry of the same name in `model.network.connector.CONNECTORS`.
- The modules are the reference: tests compare every formula with what torch counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

ConnectorKind = Literal["c_abstractor", "linear", "mlp", "average_pool"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorShape:
    """The sizes that a connector's cost depends on."""

    patches: int
    """Patches of one tile."""
    vision: int
    """Width of the image encoder."""
    language: int
    """Width of the decoder."""
    hidden: int
    """Channels inside the C-Abstractor."""
    depth: int
    """RegNet blocks of the C-Abstractor before its pooling, and again after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorCost:
    """The formulas of one kind of connector."""

    parameters: Callable[[ConnectorShape], int]
    """Number of weights."""
    flops: Callable[[ConnectorShape, int], float]
    """FLOPs of a forward pass over one tile, by shape and number of image tokens."""
    activations: Callable[[ConnectorShape, int, bool], float]
    """Bytes that a forward pass over one tile keeps for the backward pass, by shape, number of image tokens, and whether
    it computes in bf16."""


def _linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def _regnet_products(inputs: int, channels: int) -> int:
    """Count the weights of a block's convolutions; each weight is used once at every position."""
    shortcut = inputs * channels if inputs != channels else 0
    return inputs * channels + 9 * channels + channels * channels + shortcut


def _regnet_parameters(inputs: int, channels: int) -> int:
    reduced = round(0.25 * inputs)
    norms = 3 * 2 * channels + (2 * channels if inputs != channels else 0)
    excite = _linear(channels, reduced) + _linear(reduced, channels)
    return _regnet_products(inputs, channels) + norms + excite


def _blocks(shape: ConnectorShape) -> list[tuple[int, int]]:
    """Return (channels in, channels out) of each RegNet block, those before the pooling first."""
    return [(shape.vision if block == 0 else shape.hidden, shape.hidden) for block in range(2 * shape.depth)]


def _readout_width(shape: ConnectorShape) -> int:
    return shape.hidden if shape.depth else shape.vision


def _abstractor_parameters(shape: ConnectorShape) -> int:
    blocks = sum(_regnet_parameters(inputs, channels) for inputs, channels in _blocks(shape))
    readout = _linear(_readout_width(shape), shape.language) + _linear(shape.language, shape.language)
    return shape.patches * shape.vision + blocks + readout  # the first term is the position table


def _abstractor_flops(shape: ConnectorShape, tokens: int) -> float:
    """Count convolutions and projection; squeeze-excite works on a single position and is left out."""
    products = [_regnet_products(inputs, channels) for inputs, channels in _blocks(shape)]
    before, after = 2 * shape.patches * sum(products[:shape.depth]), 2 * tokens * sum(products[shape.depth:])
    return before + after + 2 * tokens * (_readout_width(shape) * shape.language + shape.language**2)


def _abstractor_activations(shape: ConnectorShape, tokens: int, is_bf16: bool) -> float:
    """Count what autograd keeps of a pass over one tile.

    Of a block its input, and its channels nine times in fp32; or seven times in fp32 (norms and activations, which
    autocast leaves so) and twice in bf16.
    """
    value = 2 if is_bf16 else 4
    kept = [value * inputs + (32 if is_bf16 else 36) * channels + (4 * channels if inputs != channels else 0)
            for inputs, channels in _blocks(shape)]
    width = _readout_width(shape)
    pooled = 4 * width  # what the pooling was given, in fp32
    readout = value * (width + 2 * shape.language)
    return shape.patches * (sum(kept[:shape.depth]) + pooled) + tokens * (sum(kept[shape.depth:]) + readout)


def _projection(*, layers: int, pools_first: bool) -> ConnectorCost:
    """Return the cost of average pooling with a projection of one or two layers."""
    def parameters(shape: ConnectorShape) -> int:
        return _linear(shape.vision, shape.language) + (layers - 1) * _linear(shape.language, shape.language)

    def flops(shape: ConnectorShape, tokens: int) -> float:
        positions = tokens if pools_first else shape.patches
        return 2 * positions * (shape.vision * shape.language + (layers - 1) * shape.language**2)

    def activations(shape: ConnectorShape, tokens: int, is_bf16: bool) -> float:
        positions = tokens if pools_first else shape.patches
        pooled = 4 * shape.patches * shape.vision if pools_first else 0
        return pooled + positions * (2 if is_bf16 else 4) * (shape.vision + 2 * (layers - 1) * shape.language)

    return ConnectorCost(parameters=parameters, flops=flops, activations=activations)


CONNECTORS: dict[str, ConnectorCost] = {
    "c_abstractor": ConnectorCost(parameters=_abstractor_parameters, flops=_abstractor_flops,
                                  activations=_abstractor_activations),
    "linear": _projection(layers=1, pools_first=False),
    "mlp": _projection(layers=2, pools_first=True),
    "average_pool": _projection(layers=1, pools_first=True),
}
