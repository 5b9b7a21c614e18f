"""Numbers of parameters, FLOPs and tokens by formula, so that a plan knows them before anything runs. Torch-free.

- Model FLOPs are those of matrix products and attention, two operations per multiply-add. Recomputation, norms and
  activations do not count. Training takes three times the forward pass if nothing is frozen.
- The encoder is counted on its patches, not on the decoder's tokens: with high-resolution tiles it is 80 % of the work.
- Causal attention is counted as the half of the scores that is needed.
- The modules of `model.network` are the reference: tests compare every preset with them.

    T tokens of a sequence   P patches of a tile   V vision width   C connector channels   D language width
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from model.config.connectors import CONNECTORS, ConnectorShape
from model.config.stages import DecoderConfig, ImageConfig, ModelConfig, TrainConfig, VisionConfig
from model.images.cost import image_load

Size = tuple[int, int]
"""Height and width in px."""

TYPICAL_SIZES: tuple[Size, ...] = (
    (336, 336), (427, 640), (640, 480), (600, 800), (1080, 1920), (2016, 2016), (3508, 2480), (900, 4000),
)
"""Image sizes from thumbnail to scanned page and panorama, for estimates when the sizes of a corpus are unknown."""


# ---- parameters ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """Numbers of weights of a model, by part."""

    vision: int
    """Weights of the encoder."""
    connector: int
    """Weights of the connector."""
    decoder: int
    """Weights of the decoder, all experts included."""
    active: int
    """Weights of the whole model that one token passes through: all of them unless there are experts."""

    @property
    def total(self) -> int:
        """The number of all weights; a tied embedding table counts once."""
        return self.vision + self.connector + self.decoder


def parameters(config: ModelConfig) -> Parameters:
    """Count the weights of a model, by part."""
    vision, connector = vision_parameters(config.vision), connector_parameters(config)
    decoder, active = decoder_parameters(config.decoder), decoder_parameters(config.decoder, active=True)
    return Parameters(vision=vision, connector=connector, decoder=decoder, active=vision + connector + active)


def vision_parameters(config: VisionConfig) -> int:
    """Count the weights of the encoder: stem, position table, norms and blocks."""
    width, wide = config.width, config.mlp_width
    attention = 4 * (width * width + width)
    mlp = 2 * width * wide + wide + width
    block = attention + mlp + 2 * 2 * width
    has_bias = config.stem == "conv" or config.stem_bias
    convolutions = sum(i * o * side**2 + (o if has_bias else 0) for i, o, side, _ in stem(config))
    norms = 2 * width * (2 if config.norm_in else 1)
    return convolutions + places(config) * width + config.layers * block + norms


def connector_parameters(config: ModelConfig) -> int:
    """Count the weights of the connector, the C-Abstractor's position table included."""
    return CONNECTORS[config.connector.kind].parameters(connector_shape(config))


def connector_shape(config: ModelConfig) -> ConnectorShape:
    """Return the sizes that the connector's cost depends on."""
    return ConnectorShape(patches=patches(config.vision), vision=config.vision.width, language=config.decoder.width,
                          hidden=config.connector.hidden, depth=config.connector.depth)


def decoder_parameters(config: DecoderConfig, *, active: bool = False) -> int:
    """Count the weights of the decoder; if `active`, count only the experts that one token is routed to."""
    embeddings = config.vocabulary * config.width * (1 if config.tied else 2)
    norms = config.layers * (2 * config.width + 2 * config.head) + config.width
    experts = config.experts_per_token if active else config.experts
    return embeddings + norms + config.layers * _attention(config) + _feed_forward(config, experts=experts)


def _linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def patches(config: VisionConfig) -> int:
    """Return the number of patches of one tile."""
    return int((config.tile // config.patch) ** 2)


def places(config: VisionConfig) -> int:
    """Return the number of positions that the encoder attends over: the patches, and the class token if it has one."""
    return patches(config) + (1 if config.class_token else 0)


def stem(config: VisionConfig) -> list[tuple[int, int, int, int]]:
    """Return (channels in, channels out, kernel side, output positions) of each convolution of the stem."""
    if config.stem == "patch":
        return [(3, config.width, config.patch, patches(config))]
    steps = config.patch.bit_length() - 1
    widths = [3] + [config.width >> (steps - 1 - step) for step in range(steps)]
    sides = [config.tile >> (step + 1) for step in range(steps)]
    convolutions = [(i, o, 3, side**2) for i, o, side in zip(widths, widths[1:], sides, strict=False)]
    return [*convolutions, (config.width, config.width, 1, patches(config))]


def _attention(config: DecoderConfig) -> int:
    return 2 * config.width * (config.heads + config.kv_heads) * config.head


def _feed_forward(config: DecoderConfig, *, experts: int) -> int:
    """Count the weights of the gated MLPs of all layers, routers included; `experts` of each MoE layer count."""
    mlp = 3 * config.width * config.mlp_width
    sparse = config.layers // config.moe_every if config.experts else 0
    return (config.layers - sparse) * mlp + sparse * (experts * mlp + config.experts * config.width)


# ---- FLOPs ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Flops:
    """Floating-point operations of a forward pass, by part."""

    vision: float
    """FLOPs of the encoder."""
    connector: float
    """FLOPs of the connector."""
    decoder: float
    """FLOPs of the decoder."""

    @property
    def total(self) -> float:
        """The FLOPs of all parts."""
        return self.vision + self.connector + self.decoder

    def training(self, config: TrainConfig) -> float:
        """Return the FLOPs of forward and backward pass.

        A backward pass has two halves, each as costly as the forward pass: gradients of inputs and of weights. A frozen
        part skips those of its weights; it skips those of its inputs too if no part before it is trained.
        """
        learns = [not config.freeze_vision, not config.freeze_connector, not config.freeze_decoder]
        # The encoder needs no gradients of pixels, but its blocks need those of one another: it costs both halves or
        # none. The decoder's blocks always need them: some part is trained, either before the decoder or in it.
        backward = [2 * learns[0], learns[0] + learns[1], 1 + learns[2]]
        forward = self.vision, self.connector, self.decoder
        return sum(part * (1 + more) for part, more in zip(forward, backward, strict=True))


def forward_flops(config: ModelConfig, *, tiles: float, tokens: int, length: float, predicted: float = 0) -> Flops:
    """Count the FLOPs of the forward pass of one sequence.

    Args:
        config: the model, at the tile side that it runs at (see `at_tile`).
        tiles: tiles of the sequence, overviews included.
        tokens: image tokens of each tile.
        length: tokens of the sequence, image tokens included.
        predicted: positions that the output table is applied to: answers in training, new tokens in generation.
    """
    return Flops(vision=tiles * vision_flops(config.vision), connector=tiles * connector_flops(config, tokens=tokens),
                 decoder=decoder_flops(config.decoder, length=length, predicted=predicted))


def vision_flops(config: VisionConfig) -> float:
    """Count the FLOPs of the encoder on one tile: stem, matrix products, attention of all patches with one another."""
    count, width = places(config), config.width
    in_stem = sum(2 * i * o * side**2 * positions for i, o, side, positions in stem(config))
    # Scores and the mix of values take 2 x count**2 x width each.
    products = 2 * count * (4 * width * width + 2 * width * config.mlp_width)
    return in_stem + config.layers * (products + 4 * count**2 * width)


def connector_flops(config: ModelConfig, *, tokens: int) -> float:
    """Count the FLOPs of the connector on one tile."""
    return CONNECTORS[config.connector.kind].flops(connector_shape(config), tokens)


def decoder_flops(config: DecoderConfig, *, length: float, predicted: float = 0) -> float:
    """Count the FLOPs of the decoder on one sequence; of the experts, those that a token is routed to count."""
    products = config.layers * _attention(config) + _feed_forward(config, experts=config.experts_per_token)
    # Half of 4 x length**2 x width: a token attends to earlier ones only.
    attention = 2 * length**2 * config.heads * config.head * config.layers
    return 2 * length * products + attention + 2 * predicted * config.vocabulary * config.width


def at_tile(config: ModelConfig, tile: int) -> ModelConfig:
    """Return the model's configuration with position tables for another tile side, in px."""
    return replace(config, vision=replace(config.vision, tile=tile))


# ---- samples -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleCost:
    """The mean and the largest cost over a distribution of single-image samples.

    Attributes:
        tiles: mean number of tiles of a sample.
        image_tokens: mean number of image tokens of a sample.
        length: mean sequence length in tokens, indicator text and other text included.
        longest: largest sequence length in tokens.
        most_tiles: largest number of tiles of a sample.
        flops: mean forward FLOPs of a sample.
        predicted: number of tokens of a sample that carry loss.
    """

    tiles: float
    image_tokens: float
    length: float
    longest: int
    most_tiles: int
    flops: Flops
    predicted: int = 0


def sample_cost(config: ModelConfig, images: ImageConfig, *, text_tokens: int, predicted: int = 0,
                sizes: Sequence[Size] = TYPICAL_SIZES) -> SampleCost:
    """Return the cost of samples of one image and some text, over a distribution of image sizes.

    Args:
        config: the model at any tile side; the tile side of `images` is used.
        images: the image setting.
        text_tokens: tokens of questions and answers.
        predicted: tokens of the answers.
        sizes: (height, width) of the images in px; a size that is listed twice counts twice.

    Raises:
        ValueError: there is no size, or a side is outside its range.
    """
    if not sizes:
        raise ValueError("no image sizes; allowed: at least one (height, width)")
    config = at_tile(config, images.tile)
    loads = [image_load(height, width, images) for height, width in sizes]
    lengths = [load.length + text_tokens for load in loads]
    each = [forward_flops(config, tiles=load.tiles, tokens=images.tokens, length=length, predicted=predicted)
            for load, length in zip(loads, lengths, strict=True)]
    flops = Flops(vision=fmean(one.vision for one in each), connector=fmean(one.connector for one in each),
                  decoder=fmean(one.decoder for one in each))
    return SampleCost(
        tiles=fmean(load.tiles for load in loads), image_tokens=fmean(load.image_tokens for load in loads),
        length=fmean(lengths), longest=max(lengths), most_tiles=max(load.tiles for load in loads), flops=flops,
        predicted=predicted,
    )
