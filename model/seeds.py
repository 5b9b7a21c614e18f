"""Named random streams: every sample, and every random choice of a trial, has its own. Nothing else seeds anything. Torch-free."""

from __future__ import annotations

import hashlib
import random


def stream(*names: object) -> random.Random:
    """Return the random stream of this name; equal names give equal streams on every machine."""
    digest = hashlib.sha256("/".join(map(str, names)).encode()).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))


def stream_seed(seed: int, *names: object) -> int:
    """Return a 63-bit seed for a trial's stream of this name: `stream_seed(0, "init")`, `stream_seed(0, "order", 17)`."""
    text = "/".join(map(str, (seed, *names)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
