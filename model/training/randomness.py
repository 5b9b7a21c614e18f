"""Random streams derived from a trial's seed by name. Nothing else in the model seeds anything. Torch-free."""

from __future__ import annotations

import hashlib


def stream_seed(seed: int, *names: object) -> int:
    """Return a 63-bit seed for the stream of this name: `stream_seed(0, "init")`, `stream_seed(0, "order", 17)`."""
    text = "/".join(map(str, (seed, *names)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
