"""Held-out text by likelihood: how many bits the model needs for each byte. Torch-free.

Unlike a loss per token, bits per byte do not depend on the tokenizer. The score is inverted, so that higher is better:
a model that knows nothing needs 8 bits, which scores 0.
"""

from __future__ import annotations

import math

BITS_OF_A_BYTE = 8


def saved(bits: float, num_bytes: int) -> float:
    """Return the share of the bytes' bits that the model saves, 0 to 1; needing more than all of them gives 0.

    Raises:
        ValueError: there are no bytes, or the bits are not a finite number of at least 0.
    """
    if num_bytes < 1 or not math.isfinite(bits) or bits < 0:
        raise ValueError(f"{bits} bits for {num_bytes} bytes; allowed: 0 or more for at least 1")
    return max(0.0, 1 - bits / (BITS_OF_A_BYTE * num_bytes))
