"""The whole model: tiles to image tokens, image tokens into the sequence, loss on answers, greedy generation.

- Image tokens replace the embeddings at the positions of the `<image>` id. A count that does not match is an error: one
  token off would shift every later image silently.
- The loss is a sum; the loop divides by the supervised tokens of the whole batch, so micro-batches change nothing.
- Rows that hold several samples say so by `segments_BT`; no sample sees another, and positions start again with each.
- While training, a batch of text alone still passes one blank tile through the encoder, and counts it for nothing: workers that
  share an encoder wait for one another in it, and its gradients are zeros on one worker as on many.
- Checkpoints are safetensors and JSON, published with a manifest; position tables are stretched to the tile asked for.

    B batch   T tokens   N tiles   I image tokens   D language width
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import DynamicCache, PreTrainedModel
from transformers.initialization import no_init_weights

from model.config.architecture import SHAPES, read_shapes
from model.config.fields import to_plain
from model.config.stages import ModelConfig
from model.network.attention import block_diagonal
from model.network.connector import CONNECTORS, CAbstractor, PooledConnector
from model.network.language import decoder
from model.network.strict_loading import aliases, load_strictly
from model.network.vision import VisionEncoder, interpolate_positions

IGNORED = -100
"""Label of positions without loss."""
WEIGHTS = "model.safetensors"


@dataclass(frozen=True, slots=True)
class Batch:
    """Padded sequences with their tiles. Without `segments_BT` a row is one sample.

    Attributes:
        ids_BT: token ids, `<image>` at each image token.
        labels_BT: ids to predict, already shifted onto the position that predicts them; IGNORED elsewhere.
        mask_BT: True at real tokens.
        tiles_NCXX: uint8 tiles of all samples, in reading order.
        image_id: the id of `<image>`.
        segments_BT: which sample of its row a token belongs to, counted from 1; 0 at padding. None for one sample a row.
        places_BT: positions within the sample, from 0. None exactly where `segments_BT` is.
    """

    ids_BT: Tensor
    labels_BT: Tensor
    mask_BT: Tensor
    tiles_NCXX: Tensor
    image_id: int
    segments_BT: Tensor | None = None
    places_BT: Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device; from pinned memory the copy goes on behind the caller's back, before what it starts next."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        moved: dict[str, Any] = {name: value.to(device, non_blocking=device.type == "cuda")
                                 for name, value in values.items() if isinstance(value, Tensor)}
        return replace(self, **moved)


class MM15(nn.Module):
    """Vision encoder, connector, causal decoder."""

    connector: CAbstractor | PooledConnector
    decoder: PreTrainedModel

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.vision, self.connector, self.decoder = parts(config)
        self.vision.initialise()
        self.connector.initialise()
        self.router_logits: tuple[Tensor, ...] = ()
        """Logits of each MoE layer's router in the last forward pass, (B x T, experts), padding included; () if dense."""

    def embed(self, batch: Batch, *, tokens: int) -> Tensor:
        """Return embeddings_BTD with image tokens in their places.

        Raises:
            ValueError: the sequence has another number of image positions than the tiles have tokens.
        """
        embeddings_BTD = embed(self, batch.ids_BT, batch.tiles_NCXX, image_id=batch.image_id, tokens=tokens)
        is_blind = self.training and not len(batch.tiles_NCXX)
        return embeddings_BTD + self._nothing(tokens) if is_blind else embeddings_BTD

    def _nothing(self, tokens: int) -> Tensor:
        """Run the encoder on a blank tile; return a zero that its weights have a part in."""
        side = self.config.vision.tile
        blank = torch.zeros(1, 3, side, side, dtype=torch.uint8, device=self.vision.mean.device)
        return 0 * self.connector(self.vision(blank), tokens=tokens).sum()

    def inputs(self, batch: Batch, *, tokens: int) -> dict[str, Any]:
        """Return what the decoder takes for right-padded sequences: embeddings, and of packed rows mask and positions."""
        # Right padding needs no mask: causal attention never looks right, and padded positions carry no label.
        inputs: dict[str, Any] = {"inputs_embeds": self.embed(batch, tokens=tokens), "use_cache": False}
        if batch.segments_BT is not None:
            inputs |= {"attention_mask": block_diagonal(batch.segments_BT, self.decoder), "position_ids": batch.places_BT}
        return inputs

    def forward(self, batch: Batch, *, tokens: int) -> Tensor:
        """Return the summed cross-entropy, in nats, over supervised positions of right-padded sequences.

        The routers' logits are left in `router_logits`: their losses are not sums over samples, so they are the loop's.
        """
        inputs = self.inputs(batch, tokens=tokens)
        if self.config.decoder.experts:
            inputs["output_router_logits"] = True
        wanted = batch.labels_BT != IGNORED
        if self.config.decoder.plain_head:
            output = self.decoder.base_model(**inputs)
            logits = self.decoder.get_output_embeddings()(output.last_hidden_state[wanted])
        else:
            output = self.decoder(**inputs)
            logits = output.logits[wanted]
        self.router_logits = tuple(output.router_logits) if self.config.decoder.experts else ()
        return functional.cross_entropy(logits.float(), batch.labels_BT[wanted], reduction="sum")

    @torch.no_grad()
    def generate(self, batch: Batch, *, tokens: int, max_new_tokens: int, eos_id: int) -> list[list[int]]:
        """Decode greedily with a cache.

        Args:
            batch: left-padded prompts.
            tokens: image tokens of each tile.
            max_new_tokens: longest answer.
            eos_id: ends an answer; not returned.

        Returns:
            new token ids of each sequence.
        """
        cache = DynamicCache(config=self.decoder.config)
        mask_BT = batch.mask_BT.long()
        inputs, places = self.embed(batch, tokens=tokens), (mask_BT.cumsum(1) - 1).clamp(min=0)
        done = torch.zeros(len(mask_BT), dtype=torch.bool, device=mask_BT.device)
        answers: list[Tensor] = []
        for _ in range(max_new_tokens):
            output = self.decoder(inputs_embeds=inputs, attention_mask=mask_BT, position_ids=places, past_key_values=cache,
                                  use_cache=True, logits_to_keep=1)
            chosen = output.logits[:, -1].argmax(-1).masked_fill(done, eos_id)
            answers.append(chosen)
            done = done | (chosen == eos_id)
            if bool(done.all()):
                break
            inputs = self.decoder.get_input_embeddings()(chosen[:, None])
            mask_BT = functional.pad(mask_BT, (0, 1), value=1)
            places = places[:, -1:] + 1
        rows = torch.stack(answers, 1).tolist()
        return [row[: row.index(eos_id)] if eos_id in row else row for row in rows]

    def save_pretrained(self, directory: Path) -> None:
        """Write weights (safetensors, fp32 as trained) and configuration (JSON)."""
        again = aliases(self)
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items() if name not in again}
        save_file(tensors, directory / WEIGHTS, metadata={"format": "pt"})
        (directory / SHAPES).write_text(json.dumps(to_plain(self.config), indent=1) + "\n")

    @classmethod
    def from_pretrained(cls, directory: Path, *, tile: int | None = None) -> MM15:
        """Load a checkpoint, strictly; stretch its position tables when `tile` px differs from its own.

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
        model.decoder.tie_weights()
        load_strictly(model, tensors, directory / WEIGHTS)
        return model


class Parts(Protocol):
    """What has the three parts: our model, and the one that transformers drives."""

    vision: VisionEncoder
    connector: CAbstractor | PooledConnector
    decoder: PreTrainedModel


def parts(config: ModelConfig) -> tuple[VisionEncoder, CAbstractor | PooledConnector, PreTrainedModel]:
    """Build encoder, connector and decoder."""
    return VisionEncoder(config.vision), CONNECTORS[config.connector.kind](config), decoder(config.decoder)


def embed(model: Parts, ids_BT: Tensor, tiles_NCXX: Tensor, *, image_id: int, tokens: int) -> Tensor:
    """Return embeddings_BTD with image tokens in their places.

    Raises:
        ValueError: the sequences have another number of image positions than the tiles have tokens.
    """
    where_BT = ids_BT == image_id
    positions, expected = int(where_BT.sum()), len(tiles_NCXX) * tokens
    if positions != expected:
        raise ValueError(f"{positions} image positions in the sequences, but {len(tiles_NCXX)} tiles of {tokens} tokens")
    embeddings_BTD: Tensor = model.decoder.get_input_embeddings()(ids_BT)
    if not len(tiles_NCXX):
        return embeddings_BTD
    image_NID = model.connector(model.vision(tiles_NCXX), tokens=tokens)
    return embeddings_BTD.masked_scatter(where_BT[..., None], image_NID.to(embeddings_BTD.dtype))
