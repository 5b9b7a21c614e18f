"""Which imported decoders with experts can be trained, and why others cannot. Torch-free.

The load-balance loss takes it that a router chooses the experts with the largest logits, and that its probabilities are
their softmax. Many families choose by other scores: with a bias that is moved for balance, within groups of experts, or
at random. Their loss would describe experts that were not chosen, without an error.
"""

from __future__ import annotations

import json

from model.config.architecture import DecoderConfig
from model.config.fields import require

FAMILIES = frozenset((
    "cohere2_moe", "flex_olmo", "flint", "gpt_oss", "granitemoe", "granitemoe_swa", "granitemoehybrid",
    "granitemoeshared", "hunyuan_v1_moe", "jamba", "mellum", "minimax", "mixtral", "olmoe", "qwen2_moe",
    "qwen3_5_moe_text", "qwen3_moe", "qwen3_next",
))
"""`model_type` of the families whose routers choose by their logits alone; a test compares choices and logits."""


def require_plain_routing(config: DecoderConfig, *, path: str = "model.decoder") -> None:
    """Refuse to train an imported decoder whose routers do not choose the experts with the largest logits.

    Args:
        config: the decoder; our own, and any without experts, is accepted.
        path: of the setting, for the message.

    Raises:
        FieldError: the load-balance loss would be wrong for the decoder's family.
    """
    if config.experts and config.transformers:
        family = json.loads(config.transformers).get("model_type")
        require(family in FAMILIES, path, f"decoder {family!r} is not among the families that choose experts by the largest "
                f"logits, which the load-balance loss needs; allowed with experts: {', '.join(sorted(FAMILIES))}",
                "such a decoder can be evaluated, but not trained here")
