"""The learning rate that MM1 fitted over model sizes. Torch-free."""

from __future__ import annotations

import math

from model.config.stages import DecoderConfig
from model.cost.flops import decoder_parameters

BY_RULE = "mm1"
"""What a scale writes for a learning rate by this rule."""


def mm1_learning_rate(num_parameters: float) -> float:
    """Return the peak rate of pre-training, to three digits.

    Args:
        num_parameters: of the decoder, embeddings left out; fitted from 9 M to 1.2 B and used up to 30 B.

    Raises:
        ValueError: there are no parameters.

    Source: MM1, arXiv:2403.09611, eta = exp(-0.4214 ln N - 0.5535). Weight decay is 0.1 eta, which is `weight_decay: 0.1` here.
    """
    if num_parameters < 1:
        raise ValueError(f"num_parameters is {num_parameters:g}; allowed: >= 1")
    return float(f"{math.exp(-0.4214 * math.log(num_parameters) - 0.5535):.2e}")


def lr_of(config: DecoderConfig) -> float:
    """Return the rate of a decoder; of experts, those that one token passes count."""
    embeddings = config.vocabulary * config.width * (1 if config.tied else 2)
    return mm1_learning_rate(decoder_parameters(config, active=True) - embeddings)
