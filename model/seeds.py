"""Named random streams: one for each sample and each random choice of a trial. There are no other seeds. Torch-free."""

from __future__ import annotations

import hashlib
import random


def stream(*names: object) -> random.Random:
    """Return the random stream with a name; the same name gives the same stream on every machine."""
    digest = hashlib.sha256("/".join(map(str, names)).encode()).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))


def stream_seed(seed: int, *names: object) -> int:
    """Return a 63-bit seed for a named stream of a trial.

    The trial's seed is part of the name: `stream_seed(0, "init")`, `stream_seed(0, "order", 17)`.
    """
    text = "/".join(map(str, (seed, *names)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
