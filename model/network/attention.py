"""Attention of packed sequences: a token sees the tokens of its own sample, up to itself.

- On a CPU: transformers' `sdpa` with the dense mask that `block_diagonal` makes. FlexAttention has no backward pass there.
- On a GPU: FlexAttention over blocks of the mask, which skips the blocks between samples. It is an attention function of
  our own under transformers' registry: under autocast q and k leave their norms in fp32, and transformers' own function for
  FlexAttention hands them on beside bf16 values, which is refused.
- transformers would infer packing from positions that start again, but only without a cache and without any mask; where it
  does not, samples leak without a word. The mask is therefore always given.

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

_compiled = torch.compile(flex_attention)


def use_packed_attention(decoder: PreTrainedModel, device: torch.device) -> None:
    """Set the decoder up for packed sequences on a device."""
    decoder.set_attn_implementation(FLEX if device.type == "cuda" else "sdpa")


def block_diagonal(segments_BT: Tensor, decoder: PreTrainedModel) -> Tensor | BlockMask:
    """Return the mask, in the form that the decoder's attention function reads.

    Args:
        segments_BT: which sample of its row a token belongs to, counted from 1; 0 is padding, which sees padding alone.
        decoder: what will attend.
    """
    if decoder.config._attn_implementation == FLEX:
        return _blocks(segments_BT)
    same_BTT = segments_BT[:, :, None] == segments_BT[:, None, :]
    return same_BTT.tril()[:, None]


def _blocks(segments_BT: Tensor) -> BlockMask:
    rows, length = segments_BT.shape

    def sees(row: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return (key <= query) & (segments_BT[row, query] == segments_BT[row, key])

    return create_block_mask(sees, rows, None, length, length, device=segments_BT.device)


def _flex(module: nn.Module, query_BHTK: Tensor, key_BHTK: Tensor, value_BHTK: Tensor, attention_mask: BlockMask | None,
          scaling: float | None = None, **_: Any) -> tuple[Tensor, None]:
    """Attend as transformers' attention functions do; a missing mask is causal attention over whole rows."""
    mask = attention_mask if attention_mask is not None else _blocks(torch.ones_like(query_BHTK[:, 0, :, 0], dtype=torch.long))
    attend = flex_attention if query_BHTK.device.type == "cpu" or torch.compiler.is_compiling() else _compiled
    dtype = value_BHTK.dtype
    mixed_BHTK = attend(query_BHTK.to(dtype), key_BHTK.to(dtype), value_BHTK, block_mask=mask, scale=scaling,
                        enable_gqa=query_BHTK.shape[1] != key_BHTK.shape[1])
    return mixed_BHTK.transpose(1, 2).contiguous(), None


AttentionInterface.register(FLEX, _flex)
