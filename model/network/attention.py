"""Attention of packed rows: a token attends to itself and to earlier tokens of its own sample.

- On a CPU: the `sdpa` attention of transformers with the dense mask that `block_diagonal` makes; FlexAttention has no
  backward pass there.
- On a GPU: FlexAttention with a block mask, which skips the blocks between samples. It is registered with transformers
  as an attention function of this project: under autocast the norms of q and k return fp32, and the FlexAttention
  function of transformers passes them on beside bf16 values, which FlexAttention refuses.
- Without a mask and without a cache, transformers infers packing from positions that start again at 0; in all other
  cases samples of a row would attend to each other without an error. The mask is therefore always given.

    B rows   T tokens   H heads   K head width
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention
from transformers import AttentionInterface, PreTrainedModel

FLEX = "ablate_flex"
"""Name of our FlexAttention in transformers' registry."""

# Compiled on first use, not at import. Without compilation FlexAttention computes and holds all T x T scores.
_compiled = torch.compile(flex_attention)


def use_packed_attention(decoder: PreTrainedModel, device: torch.device) -> None:
    """Choose the decoder's attention function for packed rows on a device."""
    decoder.set_attn_implementation(FLEX if device.type == "cuda" else "sdpa")


def block_diagonal(segments_BT: Tensor, decoder: PreTrainedModel) -> Tensor | BlockMask:
    """Return the attention mask of packed rows, in the form that the decoder's attention function reads.

    Args:
        segments_BT: the number of each token's sample in its row, from 1; 0 is padding, which attends to padding only.
        decoder: the decoder that the mask is for.

    Returns:
        a `BlockMask` for FlexAttention, otherwise a boolean mask (B, 1, T, T) that is True where a query (third
        dimension) attends to a key (fourth).
    """
    if decoder.config._attn_implementation == FLEX:
        return _blocks(segments_BT)
    same_BTT = segments_BT[:, :, None] == segments_BT[:, None, :]
    # The lower triangle keeps keys up to the query; the new dimension stands for all heads.
    return same_BTT.tril()[:, None]


def _blocks(segments_BT: Tensor) -> BlockMask:
    rows, length = segments_BT.shape

    def sees(row: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return (key <= query) & (segments_BT[row, query] == segments_BT[row, key])

    # None heads: one mask for all of them.
    return create_block_mask(sees, rows, None, length, length, device=segments_BT.device)


def _flex(module: nn.Module, query_BHTK: Tensor, key_BHTK: Tensor, value_BHTK: Tensor, attention_mask: BlockMask | None,
          scaling: float | None = None, **_: Any) -> tuple[Tensor, None]:
    """Attend with FlexAttention, by the signature of transformers' attention functions; without a mask, causally."""
    mask = attention_mask
    if mask is None:  # a batch that is not packed, such as a worker's idle pass: one segment per row
        mask = _blocks(torch.ones_like(query_BHTK[:, 0, :, 0], dtype=torch.long))
    # Within a compiled block the compiler already traces this call; compiling it again would nest.
    attend = flex_attention if query_BHTK.device.type == "cpu" or torch.compiler.is_compiling() else _compiled
    # The norms of q and k leave fp32 under autocast, and all three must have one type.
    dtype = value_BHTK.dtype
    mixed_BHTK = attend(query_BHTK.to(dtype), key_BHTK.to(dtype), value_BHTK, block_mask=mask, scale=scaling,
                        enable_gqa=query_BHTK.shape[1] != key_BHTK.shape[1])
    # transformers expects (B, T, H, K).
    return mixed_BHTK.transpose(1, 2).contiguous(), None


AttentionInterface.register(FLEX, _flex)
