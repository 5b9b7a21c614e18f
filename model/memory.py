"""Bytes by formula: checkpoints, and a training step. Torch-free."""

from __future__ import annotations

from model.config import ModelConfig, TrainConfig
from model.counting import SampleCost, at_tile, parameters, patches, places


def checkpoint_bytes(config: ModelConfig) -> int:
    """Return the size of published weights, fp32; the file's header adds a few kilobytes."""
    return 4 * parameters(config).total


def training_bytes(config: ModelConfig, train: TrainConfig, cost: SampleCost) -> float:
    """Estimate the memory of a training step without recomputation: weights, gradients, optimiser, activations.

    Adafactor keeps a row and a column of each matrix, which is left out; AdamW keeps two values a weight. Activations
    are those that the backward pass reads, for one micro-batch; scores of attention are not kept.
    """
    count = parameters(at_tile(config, train.images.tile)).total
    copies = 8 + (8 if train.optimizer == "adamw" else 0) + (2 if train.dtype == "bf16" else 0)
    samples = train.micro_batch or train.batch
    value = 2 if train.dtype == "bf16" else 4
    return copies * count + samples * value * activation_values(at_tile(config, train.images.tile), cost)


def activation_values(config: ModelConfig, cost: SampleCost) -> float:
    """Return the numbers that one sample's forward pass keeps for the backward pass.

    A block of the encoder keeps nine tensors of its width (in and out of two norms, q, k, v, the mix twice) and two of
    its MLP's; a layer of the decoder eight of its width, six each of q and k, v, and four of its MLP's; a block of the
    C-Abstractor ten. Within a tenth of what autograd saves.
    """
    vision, decoder = config.vision, config.decoder
    block = 9 * vision.width + 2 * vision.mlp_width
    keys = decoder.kv_heads * decoder.head
    wide = decoder.mlp_width * (decoder.experts_per_token if decoder.experts else 1)
    layer = 8 * decoder.width + 6 * (decoder.width + keys) + keys + 4 * wide
    is_deep = config.connector.kind == "c_abstractor"
    connector = 10 * config.connector.hidden * config.connector.depth if is_deep else vision.width
    patch_values = places(vision) * vision.layers * block + patches(vision) * connector
    return cost.tiles * patch_values + cost.length * decoder.layers * layer
