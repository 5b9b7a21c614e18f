"""The causal decoder, from transformers: Qwen3 (RMSNorm, rotary positions, gated MLP, q and k norms), dense or MoE."""

from __future__ import annotations

from transformers import PreTrainedModel, Qwen3Config, Qwen3ForCausalLM, Qwen3MoeConfig, Qwen3MoeForCausalLM

from model.config import DecoderConfig

LOAD_BALANCE_WEIGHT = 0.01
"""Weight of the load-balancing loss (MM1.5, arXiv:2409.20566)."""


def decoder(config: DecoderConfig) -> PreTrainedModel:
    """Build a decoder from scratch."""
    shared = dict(
        vocab_size=config.vocabulary, hidden_size=config.width, num_hidden_layers=config.layers,
        num_attention_heads=config.heads, num_key_value_heads=config.kv_heads, head_dim=config.width // config.heads,
        intermediate_size=config.mlp_width, max_position_embeddings=config.context, tie_word_embeddings=config.tied,
        rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta}, attention_dropout=0.0,
    )
    if not config.experts:
        return Qwen3ForCausalLM(Qwen3Config(**shared))
    return Qwen3MoeForCausalLM(Qwen3MoeConfig(
        **shared, num_experts=config.experts, num_experts_per_tok=config.experts_per_token, norm_topk_prob=True,
        decoder_sparse_step=config.moe_every, moe_intermediate_size=config.mlp_width, output_router_logits=True,
        router_aux_loss_coef=LOAD_BALANCE_WEIGHT,
    ))
