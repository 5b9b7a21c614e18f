"""Mixtures as points of a simplex: coordinates without a redundant one, and samples around a prior within bounds.

- n shares that sum to 1 are n - 1 sticks, each 0 to 1: the part of the remainder that a share takes. Uniform sticks
  give uniform shares.
- `concentration` of the Dirichlet samples says how much the prior is trusted. Bounds keep samples where a mixture makes
  sense; caps keep them where no data set is repeated too often.
- A sample is a function of (seed, index), so samples can be computed in any order. Torch-free.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincinv

Bounds = Mapping[str, tuple[float, float]]
"""Share -> its smallest and its largest value, 0 to 1."""
TRIES = 256
"""Plain Dirichlet samples that are tried before the bounds count as tight."""
SWEEPS = 40
"""Rounds of the sampler within tight bounds; each round moves every share twice on average."""
TOLERANCE = 1e-9


def shares_of(sticks: Sequence[float]) -> list[float]:
    """Return the shares of these sticks by stick breaking.

    Stick i takes a part of what is left of length 1, such that uniform sticks are uniform over the simplex.

    Args:
        sticks: n - 1 numbers, each 0 to 1.

    Returns:
        n shares that sum to 1.

    Raises:
        ValueError: a stick is outside 0 to 1.
    """
    shares, left = [], 1.0
    for place, stick in enumerate(sticks):
        if not 0 <= stick <= 1:
            raise ValueError(f"stick {place} is {stick}; allowed: 0 to 1")
        part = left * (1 - (1 - stick) ** (1 / (len(sticks) - place)))
        shares.append(part)
        left = max(0.0, left - part)
    return [*shares, left]


def sticks_of(shares: Sequence[float]) -> list[float]:
    """Return the sticks of these shares, the inverse of `shares_of`. Where nothing is left, a stick is 0.

    Raises:
        ValueError: a share is negative, or they do not sum to 1.
    """
    if min(shares) < 0 or not math.isclose(sum(shares), 1, abs_tol=1e-6):
        raise ValueError(f"shares {list(shares)}; allowed: none negative, summing to 1")
    sticks, left = [], 1.0
    for place, share in enumerate(shares[:-1]):
        part = min(share / left, 1.0) if left > TOLERANCE else 0.0
        sticks.append(1 - (1 - part) ** (len(shares) - 1 - place))
        left -= share
    return sticks


def repetition_caps(sizes: Mapping[str, int], *, samples: int, most_passes: float) -> dict[str, tuple[float, float]]:
    """Return bounds under which no source is repeated more than `most_passes` times.

    Args:
        sizes: samples of each source; 0 means no end and no cap.
        samples: the number of samples that the stage draws.
        most_passes: how many times each sample may be seen, above 0.
    """
    if samples < 1 or most_passes <= 0:
        raise ValueError(f"{samples} samples, {most_passes} passes; allowed: at least 1, above 0")
    return {name: (0.0, min(1.0, most_passes * size / samples) if size else 1.0) for name, size in sizes.items()}


def sampled(prior: Mapping[str, float], *, concentration: float, bounds: Bounds | None = None, seed: int = 0,
            index: int = 0) -> dict[str, float]:
    """Return shares drawn from a Dirichlet distribution around a prior, truncated to bounds.

    Args:
        prior: the centre of the samples, each share above 0; only ratios count.
        concentration: sum of the Dirichlet's parameters, above 0. A share's standard deviation is about sqrt(share * (1
            - share) / (concentration + 1)).
        bounds: smallest and largest value of some shares.
        seed: identifies the sequence of samples.
        index: which sample of the sequence.

    Raises:
        ValueError: a prior is not positive, or no shares within the bounds sum to 1.
    """
    names, low, high = list(prior), *_limits(prior, bounds or {})
    if concentration <= 0 or min(prior.values()) <= 0:
        raise ValueError(f"prior {dict(prior)}, concentration {concentration}; allowed: above 0")
    parameters = np.array(list(prior.values())) / sum(prior.values()) * concentration
    random = np.random.default_rng([seed, index])
    found = random.dirichlet(parameters, size=TRIES)
    within = found[((found >= low) & (found <= high)).all(axis=1)]
    chosen = within[0] if len(within) else _within_tight_bounds(parameters, low, high, random)
    return dict(zip(names, map(float, chosen), strict=True))


def _limits(prior: Mapping[str, float], bounds: Bounds) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    unknown = bounds.keys() - prior.keys()
    if unknown:
        raise ValueError(f"bounds for {', '.join(sorted(unknown))}, which the prior does not have")
    low, high = (np.array([bounds.get(name, (0.0, 1.0))[side] for name in prior]) for side in (0, 1))
    if (low < 0).any() or (low > high).any() or low.sum() > 1 + TOLERANCE or high.sum() < 1 - TOLERANCE:
        raise ValueError(
            f"bounds {dict(bounds)}; allowed: 0 <= low <= high <= 1, lows that sum to at most 1, highs to at least 1"
        )
    return low, high


def _within_tight_bounds(parameters: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64],
                         random: np.random.Generator) -> NDArray[np.float64]:
    """Draw from the truncated Dirichlet by Gibbs sampling over pairs.

    Of two shares with a fixed sum, the first one's part of the sum is Beta distributed, so it can be drawn exactly
    within its bounds.
    """
    shares = _feasible(parameters / parameters.sum(), low, high)
    for _ in range(SWEEPS * len(shares)):
        a, b = random.choice(len(shares), size=2, replace=False)
        together = shares[a] + shares[b]
        least, most = max(low[a], together - high[b]), min(high[a], together - low[b])
        if together > TOLERANCE and most - least > TOLERANCE:
            law = float(parameters[a]), float(parameters[b])
            part = float(
                betaincinv(*law, random.uniform(betainc(*law, least / together), betainc(*law, most / together)))
            )
            shares[a] = min(max(part * together, least), most) if math.isfinite(part) else least
            shares[b] = together - shares[a]
    return shares


def _feasible(prior: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return shares within the bounds that sum to 1, near the prior.

    What clipping takes from some shares is distributed over the room that the others have.
    """
    shares = prior.clip(low, high)
    missing = 1 - shares.sum()
    room = high - shares if missing > 0 else shares - low
    moved: NDArray[np.float64] = shares + (missing * room / room.sum() if room.sum() > TOLERANCE else 0)
    return moved
