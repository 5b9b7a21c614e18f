"""Attention of packed rows: a token attends to earlier tokens of its own sample, as far back as its layer reaches.

- Masks come from transformers' own functions, one for each type of layer: full, or within a sliding window.
  Samples are told apart by positions that start again at 0. Left to themselves, some decoders build their masks
  without looking at positions, and samples of a row then attend to each other without an error: masks are always given.
- On a CPU a decoder keeps the attention that transformers chose for it (`sdpa`, else `eager`); FlexAttention has no
  backward pass there.
- On a GPU: FlexAttention with block masks, which skip the blocks between samples. It is registered with transformers
  under a name of this project: under autocast the norms of q and k return fp32, and the FlexAttention function of
  transformers passes them on beside bf16 values, which FlexAttention refuses.
- Which decoders may be packed is decided by `model.config.packable`.

    B rows   T tokens   D width   H heads   K head width
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention.flex_attention import AuxRequest, BlockMask, create_block_mask, flex_attention
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import create_causal_mask, create_sliding_window_causal_mask

FLEX = "ablate_flex"
"""Name of our FlexAttention in transformers' registries of attention functions and of masks."""
MASKS = {"full_attention": create_causal_mask, "sliding_attention": create_sliding_window_causal_mask}
"""Type of layer, as configurations name it in `layer_types`, to the function that makes its mask."""

Mask = Tensor | BlockMask | None
"""A mask in the form that the decoder's attention function reads; None where plain causal attention is the same."""

# Compiled on first use, not at import. Without compilation FlexAttention computes and holds all T x T scores.
_compiled = torch.compile(flex_attention)


def use_packed_attention(decoder: PreTrainedModel, device: torch.device) -> None:
    """Choose the decoder's attention function for packed rows on a device.

    A decoder that does not support FlexAttention keeps the function that it has, with masks of all T x T pairs.
    """
    if device.type == "cuda" and decoder._supports_flex_attn:
        decoder.set_attn_implementation(FLEX)


def packed_masks(decoder: PreTrainedModel, embeddings_BTD: Tensor, places_BT: Tensor) -> Mask | dict[str, Mask]:
    """Return the attention mask of packed rows, or one for each type of the decoder's layers.

    Args:
        decoder: the decoder that the masks are for.
        embeddings_BTD: its input; only shape, type and device matter.
        places_BT: position of each token within its sample, from 0. Every 0 begins a sample of its own: padding has 0
            throughout.
    """
    config = decoder.config
    given: dict[str, Any] = {"config": config, "inputs_embeds": embeddings_BTD, "attention_mask": None,
                             "past_key_values": None, "position_ids": places_BT}
    types = getattr(config, "layer_types", None)
    if types is not None:
        return {each: MASKS[each](**given) for each in sorted(set(types))}
    if getattr(config, "sliding_window", None) is not None:  # layers are all alike
        return create_sliding_window_causal_mask(**given)  # type: ignore[no-any-return]
    return create_causal_mask(**given)  # type: ignore[no-any-return]


def _blocks(*, batch_size: int, q_length: int, kv_length: int, mask_function: Callable[..., Tensor],
            device: torch.device, **_: Any) -> BlockMask:
    """Return the blocks in which a mask function is True, by the signature of transformers' mask functions."""
    # None heads: one mask for all of them.
    return create_block_mask(mask_function, batch_size, None, q_length, kv_length, device=device)


def _flex(module: nn.Module, query_BHTK: Tensor, key_BHTK: Tensor, value_BHTK: Tensor, attention_mask: BlockMask,
          scaling: float | None = None, softcap: float | None = None, s_aux: Tensor | None = None,
          dropout: float = 0.0, **_: Any) -> tuple[Tensor, None]:
    """Attend with FlexAttention, by the signature of transformers' attention functions.

    Args:
        module: the attention layer; not used.
        query_BHTK: queries.
        key_BHTK: keys; their heads divide those of the queries.
        value_BHTK: values, of the keys' number of heads.
        attention_mask: made by `_blocks`.
        scaling: factor of the scores; None is 1 / sqrt(K).
        softcap: bound that scores approach, as in Gemma 2; None leaves them as they are.
        s_aux: a score of each head that competes with those of the keys and has no value, as in gpt-oss; (H).
        dropout: must be 0.

    Raises:
        ValueError: the decoder drops attention weights at random, which FlexAttention cannot do.
    """
    if dropout:
        raise ValueError(f"attention dropout is {dropout:g}; allowed with packed rows on a GPU: 0\n"
                         "hint: set the dropout in the decoder's configuration to 0, or pack: 0")
    # Within a compiled block the compiler already traces this call; compiling it again would nest.
    attend = flex_attention if query_BHTK.device.type == "cpu" or torch.compiler.is_compiling() else _compiled
    # The norms of q and k leave fp32 under autocast, and all three must have one type.
    dtype = value_BHTK.dtype
    heads, shared = query_BHTK.shape[1], key_BHTK.shape[1]
    mixed_BHTK, aux = attend(query_BHTK.to(dtype), key_BHTK.to(dtype), value_BHTK, block_mask=attention_mask,
                             score_mod=_capped(softcap) if softcap else None, scale=scaling,
                             enable_gqa=heads != shared,
                             return_aux=AuxRequest(lse=s_aux is not None))  # type: ignore[arg-type]
    if s_aux is not None:
        # exp(lse) is the sum that the softmax divided by; with the sink it is exp(lse) + exp(sink).
        kept_BHT = torch.sigmoid(aux.lse - s_aux.view(1, -1, 1))
        mixed_BHTK = (mixed_BHTK * kept_BHT[..., None]).to(dtype)
    # transformers expects (B, T, H, K).
    return mixed_BHTK.transpose(1, 2).contiguous(), None


def _capped(softcap: float) -> Callable[..., Tensor]:
    def cap(score: Tensor, *_: Tensor) -> Tensor:
        return softcap * torch.tanh(score / softcap)

    return cap


AttentionInterface.register(FLEX, _flex)
AttentionMaskInterface.register(FLEX, _blocks)
