"""The learning rate as a function of model size, as MM1 fitted it. Torch-free."""

from __future__ import annotations

import math

from model.config.stages import DecoderConfig
from model.cost.flops import decoder_parameters

BY_RULE = "mm1"
"""Value that a scale writes instead of a learning rate to have it computed by this rule."""


def mm1_learning_rate(num_parameters: float) -> float:
    """Return the peak learning rate of pre-training, rounded to three digits.

    Args:
        num_parameters: weights of the decoder without embeddings; the rule was fitted from 9 M to 1.2 B and is used up
            to 30 B.

    Raises:
        ValueError: `num_parameters` is below 1.

    Source: MM1, arXiv:2403.09611, eta = exp(-0.4214 ln N - 0.5535). MM1's weight decay is 0.1 eta, which is
    `weight_decay: 0.1` here.
    """
    if num_parameters < 1:
        raise ValueError(f"num_parameters is {num_parameters:g}; allowed: >= 1")
    return float(f"{math.exp(-0.4214 * math.log(num_parameters) - 0.5535):.2e}")


def lr_of(config: DecoderConfig) -> float:
    """Return the peak learning rate of a decoder by MM1's rule; of the experts, those that one token passes count."""
    embeddings = config.vocabulary * config.width * (1 if config.tied else 2)
    return mm1_learning_rate(decoder_parameters(config, active=True) - embeddings)
