"""Held-out text by likelihood: how many bits the model needs for a byte of it. Torch-free.

Bits per byte does not depend on the tokenizer, as a loss per token would. The score turns it round, so that more is
better: a model that knows nothing needs 8 bits, which is 0.
"""

from __future__ import annotations

import math

BITS_OF_A_BYTE = 8


def saved(bits: float, num_bytes: int) -> float:
    """Return the share of the bytes' bits that the model saves, 0 to 1; needing more than all of them is 0.

    Raises:
        ValueError: no bytes, or bits that are no number of at least 0.
    """
    if num_bytes < 1 or not math.isfinite(bits) or bits < 0:
        raise ValueError(f"{bits} bits for {num_bytes} bytes; allowed: 0 or more for at least 1")
    return max(0.0, 1 - bits / (BITS_OF_A_BYTE * num_bytes))
