"""The model as a class of transformers, for `generate`, `pipeline` and its trainers.

- Parts and names of tensors are those of `model.network.mm15.MM15`: either class loads what the other one saved.
- Loading is strict here too: transformers only warns about tensors that are missing or unknown.
- Tiles are uint8 and are normalised on the device; the tiles of all samples are in one tensor, in reading order.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import GenerationMixin, PreTrainedModel, initialization
from transformers.modeling_outputs import CausalLMOutputWithPast

from model.hf.configuration import MM15Config
from model.network.mm15 import embed, parts
from model.network.strict_loading import refuse
from model.network.vision import VisionEncoder


class MM15ForImageTextToText(PreTrainedModel, GenerationMixin):
    """The multimodal model with transformers' interface: vision encoder, connector and causal decoder."""

    config_class = MM15Config
    base_model_prefix = ""
    main_input_name = "input_ids"
    input_modalities = ("image", "text")
    _no_split_modules = ("Block",)
    _skip_keys_device_placement = ("past_key_values",)
    _supports_sdpa = True

    def __init__(self, config: MM15Config) -> None:
        super().__init__(config)
        self.vision, self.connector, self.decoder = parts(config.model)
        self.post_init()  # draws the weights, unless `from_pretrained` loads them afterwards

    @classmethod
    def from_pretrained(cls, *arguments: Any, output_loading_info: bool = False, **kwargs: Any) -> Any:
        """Load a saved model, strictly.

        Raises:
            ValueError: a tensor is missing, unknown or of another shape; the message names it.
        """
        # Mismatched shapes are let through here, so that the message below can list them with all other problems.
        model, info = super().from_pretrained(
            *arguments, output_loading_info=True, ignore_mismatched_sizes=True, **kwargs)
        wrong = [f"{name} is missing" for name in info["missing_keys"]]
        wrong += [f"{name} is unknown" for name in info["unexpected_keys"]]
        wrong += [f"{name} is {tuple(saved)}, the model has {tuple(wanted)}"
                  for name, saved, wanted in info["mismatched_keys"]]
        refuse(wrong, arguments[0] if arguments else kwargs.get("pretrained_model_name_or_path"))
        return (model, info) if output_loading_info else model

    def get_input_embeddings(self) -> torch.nn.Module:
        """Return the decoder's embedding table."""
        return self.decoder.get_input_embeddings()

    def get_output_embeddings(self) -> torch.nn.Module:
        """Return the decoder's output table."""
        return self.decoder.get_output_embeddings()

    def _init_weights(self, module: torch.nn.Module) -> None:
        super()._init_weights(module)
        # `from_pretrained` builds the model on `meta`, so buffers outside the state dict must be filled here too.
        if isinstance(module, VisionEncoder):
            for buffer, value in zip((module.mean, module.std), module.statistics(), strict=True):
                initialization.copy_(buffer, value)
        for name in ("positions", "class_token"):
            if isinstance(getattr(module, name, None), torch.nn.Parameter):
                initialization.trunc_normal_(getattr(module, name), std=0.02)

    def forward(  # noqa: D417 (the first line mentions further keywords; pydoclint wants no starred arguments listed)
            self, input_ids: Tensor | None = None, pixel_values: Tensor | None = None,
            attention_mask: Tensor | None = None, position_ids: Tensor | None = None, past_key_values: Any = None,
            inputs_embeds: Tensor | None = None, labels: Tensor | None = None, logits_to_keep: int | Tensor = 0,
            **kwargs: Any) -> CausalLMOutputWithPast:
        """Run the model; further keywords are passed to the decoder.

        Args:
            input_ids: token ids, with the image token at each image position.
            pixel_values: uint8 tiles of all samples, (N, 3, side, side), in reading order.
            attention_mask: true at real tokens.
            position_ids: positions of the tokens in their sequences.
            past_key_values: cache of earlier tokens.
            inputs_embeds: embeddings that already contain the image tokens; replaces `input_ids`.
            labels: ids to predict, not yet shifted; -100 where there is no loss.
            logits_to_keep: number of last positions, or indices of positions, to return logits for; 0 is all positions.

        Raises:
            ValueError: image positions and tiles do not match, or not exactly one of `input_ids` and `inputs_embeds` is
                given.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("give input_ids or inputs_embeds, and not both")
        if input_ids is not None:
            inputs_embeds = self._embed(input_ids, pixel_values)
        output = self.decoder(inputs_embeds=inputs_embeds, attention_mask=attention_mask, position_ids=position_ids,
                              past_key_values=past_key_values, logits_to_keep=logits_to_keep, **kwargs)
        loss = None
        if labels is not None:
            loss = self.loss_function(logits=output.logits, labels=labels, vocab_size=output.logits.shape[-1])
        return CausalLMOutputWithPast(loss=loss, logits=output.logits, past_key_values=output.past_key_values,
                                      hidden_states=output.hidden_states, attentions=output.attentions)

    def _embed(self, ids_BT: Tensor, tiles_NCXX: Tensor | None) -> Tensor:
        where = (ids_BT == self.config.image_token_id).flatten().nonzero().flatten()
        if tiles_NCXX is None:
            tiles_NCXX = ids_BT.new_zeros((0, 3, 1, 1), dtype=torch.uint8)
        # All tiles have the same number of image tokens, so it follows from the sequences; `embed` refuses a remainder.
        tokens = max(1, len(where) // max(1, len(tiles_NCXX)))
        return embed(self, ids_BT, tiles_NCXX, at=where, tokens=tokens)

    def prepare_inputs_for_generation(self, input_ids: Tensor, pixel_values: Tensor | None = None,
                                      is_first_iteration: bool = False, **kwargs: Any) -> dict[str, Any]:
        """Return the inputs of a generation step; only the first one gets tiles, as the cache then holds the images."""
        inputs: dict[str, Any] = super().prepare_inputs_for_generation(
            input_ids, is_first_iteration=is_first_iteration, **kwargs)
        if is_first_iteration or not kwargs.get("use_cache", True):
            inputs["pixel_values"] = pixel_values
        return inputs

    def _expand_inputs_for_generation(self, expand_size: int = 1, is_encoder_decoder: bool = False,
                                      input_ids: Tensor | None = None, **kwargs: Any) -> tuple[Tensor, dict[str, Any]]:
        """Repeat each sample for beams or several answers, with all of its tiles.

        transformers would repeat row by row, which is wrong for tiles: a sample has any number of them.

        Raises:
            ValueError: there are tiles, and no prompt has an image token.
        """
        tiles = kwargs.pop("pixel_values", None)
        if tiles is not None and expand_size > 1 and input_ids is not None:
            counts = (input_ids == self.config.image_token_id).sum(1)
            positions = int(counts.sum())
            if len(tiles) and not positions:
                raise ValueError(f"{len(tiles)} tiles, but no image token in the prompts\n"
                                 "hint: the processor puts image tokens where a prompt says <image>")
            per_sample = (counts * len(tiles) // max(1, positions)).tolist()
            tiles = torch.cat([part for part in tiles.split(per_sample) for _ in range(expand_size)])
        ids, expanded = super()._expand_inputs_for_generation(expand_size, is_encoder_decoder, input_ids, **kwargs)
        return ids, {**expanded, "pixel_values": tiles}
