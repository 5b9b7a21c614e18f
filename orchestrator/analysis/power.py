"""How many seeds a paired difference needs: the power of its t-test."""

from __future__ import annotations

import math

from scipy import special

POWER = 0.80
MAX_SEEDS = 1000
"""The largest number of seeds that is tried."""


def seeds_to_settle(effect: float, *, deviation: float, error: float = 0.05) -> int | None:
    """Return the seeds that two arms need so that their paired t-test shows the effect with 80 % power.

    Args:
        effect: smallest difference of interest, in points; above 0.
        deviation: standard deviation of the difference between seeds, in points.
        error: two-sided level of the test; with several looks the level of the last one.

    Returns:
        The number of seeds, 2 or more; None if it exceeds `MAX_SEEDS`.
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
    if shift > critical + 38:  # beyond the range of the non-central t; the power is 1
        return 1.0
    return float(1 - special.nctdtr(n - 1, shift, critical) + special.nctdtr(n - 1, shift, -critical))
