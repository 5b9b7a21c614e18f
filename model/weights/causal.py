"""Causal decoders of others: any that `AutoModelForCausalLM` knows by itself, with its tokenizer extended by our tokens.

- Only safetensors are read, and only architectures of transformers itself are built: code beside the weights is never run.
- The vocabulary gains what the tokenizer lacks: markers of turns, the image token, the row separator, and whichever of
  beginning, end and padding it has not. A new token begins as the mean of the old ones, in the input and the output table.
- Whether logits are the plain product of output table and hidden state is found out by trying: some architectures scale or
  cap them, and then the whole forward pass of theirs is used.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast

from model.config.stages import DecoderConfig
from model.data.tokenizer import SPECIALS
from model.network.strict_loading import refuse
from model.weights.reading import check_form, check_numbers, read_json

NAMED = {"<bos>": "bos_token", "<eos>": "eos_token", "<pad>": "pad_token"}
"""Ours -> the attribute of a tokenizer that may already hold one of its own."""
NO_CONFIGURATION = ("transformers_version", "_name_or_path", "architectures", "dtype", "torch_dtype", "auto_map")
"""Entries of a saved configuration that say nothing of the architecture."""


@dataclass(frozen=True, slots=True)
class ImportedDecoder:
    """A decoder with its weights, and its tokenizer with our tokens."""

    config: DecoderConfig
    decoder: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    added: tuple[str, ...]
    """Tokens that the vocabulary gained."""


def import_decoder(folder: Path) -> ImportedDecoder:
    """Read a decoder and its tokenizer from a folder in transformers' format.

    Raises:
        ValueError: transformers has no such causal model, the folder has no safetensors or no tokenizer, or a tensor is
            missing, unknown or of another shape; the message names it.
    """
    check_form(folder)
    decoder = _weights(folder)
    tokenizer, added = _tokenizer(folder)
    rows = len(decoder.get_input_embeddings().weight)
    beyond = sorted(token for token, place in tokenizer.get_vocab().items() if place >= rows and token not in added)
    if beyond:
        raise ValueError(f"{folder}: the tokenizer has {len(beyond)} tokens beyond the {rows} rows of the weights, as {beyond[0]!r}\n"
                         "hint: tokenizer and weights belong to different models, or the table was not enlarged with the tokenizer")
    try:
        _extend(decoder, [place for token, place in tokenizer.get_vocab().items() if token in added])
        config = _config(decoder)
    except (AttributeError, TypeError, ZeroDivisionError) as error:
        raise ValueError(f"{folder}: {type(decoder).__name__} lacks what describes a decoder of ours ({error})\n"
                         "hint: decoders of attention can be read, with hidden_size, num_hidden_layers and num_attention_heads") from error
    return ImportedDecoder(config, decoder, tokenizer, added)


def _weights(folder: Path) -> PreTrainedModel:
    kind = read_json(folder / "config.json").get("model_type")
    try:
        decoder, info = AutoModelForCausalLM.from_pretrained(
            folder, use_safetensors=True, trust_remote_code=False, local_files_only=True, dtype=torch.float32, output_loading_info=True,
            ignore_mismatched_sizes=True)
    except (OSError, ValueError, LookupError, RuntimeError, ImportError, TypeError, AttributeError, SafetensorError) as error:
        reason = f"{type(error).__name__}: {str(error)[:200]}"
        raise ValueError(f"{folder}: model_type {kind!r} cannot be loaded as a causal language model ({reason})\n"
                         "hint: an architecture of transformers itself, with weights as safetensors") from error
    wrong = [f"{name} is missing" for name in info["missing_keys"]] + [f"{name} is unknown" for name in info["unexpected_keys"]]
    wrong += [f"{name} is {tuple(found)}, the model has {tuple(wanted)}" for name, found, wanted in info["mismatched_keys"]]
    refuse([*wrong, *map(str, info.get("error_msgs", []))], folder)
    check_numbers(decoder.state_dict().items(), folder)
    return decoder.eval()


def _tokenizer(folder: Path) -> tuple[PreTrainedTokenizerFast, tuple[str, ...]]:
    try:
        theirs = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        backend = theirs.backend_tokenizer
    except (OSError, ValueError, AttributeError) as error:
        raise ValueError(f"{folder}: no tokenizer that can be loaded ({type(error).__name__}: {error})\n"
                         "hint: tokenizer.json and tokenizer_config.json belong beside the weights") from error
    named = {attribute: getattr(theirs, attribute) or ours for ours, attribute in NAMED.items()}
    others = [token for token in SPECIALS if token not in NAMED]
    before = set(backend.get_vocab(with_added_tokens=True))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, **named, additional_special_tokens=others, split_special_tokens=True)
    return tokenizer, tuple(token for token in [*named.values(), *others] if token not in before)


@torch.no_grad()
def _extend(decoder: PreTrainedModel, ids: list[int]) -> None:
    """Give new tokens their rows: the mean of the rows that were there, not a draw, so that an import has no seed."""
    if not ids:
        return
    means = [table.weight.mean(0) for table in _tables(decoder)]
    if max(ids) >= len(decoder.get_input_embeddings().weight):
        decoder.resize_token_embeddings(max(ids) + 1, mean_resizing=False)
    for table, mean in zip(_tables(decoder), means, strict=True):
        table.weight[ids] = mean


def _tables(decoder: PreTrainedModel) -> list[Any]:
    tables = [decoder.get_input_embeddings(), decoder.get_output_embeddings()]
    return tables[:1] if tables[0].weight is tables[1].weight else tables


def _config(decoder: PreTrainedModel) -> DecoderConfig:
    """Describe the decoder: in full for transformers, in numbers for plans."""
    whole = decoder.config
    plain = {name: value for name, value in whole.to_dict().items() if name not in NO_CONFIGURATION}
    heads, width = whole.num_attention_heads, whole.hidden_size
    experts = getattr(whole, "num_experts", None) or getattr(whole, "num_local_experts", None) or 0
    head = getattr(whole, "head_dim", None) or width // heads
    return DecoderConfig(
        width=width, layers=whole.num_hidden_layers, heads=heads, kv_heads=getattr(whole, "num_key_value_heads", None) or heads,
        mlp_width=getattr(whole, "intermediate_size", None) or getattr(whole, "n_inner", None) or 4 * width,
        vocabulary=len(decoder.get_input_embeddings().weight), context=whole.max_position_embeddings,
        tied=len(_tables(decoder)) == 1, experts=experts, experts_per_token=getattr(whole, "num_experts_per_tok", None) or 2,
        moe_every=getattr(whole, "decoder_sparse_step", None) or (1 if experts else 2), head_width=0 if head * heads == width else head,
        transformers=json.dumps(plain, sort_keys=True), plain_head=_is_plain(decoder),
    )


@torch.no_grad()
def _is_plain(decoder: PreTrainedModel) -> bool:
    """Say whether logits are the output table times the last hidden state of the base model."""
    ids = torch.arange(8)[None] % len(decoder.get_input_embeddings().weight)
    hidden: Tensor | None = getattr(decoder.base_model(ids, use_cache=False), "last_hidden_state", None)
    if hidden is None:
        return False
    return torch.allclose(decoder.get_output_embeddings()(hidden), decoder(ids, use_cache=False).logits, rtol=1e-4, atol=1e-5)
