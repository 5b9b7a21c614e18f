"""Which decoders train on packed rows as they would on single samples, and why others do not. Torch-free.

- A family of transformers is listed if a small decoder of it gives each token the same loss in a packed row as in a
  sample of its own, with sliding windows shorter than the samples; a test compares every family that
  transformers ships. Other families are refused: a decoder that mixes samples gives wrong losses without an error.
- Layers of a listed family may still be of a type without a mask, such as convolutions: those are refused by type.
- Some rotary positions stretch with the longest sample of a pass; they are refused for samples beyond the length up to
  which nothing stretches.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from model.config.architecture import DecoderConfig
from model.config.fields import require

FAMILIES = frozenset((
    "afmoe", "apertus", "arcee", "aria_text", "axk1", "beam", "biogpt", "bitnet", "codegen", "cohere", "cohere2",
    "cohere2_moe", "ctrl", "cwm", "deepseek_v2", "deepseek_v3", "diffllama", "dots1", "ernie4_5", "ernie4_5_moe",
    "exaone4", "exaone_moe", "falcon", "flex_olmo", "flint", "gemma", "gemma2", "gemma3_text", "gemma3n_text", "glm",
    "glm4", "glm4_moe", "glm4_moe_lite", "gpt2", "gpt_bigcode", "gpt_neo", "gpt_neox", "gpt_neox_japanese", "gpt_oss",
    "gptj", "granite", "granite_swa", "granitemoe", "granitemoe_swa", "granitemoeshared", "helium", "hrm_text",
    "hunyuan_v1_dense", "hunyuan_v1_moe", "hy_v3", "hyperclovax", "internlm3", "iquestcoder", "jais2", "jetmoe",
    "kolibri1", "laguna", "llama", "mellum", "mimo_v2_flash", "minicpm3", "minimax_m2", "ministral",
    "ministral3", "mistral", "mixtral", "modernbert-decoder", "mpt", "nanochat", "nemotron", "olmo", "olmo2", "olmo3",
    "olmoe", "opt", "persimmon", "phi", "phi3", "phimoe", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "seed_oss",
    "smollm3", "solar_open", "stablelm", "starcoder2", "vaultgemma", "xglm", "youtu",
))
"""`model_type` of the families whose packed rows were compared with single samples and found equal."""
STATEFUL = frozenset((
    "bailing_hybrid", "bamba", "falcon_h1", "falcon_mamba", "granitemoehybrid", "inkling2_text", "inkling_text",
    "jamba", "kimi_linear", "lfm2", "lfm2_moe", "lfm3", "mamba", "mamba2", "minimax", "nemotron_h", "olmo_hybrid",
    "qwen3_5_moe_text", "qwen3_5_text", "qwen3_next", "qwen4_exp_text", "recurrent_gemma", "rwkv", "xlstm", "zamba",
    "zamba2", "zaya",
))
"""`model_type` of families with recurrent or convolutional layers, which have no mask."""
LAYER_TYPES = frozenset(("full_attention", "sliding_attention"))
"""Types of layer, as configurations name them, whose masks keep samples apart. Chunks are not among them: some releases of
transformers count them from the start of the row and not of the sample."""
STRETCHING = frozenset(("dynamic", "longrope"))
"""Types of rotary positions that depend on the longest sample of a pass."""
HINT = "pack: 0 gives each sample a row of its own"


def require_packable(config: DecoderConfig, *, max_tokens: int, path: str = "pack") -> None:
    """Refuse packed rows for a decoder that would mix the samples of a row.

    Args:
        config: the decoder; our own, which has no configuration of transformers, can always be packed.
        max_tokens: tokens of the longest sample.
        path: of the setting, for the message.

    Raises:
        FieldError: the decoder's family, one of its layers or its rotary positions cannot be packed.
    """
    if not config.transformers:
        return
    plain = json.loads(config.transformers)
    family = plain.get("model_type")
    require(family not in STATEFUL, path, f"decoder {family!r} has recurrent or convolutional layers, which carry what "
            "they have read from one sample of a packed row into the next; allowed: 0", HINT)
    require(family in FAMILIES, path, f"decoder {family!r} is not among the families whose packed rows were found equal "
            "to single samples; allowed: 0", HINT)
    others = sorted(set(plain.get("layer_types") or ()) - LAYER_TYPES)
    require(not others, path, f"decoder {family!r} has layers of type {', '.join(others)}, for which no mask keeps the "
            "samples of a packed row apart; allowed: 0", HINT)
    for kind, length in _stretching(plain):
        require(max_tokens <= length, path, f"rotary positions of type {kind!r} depend on the longest sample of a pass "
                f"beyond {length} tokens, and max_tokens is {max_tokens}; allowed: 0", f"{HINT}; or max_tokens: {length}")


def _stretching(plain: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield type and unstretched length, in tokens, of rotary positions that stretch."""
    rope = plain.get("rope_parameters") or {}
    # One description for all layers, or one for each type of layer.
    for each in [rope] if "rope_type" in rope else [value for value in rope.values() if isinstance(value, Mapping)]:
        if each.get("rope_type") in STRETCHING:
            own = each.get("original_max_position_embeddings") or plain.get("original_max_position_embeddings")
            yield each["rope_type"], own or plain["max_position_embeddings"]
