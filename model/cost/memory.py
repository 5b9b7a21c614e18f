"""Bytes of checkpoints and of training steps, by formula. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """The types that a pass computes in."""

    is_bf16: bool = False
    """Whether it computes in bf16 under autocast."""
    has_low_stream: bool = False
    """Whether the encoder's residual stream is bf16 too."""


def precision_of(train: TrainConfig) -> Precision:
    """Return the types of a stage."""
    return Precision(is_bf16=train.dtype == "bf16", has_low_stream=train.speed.vision_stream == "bf16")


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
    predicted, precision, tokens = samples * cost.predicted, precision_of(train), train.images.tokens
    number = num_blocks(model) if train.recompute else 0
    if train.speed.activations_gib:
        number = blocks_beyond(model, train.speed.activations_gib * 2**30, tiles=tiles, tokens=tokens, length=length,
                               predicted=predicted, precision=precision)
    return activation_bytes(model, tiles=tiles, tokens=tokens, length=length, predicted=predicted, precision=precision,
                            recomputed=number)


def num_blocks(config: ModelConfig) -> int:
    """Return the number of blocks that can be recomputed: those of the encoder, then the layers of the decoder."""
    return config.vision.layers + config.decoder.layers


def blocks_beyond(config: ModelConfig, limit: float, *, tiles: float, tokens: int, length: float, predicted: float,
                  precision: Precision) -> int:
    """Return how many blocks must be recomputed for a pass to keep `limit` bytes; at most all of them."""
    for number in range(num_blocks(config)):
        if activation_bytes(config, tiles=tiles, tokens=tokens, length=length, predicted=predicted, precision=precision,
                            recomputed=number) <= limit:
            return number
    return num_blocks(config)


def activation_bytes(config: ModelConfig, *, tiles: float, tokens: int, length: float, predicted: float = 0,
                     precision: Precision = Precision(), recomputed: int = 0) -> float:
    """Return how many bytes a forward pass keeps for the backward pass, within a tenth of what autograd saves.

    A recomputed block keeps only its input; one block at a time then holds everything. Of the predicted positions the
    logarithms of all probabilities are kept, in fp32.

    Args:
        config: the model, at the tile side that it runs at.
        tiles: tiles of the pass.
        tokens: image tokens of each tile.
        length: positions of the pass.
        predicted: positions that carry loss.
        precision: the types of the pass; weights cast to bf16 are not counted here.
        recomputed: blocks that are recomputed: those of the encoder first, then the layers of the decoder.
    """
    vision, decoder, is_bf16 = config.vision, config.decoder, precision.is_bf16
    block, layer = _block_bytes(vision, precision), _layer_bytes(decoder, is_bf16)
    connector = CONNECTORS[config.connector.kind].activations(connector_shape(config), tokens, is_bf16)
    stream = 2 if precision.has_low_stream else 4
    blocks = min(recomputed, vision.layers)
    in_blocks = _several(vision.layers, blocks, whole=block, inputs=stream * vision.width)
    in_layers = _several(decoder.layers, recomputed - blocks, whole=layer, inputs=4 * decoder.width)
    head = 4 * decoder.vocabulary + (2 if is_bf16 else 4) * decoder.width
    per_tile = _stem_bytes(vision, is_bf16) + places(vision) * in_blocks + connector
    return tiles * per_tile + length * in_layers + predicted * head


def _several(number: int, recomputed: int, *, whole: float, inputs: float) -> float:
    """Return what blocks keep for each position, if the first of them keep their inputs only."""
    # A block that is recomputed holds everything for a while; by then a later one that kept it has let it go.
    return (number - recomputed) * whole + recomputed * inputs + (whole if recomputed == number else 0)


def _stem_bytes(vision: VisionConfig, is_bf16: bool) -> float:
    """Return what the stem keeps for each tile: the pixels, and each activation's input and output."""
    hidden = sum(2 * channels * positions for _, channels, _, positions in stem(vision)[:-1])
    return (2 if is_bf16 else 4) * (3 * vision.tile**2 + hidden)


def _block_bytes(vision: VisionConfig, precision: Precision) -> float:
    """Return what a block of the encoder keeps for each position.

    Eight tensors of its width: in and out of two norms, q, k, v, and the mix; under autocast the inputs of the norms are
    of the residual stream's type. Two of its MLP's width, three with QuickGELU, which is a product of two kept factors.
    """
    wide = 3 if vision.activation == "quick_gelu" else 2
    if precision.is_bf16:
        return (2 * (2 if precision.has_low_stream else 4) + 6 * 2) * vision.width + 2 * wide * vision.mlp_width
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
