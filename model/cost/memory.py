"""Bytes of checkpoints and of training steps, by formula. Torch-free."""

from __future__ import annotations

from functools import lru_cache

from model.config.connectors import CONNECTORS
from model.config.stages import ModelConfig, TrainConfig
from model.cost.flops import SampleCost, at_tile, connector_shape, parameters, patches, places


def checkpoint_bytes(config: ModelConfig) -> int:
    """Return the bytes of published weights in fp32; the file's header adds a few kilobytes."""
    return 4 * parameters(config).total


@lru_cache(maxsize=64)
def _at(config: ModelConfig, tile: int) -> tuple[ModelConfig, int]:
    """Return the model at a tile side and its number of weights; cached, since a plan asks thousands of times."""
    model = at_tile(config, tile)
    return model, parameters(model).total


def state_bytes(config: ModelConfig, train: TrainConfig) -> int:
    """Return the bytes that a stage holds besides activations, over all workers.

    These are the fp32 weights, their gradients and the optimizer's state. AdamW keeps two values per weight; the row
    and the column that Adafactor keeps of each matrix are left out.
    """
    _, weights = _at(config, train.images.tile)
    return 4 * weights * (4 if train.optimizer == "adamw" else 2)


def training_bytes(config: ModelConfig, train: TrainConfig, cost: SampleCost, *, workers: int = 1) -> float:
    """Estimate the bytes that each worker needs in a training step: its share of the state, and its largest pass.

    The activations of a pass are those that the backward pass reads; attention scores are not kept. A pass holds the
    largest samples of `cost`, or as many samples of mean size as fill its packed rows. Compute in bf16 adds a bf16 copy
    of the weights.
    """
    model, weights = _at(config, train.images.tile)
    is_low = train.dtype == "bf16"
    held = (state_bytes(config, train) + 2 * weights * is_low) / workers
    value = 2 if is_low else 4
    return held + value * _pass_values(model, train, cost, share=-(-train.batch // workers))


def _pass_values(model: ModelConfig, train: TrainConfig, cost: SampleCost, *, share: int) -> float:
    """Return how many numbers the largest pass keeps, for a worker with `share` samples of a step."""
    if not train.pack:
        samples: float = min(share, train.micro_batch or share)
        return activation_values(model, tiles=samples * cost.most_tiles, length=samples * cost.longest,
                                 recompute=train.recompute)
    samples = min(share, (train.micro_batch or share) * train.pack / cost.length)
    return activation_values(model, tiles=samples * cost.tiles, length=samples * cost.length, recompute=train.recompute)


def activation_values(config: ModelConfig, *, tiles: float, length: float, recompute: bool = False) -> float:
    """Return how many numbers a forward pass keeps for the backward pass.

    A block of the encoder keeps nine tensors of its width (in and out of two norms, q, k, v, the mix twice) and two of
    its MLP's; a layer of the decoder eight of its width, six each of q and k, v, and four of its MLP's; a block of the
    C-Abstractor ten. The result is within a tenth of what autograd saves. A recomputed block keeps only its input; one
    block at a time then holds everything.

    Args:
        config: the model, at the tile side that it runs at.
        tiles: tiles of the pass.
        length: positions of the pass.
        recompute: whether blocks are recomputed (`TrainConfig.recompute`).
    """
    vision, decoder = config.vision, config.decoder
    block = 9 * vision.width + 2 * vision.mlp_width
    keys = decoder.kv_heads * decoder.head
    wide = decoder.mlp_width * (decoder.experts_per_token if decoder.experts else 1)
    layer = 8 * decoder.width + 6 * (decoder.width + keys) + keys + 4 * wide
    connector = CONNECTORS[config.connector.kind].activations(connector_shape(config))
    in_blocks = vision.layers * vision.width + block if recompute else vision.layers * block
    in_layers = decoder.layers * decoder.width + layer if recompute else decoder.layers * layer
    return tiles * (places(vision) * in_blocks + patches(vision) * connector) + length * in_layers
