"""The feasible Pareto set: arms that meet every constraint and that no other such arm dominates. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Objective = tuple[str, str]
"""Metric, and `maximize` or `minimize`."""


def pareto_set(means: Mapping[str, Mapping[str, float]], objectives: Sequence[Objective]) -> tuple[str, ...]:
    """Return the arms that no other arm dominates, in their order.

    The comparison is by means, not by intervals: the set holds candidates, and neighbours may be equal within noise.

    Args:
        means: arm -> metric -> mean, of feasible arms only; arms without a value for every objective are left out.
        objectives: at least one.
    """
    signs = {metric: 1.0 if way == "maximize" else -1.0 for metric, way in objectives}
    points = {arm: tuple(sign * own[metric] for metric, sign in signs.items())
              for arm, own in means.items() if all(metric in own for metric in signs)}
    return tuple(arm for arm, point in points.items() if not any(_dominates(other, point) for other in points.values()))


def _dominates(a: Sequence[float], b: Sequence[float]) -> bool:
    return all(x >= y for x, y in zip(a, b, strict=True)) and any(x > y for x, y in zip(a, b, strict=True))
