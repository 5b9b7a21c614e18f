"""The causal decoder, built with transformers: a Qwen3 (dense or MoE), or the architecture of an imported decoder.

- Qwen3 has RMSNorm, rotary positions, a gated MLP and norms of q and k.
- An imported decoder is any that `AutoModelForCausalLM` supports by itself; code that comes with weights is never run.
- Router losses are computed in `model.training`: they are taken over the whole batch, which no forward pass sees.
"""

from __future__ import annotations

import json
from typing import Any

from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
)

from model.config.stages import DecoderConfig
from model.network.experts import set_precision

LOAD_BALANCE_WEIGHT = 0.01
"""Weight of the load-balancing loss (MM1.5, arXiv:2409.20566)."""
ROUTER_Z_WEIGHT = 0.001
"""Weight of the router z-loss, the mean square of logsumexp of a router's logits (MM1.5, arXiv:2409.20566)."""


def decoder(config: DecoderConfig) -> PreTrainedModel:
    """Build a decoder with random weights: a Qwen3, or the architecture of an imported decoder."""
    if config.transformers:
        built = AutoModelForCausalLM.from_config(decoder_config(config), trust_remote_code=False)
    else:
        built = (Qwen3MoeForCausalLM if config.experts else Qwen3ForCausalLM)(decoder_config(config))
    if config.experts:
        set_precision(built)
    return built


def decoder_config(config: DecoderConfig) -> PreTrainedConfig:
    """Return a decoder's configuration as transformers' class.

    The configuration of an imported decoder is changed in two entries: the vocabulary includes our tokens, and the type
    is fp32.
    """
    if config.transformers:
        changes = {"vocab_size": config.vocabulary, "dtype": "float32"}
        return AutoConfig.for_model(**{**json.loads(config.transformers), **changes})
    # `head_dim` is given, because Qwen3's own default is 128 whatever the width.
    shared: dict[str, Any] = dict(
        vocab_size=config.vocabulary, hidden_size=config.width, num_hidden_layers=config.layers,
        num_attention_heads=config.heads, num_key_value_heads=config.kv_heads, head_dim=config.head,
        intermediate_size=config.mlp_width, max_position_embeddings=config.context, tie_word_embeddings=config.tied,
        rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta}, attention_dropout=0.0,
    )
    if not config.experts:
        return Qwen3Config(**shared)
    # An expert is as wide as the MLP that it replaces. The weight of the balance loss is for those who train the model
    # with transformers: our loop adds the router losses itself.
    return Qwen3MoeConfig(
        **shared, num_experts=config.experts, num_experts_per_tok=config.experts_per_token, norm_topk_prob=True,
        decoder_sparse_step=config.moe_every, moe_intermediate_size=config.mlp_width,
        router_aux_loss_coef=LOAD_BALANCE_WEIGHT,
    )
