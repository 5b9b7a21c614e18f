"""Design matrix of the arm + seed model: indicator columns, the contrasts they can estimate, degrees of freedom.

It depends only on which arm has which seeds, not on scores, so all metrics of a study share it.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]
Pattern = tuple[tuple[str, tuple[int, ...]], ...]
"""Each arm with its seeds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """The design matrix and what follows from it."""

    pattern: Pattern
    design: Array
    """One row a trial; columns of arms, then of seeds."""
    inverse: Array
    """Inverse of the normal matrix."""
    components: dict[str, int]
    """Arm -> number of its component: arms are in one component if common seeds link them."""
    df: int
    """Residual degrees of freedom."""


@functools.lru_cache(maxsize=16)
def layout_of(pattern: Pattern) -> Design:
    """Return the design of the arm + seed model. Every arm has at least one seed."""
    components = _components(pattern)
    design = _design(pattern, components)
    inverse = np.asarray(np.linalg.inv(design.T @ design), dtype=np.float64)
    return Design(
        pattern=pattern, design=design, inverse=inverse, components=components, df=design.shape[0] - design.shape[1]
    )


def _components(pattern: Pattern) -> dict[str, int]:
    """Number the components: groups of arms that are linked by common seeds."""
    parent = {arm: arm for arm, _ in pattern}

    def root(arm: str) -> str:
        return arm if parent[arm] == arm else root(parent[arm])

    first_with: dict[int, str] = {}
    for arm, seeds in pattern:
        for seed in seeds:
            parent[root(arm)] = root(first_with.setdefault(seed, arm))
    roots = {arm: root(arm) for arm in parent}
    numbers = {name: i for i, name in enumerate(dict.fromkeys(roots.values()))}
    return {arm: numbers[name] for arm, name in roots.items()}


def _design(pattern: Pattern, components: Mapping[str, int]) -> Array:
    """Build indicator columns of arms, and seed columns that sum to 0 within each component.

    So an arm's coefficient is its mean over the seeds of its component, and every coefficient can be estimated.
    """
    group = {seed: components[arm] for arm, seeds in pattern for seed in seeds}
    first = {group[seed]: seed for seed in sorted(group, reverse=True)}
    column = {
        seed: len(pattern) + j for j, seed in enumerate(seed for seed in sorted(group) if first[group[seed]] != seed)
    }
    others = {number: [column[seed] for seed in column if group[seed] == number] for number in first}
    design = np.zeros((sum(len(seeds) for _, seeds in pattern), len(pattern) + len(column)))
    cells = ((i, seed) for i, (_, seeds) in enumerate(pattern) for seed in seeds)
    for row, (i, seed) in enumerate(cells):
        design[row, i] = 1.0
        if seed in column:
            design[row, column[seed]] = 1.0
        else:
            design[row, others[group[seed]]] = -1.0
    return design
