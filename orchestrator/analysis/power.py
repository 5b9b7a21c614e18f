"""How many seeds a paired difference needs: the power of its t-test."""

from __future__ import annotations

import math

from scipy import special

POWER = 0.80
MAX_SEEDS = 1000
"""Where the search for a number of seeds gives up."""


def seeds_to_settle(effect: float, *, deviation: float, error: float = 0.05) -> int | None:
    """Return the seeds that two arms need for their paired difference to show with 80 % power.

    Args:
        effect: smallest difference of interest, in points; above 0.
        deviation: of the difference from seed to seed, in points.
        error: two-sided level of the test; with several looks that of the last one.

    Returns:
        the number of seeds, 2 or more; None beyond `MAX_SEEDS`.
    """
    if effect <= 0:
        raise ValueError(f"effect is {effect}; allowed: above 0 points")
    if deviation < 0:
        raise ValueError(f"deviation is {deviation}; allowed: 0 points or more")
    return next((n for n in range(2, MAX_SEEDS + 1) if _power(effect, deviation, n, error) >= POWER), None)


def _power(effect: float, deviation: float, n: int, error: float) -> float:
    if deviation == 0:
        return 1.0
    shift = effect / (deviation / math.sqrt(n))
    critical = float(-special.stdtrit(n - 1, error / 2))
    if shift > critical + 38:  # beyond the range of the non-central t: certain
        return 1.0
    return float(1 - special.nctdtr(n - 1, shift, critical) + special.nctdtr(n - 1, shift, -critical))
