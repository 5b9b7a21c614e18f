"""Bytes of checkpoints and of training steps, by formula. Torch-free."""

from __future__ import annotations

from functools import lru_cache

from model.config.connectors import CONNECTORS
from model.config.stages import DecoderConfig, ModelConfig, TrainConfig, VisionConfig
from model.cost.flops import SampleCost, at_tile, connector_shape, parameters, places, stem


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
    of the weights. What a device keeps for itself and what its allocator cannot use (some GiB) is not in it.
    """
    model, weights = _at(config, train.images.tile)
    held = (state_bytes(config, train) + 2 * weights * (train.dtype == "bf16")) / workers
    return held + _pass_bytes(model, train, cost, share=-(-train.batch // workers))


def _pass_bytes(model: ModelConfig, train: TrainConfig, cost: SampleCost, *, share: int) -> float:
    """Return how many bytes the largest pass keeps, for a worker with `share` samples of a step."""
    if not train.pack:
        limits = [(train.micro_batch, 1), (train.pass_tokens, cost.longest), (train.pass_tiles, cost.most_tiles)]
        fits = [max(1, limit // size) for limit, size in limits if limit and size]
        samples: float = min([share, *fits])
        tiles, length = samples * cost.most_tiles, samples * cost.longest
    else:
        samples = min(share, (train.micro_batch or share) * train.pack / cost.length)
        tiles, length = samples * cost.tiles, samples * cost.length
    return activation_bytes(model, tiles=tiles, tokens=train.images.tokens, length=length,
                            predicted=samples * cost.predicted, is_bf16=train.dtype == "bf16",
                            recompute=train.recompute)


def activation_bytes(config: ModelConfig, *, tiles: float, tokens: int, length: float, predicted: float = 0,
                     is_bf16: bool = False, recompute: bool = False) -> float:
    """Return how many bytes a forward pass keeps for the backward pass, within a tenth of what autograd saves.

    A recomputed block keeps only its input, in fp32; one block at a time then holds everything. Of the predicted
    positions the logarithms of all probabilities are kept, in fp32.

    Args:
        config: the model, at the tile side that it runs at.
        tiles: tiles of the pass.
        tokens: image tokens of each tile.
        length: positions of the pass.
        predicted: positions that carry loss.
        is_bf16: whether it computes in bf16 under autocast; weights cast to bf16 are not counted here.
        recompute: whether blocks are recomputed (`TrainConfig.recompute`).
    """
    vision, decoder = config.vision, config.decoder
    block, layer = _block_bytes(vision, is_bf16), _layer_bytes(decoder, is_bf16)
    connector = CONNECTORS[config.connector.kind].activations(connector_shape(config), tokens, is_bf16)
    in_blocks = vision.layers * 4 * vision.width + block if recompute else vision.layers * block
    in_layers = decoder.layers * 4 * decoder.width + layer if recompute else decoder.layers * layer
    head = 4 * decoder.vocabulary + (2 if is_bf16 else 4) * decoder.width
    per_tile = _stem_bytes(vision, is_bf16) + places(vision) * in_blocks + connector
    return tiles * per_tile + length * in_layers + predicted * head


def _stem_bytes(vision: VisionConfig, is_bf16: bool) -> float:
    """Return what the stem keeps for each tile: the pixels, and each activation's input and output."""
    hidden = sum(2 * channels * positions for _, channels, _, positions in stem(vision)[:-1])
    return (2 if is_bf16 else 4) * (3 * vision.tile**2 + hidden)


def _block_bytes(vision: VisionConfig, is_bf16: bool) -> float:
    """Return what a block of the encoder keeps for each position.

    Eight tensors of its width: in and out of two norms, q, k, v, and the mix; under autocast the inputs of the norms are
    fp32. Two of its MLP's width, three with QuickGELU, which is a product of two kept factors.
    """
    wide = 3 if vision.activation == "quick_gelu" else 2
    if is_bf16:
        return (2 * 4 + 6 * 2) * vision.width + 2 * wide * vision.mlp_width
    return 4 * (8 * vision.width + wide * vision.mlp_width)


def _layer_bytes(decoder: DecoderConfig, is_bf16: bool) -> float:
    """Return what a layer of the decoder keeps for each position.

    Tensors of its width around two norms, four of the queries', the keys' and the MLP's width each; under autocast the
    residual stream and one of q and k are fp32. Experts add the inputs and outputs of each token's experts.
    """
    queries, keys = decoder.heads * decoder.head, decoder.kv_heads * decoder.head
    sparse = 1 / decoder.moe_every if decoder.experts else 0  # share of the layers that have experts
    chosen = decoder.experts_per_token * sparse
    wide = 4 * decoder.mlp_width * (1 - sparse + chosen) + 2 * decoder.width * chosen
    if is_bf16:
        return (4 * 4 + 5 * 2) * decoder.width + (4 + 3 * 2) * (queries + keys) + 2 * wide
    return 4 * (6 * decoder.width + 4 * (queries + keys) + wide)
