"""Small decoders of the causal families of transformers, with windows of three tokens, and the losses of packed rows beside single ones."""

import json

import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from model.config.stages import DecoderConfig
from tests.support.small_models import stirred

SHIPPED = dict(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
"""Family, by its `model_type`, to the name of its class."""
WINDOW = 3
SMALL = {
    "vocab_size": 96, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "max_position_embeddings": 128, "n_positions": 128,
    "hidden_size": 32, "n_embd": 32, "d_model": 32, "word_embed_proj_dim": 32, "num_hidden_layers": 4, "n_layer": 4, "n_layers": 4,
    "num_attention_heads": 4, "n_head": 4, "n_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
    "intermediate_size": 48, "ffn_dim": 48, "ffn_hidden_size": 48, "n_inner": 48, "sliding_window": WINDOW, "window_size": WINDOW,
    "attention_window": WINDOW, "num_experts": 4, "num_local_experts": 4, "n_routed_experts": 4,
    "moe_num_experts": 4, "num_experts_per_tok": 2, "moe_k": 2, "moe_intermediate_size": 16, "n_group": 1, "topk_group": 1,
    "n_shared_experts": 1, "num_shared_experts": 1, "num_dense_layers": 1, "first_k_dense_replace": 1, "dropout": 0.0,
    "attention_dropout": 0.0, "mamba_d_state": 4, "mamba_d_conv": 3, "mamba_expand": 2, "mamba_n_heads": 4, "mamba_d_head": 16,
    "mamba_n_groups": 1, "mamba_chunk_size": 4, "mamba_dt_rank": 4, "linear_num_value_heads": 4, "linear_num_key_heads": 2,
    "linear_key_head_dim": 8, "linear_value_head_dim": 8, "conv_L_cache": 3, "lru_width": 32,
}
"""What every configuration is given of, as far as it has an entry of that name."""
LATENT = {"head_dim": None, "num_key_value_heads": 4, "q_lora_rank": 16, "kv_lora_rank": 16, "qk_rope_head_dim": 4,
          "qk_nope_head_dim": 8, "v_head_dim": 8}
ALTERNATING = ["sliding_attention", "full_attention"] * 2
OWN = {
    **dict.fromkeys(("axk1", "deepseek_v2", "deepseek_v3", "glm4_moe_lite", "longcat_flash", "minicpm3", "youtu"), LATENT),
    "codegen": {"rotary_dim": 4}, "gptj": {"rotary_dim": 4},
    "falcon": {"head_dim": None, "alibi": False},
    "gpt_neo": {"num_layers": 4, "num_hidden_layers": None, "attention_types": [[["global", "local"], 2]]},
    "lfm2": {"layer_types": ["conv", "full_attention"] * 2}, "lfm2_moe": {"layer_types": ["conv", "full_attention"] * 2},
    "gemma4_text": {"layer_types": ALTERNATING, "num_kv_shared_layers": 0, "hidden_size_per_layer_input": 0, "head_dim": None,
                    "num_key_value_heads": None},
    "gemma3n_text": {"layer_types": ALTERNATING, "num_kv_shared_layers": 0, "intermediate_size": [48] * 4,
                     "activation_sparsity_pattern": [0.0] * 4, "laurel_rank": 4, "hidden_size_per_layer_input": 8,
                     "vocab_size_per_layer_input": 96},
    "zaya": {"num_experts_per_tok": 1},
    **dict.fromkeys(("qwen2", "qwen2_moe", "qwen3", "smollm3"), {"use_sliding_window": True, "layer_types": ALTERNATING}),
    "qwen3_moe": {"use_sliding_window": True},
}
"""What single families need beside: None leaves an entry at its default."""


def small_config(family):
    """Return a small configuration whose layers have windows in turn, if the family can have both."""
    kind = CONFIG_MAPPING[family]
    default = kind()
    given = {name: value for name, value in SMALL.items() if hasattr(default, name) or name in kind.attribute_map}
    given |= OWN.get(family, {})
    config = kind(**{name: value for name, value in given.items() if value is not None})
    has_one_type = len(set(getattr(config, "layer_types", None) or ())) == 1
    if has_one_type and config.layer_types[0] in ALTERNATING and getattr(config, "sliding_window", None):
        config.layer_types = ALTERNATING
    return config


def small_decoder(family):
    """Return a small decoder of a family, with weights that no initialisation gives."""
    return stirred(AutoModelForCausalLM.from_config(small_config(family)))


@torch.no_grad()
def losses(decoder, masks):
    """Return the losses of three samples alone and in one row, as two tensors with a loss for each token.

    Args:
        decoder: in evaluation.
        masks: makes the masks of a row from decoder, embeddings and places.
    """
    torch.manual_seed(1)
    table = decoder.get_input_embeddings()
    samples = [torch.randint(3, len(table.weight), (length,)) for length in (9, 7, 12)]
    places, row = torch.cat([torch.arange(len(each)) for each in samples])[None], torch.cat(samples)
    alone = [_losses(decoder(inputs_embeds=table(each[None]), use_cache=False), each) for each in samples]
    given = masks(decoder, table(row[None]), places)
    packed = decoder(inputs_embeds=table(row[None]), position_ids=places, use_cache=False, attention_mask=given)
    return torch.cat(alone), _losses(packed, row)[places[0, 1:] > 0]


def _losses(output, ids):
    return torch.nn.functional.cross_entropy(output.logits[0, :-1].float(), ids[1:], reduction="none")


def imported(**plain):
    """Return the shape of an imported decoder with these entries in its configuration of transformers."""
    return DecoderConfig(width=32, layers=4, heads=4, kv_heads=2, mlp_width=48, vocabulary=96, context=128,
                         transformers=json.dumps(plain))
