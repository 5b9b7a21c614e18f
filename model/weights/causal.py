"""Import of causal decoders: any that `AutoModelForCausalLM` supports, with our tokens added to its tokenizer.

- Only safetensors are read, and only architectures of transformers are built: code beside the weights is never run.
- The vocabulary gains the tokens that the tokenizer lacks: markers of turns, the image token, the row separator, and
  tokens for beginning, end and padding. A new token starts as the mean of the old ones, in input and output table.
- Some architectures scale or cap their logits. A trial run finds out whether logits are the plain product of output
  table and hidden state; if they are not, the decoder's complete forward pass is used.
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
"""Our token to the attribute in which a tokenizer may already have a token for the same purpose."""
EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
"""Entries under which configurations have their number of experts."""
NO_CONFIGURATION = ("transformers_version", "_name_or_path", "architectures", "dtype", "torch_dtype", "auto_map")
"""Entries of a saved configuration that do not describe the architecture."""


@dataclass(frozen=True, slots=True)
class ImportedDecoder:
    """An imported decoder with its weights and its extended tokenizer."""

    config: DecoderConfig
    """Shape of the decoder."""
    decoder: PreTrainedModel
    """The decoder, with rows for our tokens in its tables."""
    tokenizer: PreTrainedTokenizerFast
    """The decoder's tokenizer, with our tokens."""
    added: tuple[str, ...]
    """Tokens that were added to the vocabulary."""


def import_decoder(folder: Path) -> ImportedDecoder:
    """Read a decoder and its tokenizer from a folder in transformers' format.

    Raises:
        ValueError: transformers does not support the architecture as a causal language model, the folder has no
            safetensors or no tokenizer, or a tensor is missing, unknown or of another shape; the message names it.
    """
    check_form(folder)
    decoder = _weights(folder)
    tokenizer, added = _tokenizer(folder)
    # Tables may have more rows than the tokenizer has tokens: a new token may take such a row, or need a new one.
    rows = len(decoder.get_input_embeddings().weight)
    beyond = sorted(token for token, place in tokenizer.get_vocab().items() if place >= rows and token not in added)
    if beyond:
        raise ValueError(f"{folder}: the tokenizer has {len(beyond)} tokens beyond the {rows} rows of the weights, "
                         f"such as {beyond[0]!r}\n"
                         "hint: tokenizer and weights belong to different models, or the table was not enlarged with "
                         "the tokenizer")
    try:
        _extend(decoder, [place for token, place in tokenizer.get_vocab().items() if token in added])
        config = _config(decoder)
    except (AttributeError, TypeError, ZeroDivisionError) as error:
        raise ValueError(f"{folder}: {type(decoder).__name__} lacks an entry that plans need ({error})\n"
                         "hint: decoders with attention can be read, with hidden_size, num_hidden_layers and "
                         "num_attention_heads") from error
    return ImportedDecoder(config, decoder, tokenizer, added)


def _weights(folder: Path) -> PreTrainedModel:
    kind = read_json(folder / "config.json").get("model_type")
    try:
        # Mismatched shapes are let through here, so that the message below can list them with all other problems.
        decoder, info = AutoModelForCausalLM.from_pretrained(
            folder, use_safetensors=True, trust_remote_code=False, local_files_only=True, dtype=torch.float32,
            output_loading_info=True, ignore_mismatched_sizes=True)
    except (OSError, ValueError, LookupError, RuntimeError, ImportError, TypeError, AttributeError,
            SafetensorError) as error:
        reason = f"{type(error).__name__}: {str(error)[:200]}"
        raise ValueError(f"{folder}: model_type {kind!r} cannot be loaded as a causal language model ({reason})\n"
                         "hint: an architecture of transformers itself, with weights as safetensors") from error
    wrong = [f"{name} is missing" for name in info["missing_keys"]]
    wrong += [f"{name} is unknown" for name in info["unexpected_keys"]]
    wrong += [f"{name} is {tuple(saved)}, the model has {tuple(wanted)}"
              for name, saved, wanted in info["mismatched_keys"]]
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
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, **named, additional_special_tokens=others,
                                        split_special_tokens=True)
    return tokenizer, tuple(token for token in [*named.values(), *others] if token not in before)


@torch.no_grad()
def _extend(decoder: PreTrainedModel, ids: list[int]) -> None:
    """Set the rows of new tokens to the mean of the old rows. They are not drawn, so an import needs no seed."""
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
    """Return the decoder's shape: its complete configuration for transformers, and the numbers that plans need."""
    config = decoder.config
    plain = {name: value for name, value in config.to_dict().items() if name not in NO_CONFIGURATION}
    # Architectures name the same numbers differently, and leave out those that are equal to another one.
    heads, width = config.num_attention_heads, config.hidden_size
    experts = next((count for name in EXPERTS if (count := getattr(config, name, None))), 0)
    head = getattr(config, "head_dim", None) or width // heads
    return DecoderConfig(
        width=width, layers=config.num_hidden_layers, heads=heads,
        kv_heads=getattr(config, "num_key_value_heads", None) or heads,
        mlp_width=getattr(config, "intermediate_size", None) or getattr(config, "n_inner", None) or 4 * width,
        vocabulary=len(decoder.get_input_embeddings().weight), context=config.max_position_embeddings,
        tied=len(_tables(decoder)) == 1, experts=experts,
        experts_per_token=getattr(config, "num_experts_per_tok", None) or 2,
        moe_every=getattr(config, "decoder_sparse_step", None) or (1 if experts else 2),
        head_width=0 if head * heads == width else head,
        transformers=json.dumps(plain, sort_keys=True), plain_head=_is_plain(decoder),
    )


@torch.no_grad()
def _is_plain(decoder: PreTrainedModel) -> bool:
    """Return whether the logits of a trial run equal the output table times the last hidden state."""
    ids = torch.arange(8)[None] % len(decoder.get_input_embeddings().weight)
    hidden: Tensor | None = getattr(decoder.base_model(ids, use_cache=False), "last_hidden_state", None)
    if hidden is None:
        return False
    product, logits = decoder.get_output_embeddings()(hidden), decoder(ids, use_cache=False).logits
    return torch.allclose(product, logits, rtol=1e-4, atol=1e-5)
