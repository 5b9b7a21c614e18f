"""Bytes by formula: checkpoints, and a training step. Torch-free."""

from __future__ import annotations

from functools import lru_cache

from model.config.connectors import CONNECTORS
from model.config.stages import ModelConfig, TrainConfig
from model.cost.flops import SampleCost, at_tile, connector_shape, parameters, patches, places


def checkpoint_bytes(config: ModelConfig) -> int:
    """Return the size of published weights, fp32; the file's header adds a few kilobytes."""
    return 4 * parameters(config).total


@lru_cache(maxsize=64)
def _at(config: ModelConfig, tile: int) -> tuple[ModelConfig, int]:
    """Return the model at a tile side, and its weights; a plan asks for the same ones thousands of times."""
    model = at_tile(config, tile)
    return model, parameters(model).total


def state_bytes(config: ModelConfig, train: TrainConfig) -> int:
    """Return what a stage holds beside activations, over all workers: fp32 weights, their gradients, the optimizer's state.

    Adafactor keeps a row and a column of each matrix, which is left out; AdamW keeps two values a weight.
    """
    _, weights = _at(config, train.images.tile)
    return 4 * weights * (4 if train.optimizer == "adamw" else 2)


def training_bytes(config: ModelConfig, train: TrainConfig, cost: SampleCost, *, workers: int = 1) -> float:
    """Estimate the memory of each worker in a training step: its part of the state, and the activations of its largest pass.

    Activations are those that the backward pass reads; scores of attention are not kept. A pass holds the largest samples that
    `cost` knows, or as many samples of mean size as fill its packed rows. Compute in bf16 copies the weights once.
    """
    model, weights = _at(config, train.images.tile)
    is_low = train.dtype == "bf16"
    held = (state_bytes(config, train) + 2 * weights * is_low) / workers
    value = 2 if is_low else 4
    return held + value * _pass_values(model, train, cost, share=-(-train.batch // workers))


def _pass_values(model: ModelConfig, train: TrainConfig, cost: SampleCost, *, share: int) -> float:
    """Return the numbers that the largest pass keeps, of a worker that has `share` samples of a step."""
    if not train.pack:
        samples: float = min(share, train.micro_batch or share)
        return activation_values(model, tiles=samples * cost.most_tiles, length=samples * cost.longest, recompute=train.recompute)
    samples = min(share, (train.micro_batch or share) * train.pack / cost.length)
    return activation_values(model, tiles=samples * cost.tiles, length=samples * cost.length, recompute=train.recompute)


def activation_values(config: ModelConfig, *, tiles: float, length: float, recompute: bool = False) -> float:
    """Return the numbers that a forward pass keeps for the backward pass.

    A block of the encoder keeps nine tensors of its width (in and out of two norms, q, k, v, the mix twice) and two of
    its MLP's; a layer of the decoder eight of its width, six each of q and k, v, and four of its MLP's; a block of the
    C-Abstractor ten. Within a tenth of what autograd saves. A block that is recomputed keeps its input alone, and one block at a
    time all of it.

    Args:
        config: the model, at the tile side that it runs at.
        tiles: encoder images of the pass.
        length: positions of the pass.
        recompute: as `TrainConfig` has it.
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
