"""Held-out loss: the cross-entropy of an item's answers, in nats, and how many tokens it is of. Torch-free.

An item's prediction says both, so that the loss of a benchmark is one over all tokens, as training computes its own.
"""

from __future__ import annotations

import math
import re

_SAID = re.compile(r"(\S+) nats over (\d+) tokens")


def said(nats: float, num_tokens: int) -> str:
    """Return the prediction of an item."""
    return f"{nats!r} nats over {num_tokens} tokens"


def read(prediction: str) -> tuple[float, int]:
    """Return the nats and the number of tokens that a prediction says.

    Raises:
        ValueError: it says something else, or there are no tokens.
    """
    found = _SAID.fullmatch(prediction)
    if not found or not int(found[2]):
        raise ValueError(f"{prediction[:60]!r}; allowed: NUMBER nats over NUMBER tokens, at least 1")
    return float(found[1]), int(found[2])


def probability(nats: float, num_tokens: int) -> float:
    """Return the mean probability of a token, 0 to 1, as a geometric mean: the score of a single item."""
    return math.exp(-nats / num_tokens) if nats >= 0 else math.nan
