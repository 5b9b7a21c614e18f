"""The whole model: tiles become image tokens, image tokens enter the sequence; loss on answers, greedy generation.

- Image tokens replace the embeddings at the positions of the `<image>` id. A count that does not match is an error: one
  token too many or too few would shift every later image without notice.
- The loss is a sum; the training loop divides it by the supervised tokens of the whole batch, so the split into
  micro-batches does not change it.
- `segments_BT` marks rows that hold several samples: no sample attends to another, and positions start again with each.
- In training, a batch without images still encodes one blank tile and multiplies the result by 0. Workers that share an
  encoder wait for one another in it, and this way its gradients are zeros on one worker as on many.
- Checkpoints are safetensors and JSON, published with a manifest; position tables are interpolated to the requested
  tile side.

    B batch   T tokens   N tiles   I image tokens   D language width
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Protocol

import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import DynamicCache, PreTrainedModel, StaticCache
from transformers.initialization import no_init_weights

from model.config.architecture import SHAPES, read_shapes
from model.config.fields import to_plain
from model.config.stages import ModelConfig
from model.network.attention import packed_masks
from model.network.connector import CONNECTORS, CAbstractor, PooledConnector
from model.network.language import decoder
from model.network.strict_loading import aliases, load_strictly
from model.network.vision import VisionEncoder, interpolate_positions

IGNORED = -100
"""Label of positions without loss."""
CACHE_STEP = 128
"""A cache of fixed size holds a multiple of so many positions, so that few sizes occur."""
WEIGHTS = "model.safetensors"
"""File of a checkpoint that holds its weights."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Padded sequences with their tiles. Without `segments_BT`, each row is one sample.

    Attributes:
        ids_BT: token ids, with `<image>` at each image token.
        labels_BT: ids to predict, already shifted to the position that predicts them; IGNORED elsewhere.
        mask_BT: True at real tokens.
        tiles_NCXX: uint8 tiles of all samples, in reading order.
        image_id: the id of `<image>`.
        segments_BT: number of the token's sample in its row, from 1; 0 at padding. None if each row is one sample.
        places_BT: position of the token within its sample, from 0. None if `segments_BT` is None.
        image_at: where image tokens stand, as indices into the B x T positions in reading order. None until `located`.
        loss_at: where positions with a label stand, in the same form. None until `located`.
        images_ID: all image tokens, in reading order, where they were computed before; there are no tiles then.
    """

    ids_BT: Tensor
    labels_BT: Tensor
    mask_BT: Tensor
    tiles_NCXX: Tensor
    image_id: int
    segments_BT: Tensor | None = None
    places_BT: Tensor | None = None
    image_at: Tensor | None = None
    loss_at: Tensor | None = None
    images_ID: Tensor | None = None

    def located(self) -> Batch:
        """Return the batch with `image_at` and `loss_at`.

        How many there are is known only where ids and labels are read. On a CPU that costs nothing; a GPU would be waited
        for in every pass, so `to` does it before the batch moves.
        """
        if self.image_at is not None:
            return self
        return replace(self, image_at=_where(self.ids_BT == self.image_id), loss_at=_where(self.labels_BT != IGNORED))

    def to(self, device: torch.device) -> Batch:
        """Return the located batch on a device. The copy to a GPU is asynchronous.

        Work that the caller starts on the GPU afterwards waits for the copy, since both are on the same stream.
        """
        # Only from pinned memory can a GPU copy by itself; batches of loaders lie there already.
        batch = self.pinned() if device.type == "cuda" else self.located()
        return batch._each(lambda value: value.to(device, non_blocking=device.type == "cuda"))

    def pinned(self) -> Batch:
        """Return the located batch in pinned memory; what lies on a GPU stays there."""
        return self.located()._each(lambda value: value.pin_memory() if value.device.type == "cpu" else value)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        changed: dict[str, Any] = {name: change(value) for name, value in values.items() if isinstance(value, Tensor)}
        return replace(self, **changed)


def _where(mask_BT: Tensor) -> Tensor:
    return mask_BT.flatten().nonzero().flatten()


class MM15(nn.Module):
    """The multimodal model: vision encoder, connector and causal decoder."""

    connector: CAbstractor | PooledConnector
    decoder: PreTrainedModel

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        # The order of construction is the order of random draws: a change would give every seed other weights.
        self.vision, self.connector, self.decoder = parts(config)
        self.vision.initialise()
        self.connector.initialise()
        self.router_logits: tuple[Tensor, ...] = ()
        """Router logits of each MoE layer in the last forward pass, (B x T, experts), with padding; () if dense."""
        self._decode: Callable[..., Any] | None = None
        self.num_recomputed = 0
        """Blocks that the next pass recomputes, from the encoder's first on, where a stage chooses it pass by pass."""

    def embed(self, batch: Batch, *, tokens: int) -> Tensor:
        """Return embeddings_BTD with the image tokens at their positions.

        Raises:
            ValueError: the number of image positions in the sequences differs from the number of image tokens.
        """
        where = batch.located().image_at
        assert where is not None
        if batch.images_ID is not None:
            return place(self.decoder.get_input_embeddings()(batch.ids_BT), batch.images_ID, at=where)
        embeddings_BTD = embed(self, batch.ids_BT, batch.tiles_NCXX, at=where, tokens=tokens)
        # Not in evaluation, where no worker waits for another and nothing has gradients.
        is_blind = self.training and not len(batch.tiles_NCXX)
        return embeddings_BTD + self._nothing(tokens) if is_blind else embeddings_BTD

    def _nothing(self, tokens: int) -> Tensor:
        """Encode a blank tile; return a zero through which the encoder's weights get gradients of zero."""
        side = self.config.vision.tile
        blank = torch.zeros(1, 3, side, side, dtype=torch.uint8, device=self.vision.mean.device)
        # A product with 0 keeps the graph: autograd then visits every weight, as after a batch with images.
        return 0 * self.connector(self.vision(blank), tokens=tokens).sum()

    def inputs(self, batch: Batch, *, tokens: int) -> dict[str, Any]:
        """Return the decoder's keyword arguments for right-padded sequences; packed rows add mask and positions."""
        # Right padding needs no mask: causal attention never looks right, and padded positions carry no label.
        inputs: dict[str, Any] = {"inputs_embeds": self.embed(batch, tokens=tokens), "use_cache": False}
        if batch.places_BT is not None:
            masks = packed_masks(self.decoder, inputs["inputs_embeds"], batch.places_BT)
            inputs |= {"attention_mask": masks, "position_ids": batch.places_BT}
        return inputs

    def forward(self, batch: Batch, *, tokens: int) -> Tensor:
        """Return the summed cross-entropy, in nats, over the supervised positions of right-padded sequences.

        Router logits are stored in `router_logits`: router losses are not sums over samples, so the training loop
        computes them.

        Raises:
            ValueError: this release of transformers does not report the router logits of an imported decoder.
        """
        logits, labels = self.supervised(batch, tokens=tokens)
        # fp32: in bf16 the sum of exponentials over the vocabulary, and the sum over tokens, would lose their digits.
        return functional.cross_entropy(logits.float(), labels, reduction="sum")

    def supervised(self, batch: Batch, *, tokens: int) -> tuple[Tensor, Tensor]:
        """Return logits (supervised, vocabulary) and labels of the supervised positions, row by row; see `forward`."""
        batch = batch.located()
        inputs = self.inputs(batch, tokens=tokens)
        if self.config.decoder.experts:
            inputs["output_router_logits"] = True
        where = batch.loss_at
        assert where is not None
        if self.config.decoder.plain_head:
            # (supervised, vocabulary): logits of supervised positions only. Most positions carry no label, and logits
            # of all positions (B, T, vocabulary) would be among the largest tensors of the step.
            output = self.decoder.base_model(**inputs)
            logits = self.decoder.get_output_embeddings()(output.last_hidden_state.flatten(0, 1).index_select(0, where))
        else:
            output = self.decoder(**inputs)
            logits = output.logits.flatten(0, 1).index_select(0, where)
        # With their graph, since the router losses send gradients through them.
        self.router_logits = self._reported(output) if self.config.decoder.experts else ()
        return logits, batch.labels_BT.flatten().index_select(0, where)

    def _reported(self, output: Any) -> tuple[Tensor, ...]:
        if not output.router_logits:
            raise ValueError(f"decoder {self.decoder.config.model_type!r}: transformers {transformers.__version__} does "
                             "not report what its routers compute, which the load-balance loss needs\n"
                             "hint: a newer release of transformers reports it")
        return tuple(output.router_logits)

    @torch.no_grad()
    def generate(self, batch: Batch, *, tokens: int, max_new_tokens: int, eos_id: int,
                 is_compiled: bool = False) -> list[list[int]]:
        """Generate answers greedily, with a key-value cache.

        Args:
            batch: left-padded prompts.
            tokens: image tokens of each tile.
            max_new_tokens: largest number of tokens of an answer.
            eos_id: id of the token that ends an answer; it is not returned.
            is_compiled: whether tokens after the first come from a compiled pass over a cache of fixed size.

        Returns:
            the new token ids of each sequence.

        Raises:
            ValueError: transformers cannot compile the decoder's pass.
        """
        mask_BT = batch.mask_BT.long()
        # Left padding, so that the next token of every row is at the end; positions count real tokens from 0.
        inputs, places = self.embed(batch, tokens=tokens), (mask_BT.cumsum(1) - 1).clamp(min=0)
        cache, later = DynamicCache(config=self.decoder.config), self.decoder
        if is_compiled:
            # A mask of the cache's size from the start: no key of a later position is attended to, and shapes stay.
            size = -(-(mask_BT.shape[1] + max_new_tokens) // CACHE_STEP) * CACHE_STEP
            mask_BT = functional.pad(mask_BT, (0, size - mask_BT.shape[1]), value=1)
            cache, later = FixedCache(config=self.decoder.config, max_cache_len=size), self._compiled()
        done = torch.zeros(len(mask_BT), dtype=torch.bool, device=mask_BT.device)
        answers: list[Tensor] = []
        decoder = self.decoder
        for _ in range(max_new_tokens):
            # The first pass fills the cache with the prompts; later ones add a single position (B, 1, D).
            output = decoder(inputs_embeds=inputs, attention_mask=mask_BT, position_ids=places,
                             past_key_values=cache, use_cache=True, logits_to_keep=1)
            decoder = later
            # Rows that are done go on with the end token until all are done; it is cut off below.
            chosen = output.logits[:, -1].argmax(-1).masked_fill(done, eos_id)
            answers.append(chosen)
            done = done | (chosen == eos_id)
            # Waits for the device once per token; without it, short answers would cost as much as the longest allowed.
            if bool(done.all()):
                break
            inputs = self.decoder.get_input_embeddings()(chosen[:, None])
            # The mask covers the cache and the new position; positions are those of the new tokens only, (B, 1).
            mask_BT = mask_BT if is_compiled else functional.pad(mask_BT, (0, 1), value=1)
            places = places[:, -1:] + 1
        rows = torch.stack(answers, 1).tolist()
        return [row[: row.index(eos_id)] if eos_id in row else row for row in rows]

    def _compiled(self) -> Callable[..., Any]:
        """Return the decoder's pass over one position, compiled once for all sizes of batches and caches."""
        if not self.decoder._can_compile_fullgraph:
            raise ValueError(f"a decoder of the family {self.decoder.config.model_type} cannot be compiled for generation; "
                             "allowed: compile: false")
        if self._decode is None:
            self._decode = torch.compile(self.decoder.forward, dynamic=True)
        return self._decode

    def save_pretrained(self, directory: Path) -> None:
        """Write the weights (safetensors, fp32 as trained) and the configuration (JSON) into a directory."""
        # safetensors refuses tensors that share memory: a tied table is written once.
        again = aliases(self)
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()
                   if name not in again}
        save_file(tensors, directory / WEIGHTS, metadata={"format": "pt"})
        (directory / SHAPES).write_text(json.dumps(to_plain(self.config), indent=1) + "\n")

    @classmethod
    def from_pretrained(cls, directory: Path, *, tile: int | None = None) -> MM15:
        """Load a checkpoint strictly.

        Args:
            directory: a published checkpoint.
            tile: tile side in px to which position tables are interpolated; None keeps that of the checkpoint.

        Raises:
            ValueError: a tensor is missing, unknown or of another shape; the message names it.
        """
        config = read_shapes(directory)
        tensors = load_file(directory / WEIGHTS)
        if tile is not None and tile != config.vision.tile:
            config = replace(config, vision=replace(config.vision, tile=tile))
            for name in ("vision.positions", "connector.positions"):
                if name in tensors:
                    tensors[name] = interpolate_positions(tensors[name], tile // config.vision.patch)
        with no_init_weights():  # every tensor is loaded or refused; drawing billions of numbers first takes a minute
            model = cls(config)
        # transformers skips tying as well in that context; `load_strictly` expects tied tables to be one tensor.
        model.decoder.tie_weights()
        load_strictly(model, tensors, directory / WEIGHTS)
        return model


class FixedCache(StaticCache):
    """A cache of fixed size whose keys have the type of its values.

    Under autocast the norm of keys leaves fp32, and attention rounds them; transformers would hold both in the type of
    the keys and then refuse the values.
    """

    def update(self, key_states: Tensor, value_states: Tensor, *given: Any, **named: Any) -> tuple[Tensor, Tensor]:
        """Add keys and values of new positions; return those of all."""
        found: tuple[Tensor, Tensor] = super().update(key_states.to(value_states.dtype), value_states, *given, **named)
        return found


class Parts(Protocol):
    """A model with the three parts: `MM15`, or the class that is registered with transformers."""

    vision: VisionEncoder
    connector: CAbstractor | PooledConnector
    decoder: PreTrainedModel


def parts(config: ModelConfig) -> tuple[VisionEncoder, CAbstractor | PooledConnector, PreTrainedModel]:
    """Build encoder, connector and decoder, in this order."""
    return VisionEncoder(config.vision), CONNECTORS[config.connector.kind](config), decoder(config.decoder)


def embed(model: Parts, ids_BT: Tensor, tiles_NCXX: Tensor, *, at: Tensor, tokens: int) -> Tensor:
    """Return embeddings_BTD with the image tokens at their positions.

    Args:
        model: encodes the tiles, and holds the embedding table.
        ids_BT: token ids, with the id of `<image>` at each image token.
        tiles_NCXX: uint8 tiles of all sequences, in reading order.
        at: where the image tokens stand, as indices into the B x T positions in reading order.
        tokens: image tokens of each tile.

    Raises:
        ValueError: the number of image positions in the sequences differs from the number of image tokens.
    """
    if len(at) != len(tiles_NCXX) * tokens:
        raise ValueError(f"{len(at)} image positions in the sequences, "
                         f"but {len(tiles_NCXX)} tiles of {tokens} tokens")
    embeddings_BTD: Tensor = model.decoder.get_input_embeddings()(ids_BT)
    if not len(tiles_NCXX):
        return embeddings_BTD
    return place(embeddings_BTD, model.connector(model.vision(tiles_NCXX), tokens=tokens).flatten(0, 1), at=at)


def place(embeddings_BTD: Tensor, images_ID: Tensor, *, at: Tensor) -> Tensor:
    """Return embeddings_BTD with image tokens at the positions `at` of all rows, in reading order."""
    placed = embeddings_BTD.flatten(0, 1).index_copy(0, at, images_ID.to(embeddings_BTD.dtype))
    return placed.view_as(embeddings_BTD)
