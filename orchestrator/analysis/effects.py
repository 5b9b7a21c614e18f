"""Main effects and interactions of the factors of a `vary` product, each with an interval.

- A main effect is the change from a factor's first level to another one, averaged over the settings of all other
  factors at which both arms exist. So the effects of other factors do not enter it.
- An interaction of two factors is how much the second one changes the effect of the first: a difference of differences,
  averaged likewise. Where it is clearly not 0, main effects alone mislead, and arms must be compared one by one.
- Each is a contrast of arms, paired by seed, so its interval is as exact as that of a difference. All effects together
  are one family of Holm's correction.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.analysis import statistics
from orchestrator.analysis.statistics import Difference, Fit

Cells = Mapping[tuple[Any, ...], str]
"""Levels in the order of the factors -> arm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """The main effect of one factor, or the interaction of two."""

    factors: tuple[str, ...]
    """One path for a main effect, two for an interaction."""
    levels: tuple[Any, ...]
    """The level of each factor; the effect is relative to the factor's first level."""
    difference: Difference
    """The effect in points; Holm's correction is over all effects of the study."""
    num_settings: int
    """Number of settings of the other factors over which it is averaged."""


def effects(fitted: Fit, levels: Mapping[str, Mapping[str, Any]]) -> tuple[Effect, ...]:
    """Return all main effects, then all interactions of two factors.

    Args:
        fitted: scores of one metric.
        levels: arm -> factor's path -> level, in the order of the study; all arms have the same factors.

    Returns:
        The effects for which some setting of the other factors has all arms; none with fewer than two factors.
    """
    arms = {arm: own for arm, own in levels.items() if arm in fitted.means}
    factors = tuple(dict.fromkeys(path for own in arms.values() for path in own))
    if len(factors) < 2 or any(len(own) != len(factors) for own in arms.values()):
        return ()
    cells = {tuple(own[path] for path in factors): arm for arm, own in arms.items()}
    domains = [tuple(dict.fromkeys(cell[i] for cell in cells)) for i in range(len(factors))]
    wanted = [(places, chosen) for size in (1, 2) for places in itertools.combinations(range(len(factors)), size)
              for chosen in itertools.product(*(domains[i][1:] for i in places))]
    found = [(places, chosen, *_weights(cells, domains, places, chosen)) for places, chosen in wanted]
    found = [each for each in found if each[3]]
    sides = [(*_sides(factors, domains, places, chosen), weights) for places, chosen, weights, _ in found]
    tested = statistics.contrasts(fitted, sides)
    return tuple(Effect(factors=tuple(factors[i] for i in places), levels=chosen, difference=each, num_settings=num)
                 for (places, chosen, _, num), each in zip(found, tested, strict=True))


def _weights(cells: Cells, domains: Sequence[tuple[Any, ...]], places: tuple[int, ...],
             chosen: tuple[Any, ...]) -> tuple[dict[str, float], int]:
    """Return arm -> factor of an effect, and the number of settings over which it is averaged."""
    blocks = [block for block in _blocks(domains, places, chosen) if all(cell in cells for cell, _ in block)]
    return {cells[cell]: sign / len(blocks) for block in blocks for cell, sign in block}, len(blocks)


def _blocks(domains: Sequence[tuple[Any, ...]], places: tuple[int, ...],
            chosen: tuple[Any, ...]) -> Iterator[list[tuple[tuple[Any, ...], float]]]:
    """Yield, for each setting of the other factors, the cells that are compared there, each with its sign."""
    others = [(None,) if i in places else domain for i, domain in enumerate(domains)]
    for setting in itertools.product(*others):
        block = []
        for switches in itertools.product((False, True), repeat=len(places)):
            cell = list(setting)
            for i, level, is_on in zip(places, chosen, switches, strict=True):
                cell[i] = level if is_on else domains[i][0]
            block.append((tuple(cell), -1.0 if switches.count(False) % 2 else 1.0))
        yield block


def _sides(factors: Sequence[str], domains: Sequence[tuple[Any, ...]], places: tuple[int, ...],
           chosen: tuple[Any, ...]) -> tuple[str, str]:
    """Return readable names of the two sides of an effect; a factor is named by the last part of its path."""
    pairs = [tuple(f"{factors[i].rpartition('.')[2]}={level}" for level in (chosen_level, domains[i][0]))
             for i, chosen_level in zip(places, chosen, strict=True)]
    if len(pairs) == 1:
        return pairs[0][0], pairs[0][1]
    (first, base), (second, other) = pairs
    return f"{first} minus {base} at {second}", f"{first} minus {base} at {other}"
