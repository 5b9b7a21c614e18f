"""Convert between an arm's levels and Optuna's parameters, in both directions.

- A simplex of n shares becomes the n - 1 sticks of `model.data.simplex`: uniform, without a redundant dimension. A grid
  range draws n_max first, then n_min among the values up to n_max. Both can be read back from levels.
- Levels are rounded to three digits, so that people can write and read them. A range that is narrow compared to its
  ends gets as many digits as it takes to distinguish a hundred levels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from model.data.simplex import shares_of, sticks_of
from orchestrator.study.study import Parameter

SHARE_DIGITS = 3
LEVEL_DIGITS = 3
"""Significant digits of a level; more where the range is narrow."""
Levels = Mapping[str, Any]


def distributions(parameter: Parameter) -> dict[str, BaseDistribution]:
    """Return a parameter's Optuna distributions, by variable name."""
    if parameter.uniform:
        return {"value": FloatDistribution(*parameter.uniform)}
    if parameter.log_float:
        return {"value": FloatDistribution(*parameter.log_float, log=True)}
    if parameter.integer:
        return {"value": IntDistribution(*parameter.integer)}
    if parameter.simplex:
        return {f"stick {i}": FloatDistribution(0.0, 1.0) for i in range(len(parameter.simplex) - 1)}
    if parameter.grid_range:
        return {"n_max": IntDistribution(*parameter.grid_range.n_max), "place": FloatDistribution(0.0, 1.0)}
    return {"value": CategoricalDistribution(tuple(range(len(parameter.choice or ()))))}


def levels_of(parameters: Mapping[str, Parameter], params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the levels for these values of Optuna's parameters."""
    levels: dict[str, Any] = {}
    for path, parameter in parameters.items():
        own = {name.partition("|")[2]: value for name, value in params.items() if name.partition("|")[0] == path}
        levels.update(flat({path: _value(parameter, own)}))
    return levels


def _value(parameter: Parameter, own: Mapping[str, Any]) -> Any:
    bounds = parameter.uniform or parameter.log_float
    if bounds:
        return min(max(float(f"{own['value']:.{_digits(own['value'], *bounds)}g}"), bounds[0]), bounds[1])
    if parameter.integer:
        return int(own["value"])
    if parameter.simplex:
        sticks = [own[f"stick {i}"] for i in range(len(parameter.simplex) - 1)]
        return dict(zip(parameter.simplex, _shares(sticks), strict=True))
    if parameter.grid_range:
        low, high = parameter.grid_range.n_min[0], min(parameter.grid_range.n_min[1], own["n_max"])
        return [min(high, low + int(own["place"] * (high - low + 1))), own["n_max"]]
    return (parameter.choice or ())[own["value"]]


def _digits(value: float, low: float, high: float) -> int:
    """Return the significant digits of a level: enough for the first three digits of the range's width."""
    return max(LEVEL_DIGITS, _exponent(value) - _exponent(high - low) + LEVEL_DIGITS) if value else LEVEL_DIGITS


def _exponent(value: float) -> int:
    return math.floor(math.log10(abs(value)))


def _shares(sticks: Sequence[float]) -> list[float]:
    """Return the mixture's shares for these sticks, rounded so that they still sum to 1."""
    shares, left = [], 1.0
    for share in shares_of(sticks)[:-1]:
        part = min(round(share, SHARE_DIGITS), left)
        shares.append(part)
        left = max(0.0, round(left - part, SHARE_DIGITS))
    return [*shares, left]


def params_of(parameters: Mapping[str, Parameter], levels: Levels) -> dict[str, Any] | None:
    """Return Optuna's parameters for these levels, None if the parameters cannot express them."""
    params: dict[str, Any] = {}
    for path, parameter in parameters.items():
        own = _read(parameter, path, levels)
        if own is None:
            return None
        params.update({f"{path}|{name}": value for name, value in own.items()})
    return params


def _read(parameter: Parameter, path: str, levels: Levels) -> dict[str, Any] | None:
    if parameter.choice is not None:
        found = [i for i, value in enumerate(parameter.choice) if _is_within(flat({path: value}), levels)]
        return {"value": found[0]} if found else None
    if parameter.simplex:
        return _sticks([levels.get(f"{path}.{name}") for name in parameter.simplex])
    value = levels.get(path)
    if parameter.grid_range:
        low, high = parameter.grid_range.n_min, parameter.grid_range.n_max
        if (
            not isinstance(value, list | tuple)
            or not low[0] <= value[0] <= low[1]
            or not high[0] <= value[1] <= high[1]
        ):
            return None
        width = min(low[1], value[1]) - low[0] + 1
        return {"n_max": value[1], "place": (value[0] - low[0] + 0.5) / width}
    bounds = parameter.uniform or parameter.log_float or parameter.integer or (0, 0)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return {"value": value} if is_number and bounds[0] <= value <= bounds[1] else None  # type: ignore[operator]


def _sticks(shares: Sequence[float | None]) -> dict[str, float] | None:
    known = [share for share in shares if share is not None]
    if len(known) < len(shares) or min(known) < 0 or not math.isclose(sum(known), 1, abs_tol=1e-6):
        return None
    return {f"stick {i}": stick for i, stick in enumerate(sticks_of(known))}


def flat(levels: Levels) -> dict[str, Any]:
    """Replace each mapping among the values by the paths below it."""
    leaves: dict[str, Any] = {}
    for path, value in levels.items():
        if isinstance(value, Mapping):
            leaves.update(flat({f"{path}.{name}": item for name, item in value.items()}))
        else:
            leaves[path] = list(value) if isinstance(value, tuple) else value
    return leaves


def _is_within(part: Levels, levels: Levels) -> bool:
    return all(path in levels and levels[path] == value for path, value in part.items())


def is_same(levels: Levels, other: Levels) -> bool:
    """Return whether two arms have the same levels."""
    return levels.keys() == other.keys() and _is_within(levels, other)
