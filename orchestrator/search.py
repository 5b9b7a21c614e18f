"""Propose the next arm of a search. The only door to Optuna.

- Stateless: each call rebuilds an in-memory study from the ledger's record; no Optuna database can go stale.
- The same record and seed give the same proposal. The record's length is mixed into the seed, since a sampler that is
  made anew for each arm would otherwise repeat its first draw.
- Arms in flight are part of the record without values: samplers keep away from them.
- A simplex of n shares is n - 1 stick-breaking variables (inverse CDF of a Beta): uniform over the simplex, and no
  redundant dimension. A grid range draws n_max, then n_min among those at most n_max. Both can be read back from levels.
- Levels are rounded to three digits, so that they can be written and read by people.
- Known samplers but GP import no torch; `needs_torch` says where a proposal must be made.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from orchestrator.constraint import Constraint, parse_constraint
from orchestrator.study import Objective, Parameter, Search, Study

DRAWS = 64
"""Draws until a proposal is new; a small space may hold nothing new any more."""
SHARE_DIGITS = 3
Levels = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One arm of the record."""

    levels: Levels
    """Dotted path -> value."""
    values: tuple[float, ...] | None
    """One mean a objective, in their order; None while the arm is in flight, or if it will never have scores."""
    violations: tuple[float, ...] = ()
    """Points by which each constraint is missed; 0 or less is met."""


def observe(study: Study, levels: Levels, means: Mapping[str, float], baseline: Mapping[str, float]) -> Observed:
    """Turn an arm's means into what a search learns from it.

    Args:
        study: a study with `search`.
        levels: of the arm.
        means: metric -> mean of the arm over its seeds.
        baseline: metric -> mean of the baseline; relative constraints count as met while it has no scores.

    Returns:
        without values if any objective is missing.
    """
    goals = _objectives(study)
    violations = []
    for each in _constraints(study):
        if each.metric in means and (each.reference is None or each.reference in baseline):
            gap = each.threshold(baseline) - means[each.metric]
            violations.append(gap if each.op == ">=" else -gap)
    known = all(name in means for name, _ in goals)
    return Observed(levels=levels, values=tuple(means[name] for name, _ in goals) if known else None,
                    violations=tuple(violations) if known else ())


def needs_torch(search: Search) -> bool:
    """Whether the sampler imports torch: its proposals must be made in a worker."""
    return search.sampler == "gp"


def propose(search: Search, history: Sequence[Observed], *, seed: int) -> dict[str, Any] | None:
    """Return the levels of the next arm.

    Args:
        search: sampler, parameters, objectives.
        history: all arms so far in the order of their proposal, baseline included; those that the parameters cannot
            express (a level outside its range) are only kept from being proposed again.
        seed: of the search.

    Returns:
        dotted path -> value; None if `DRAWS` draws gave nothing new.

    Raises:
        ValueError: a value is not finite (a sampler would chase it for ever), or their number is wrong.
    """
    directions = _directions(search.objectives)
    _check(history, len(directions))
    space = {f"{path}|{name}": distribution for path, parameter in search.parameters.items()
             for name, distribution in _distributions(parameter).items()}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = _sampler(search.sampler, seed, len(history))
        study = optuna.create_study(directions=directions, sampler=sampler)
        study.add_trials(list(_record(search, history, space)))
        if search.sampler == "qmc":
            _skip_points(study, space, len(history))
        known = [_flat(each.levels) for each in history]
        for _ in range(DRAWS):
            levels = _levels(search.parameters, study.ask(fixed_distributions=space).params)
            if not any(_is_same(levels, other) for other in known):
                return levels
    return None


# ---- the record ----------------------------------------------------------------------------------------------------


def _objectives(study: Study) -> list[tuple[str, str]]:
    goals = study.search.objectives if study.search else ()
    named = [(each.maximize or each.minimize or "", "maximize" if each.maximize else "minimize") for each in goals]
    return named or [(study.select.maximize, "maximize")]


def _constraints(study: Study) -> tuple[Constraint, ...]:
    own = study.search.constraints if study.search else ()
    return tuple(parse_constraint(text) for text in own or study.select.subject_to)


def _directions(objectives: Sequence[Objective]) -> list[str]:
    return ["maximize" if each.maximize else "minimize" for each in objectives] or ["maximize"]


def _check(history: Iterable[Observed], num_objectives: int) -> None:
    for each in history:
        if each.values is not None and len(each.values) != num_objectives:
            raise ValueError(f"arm {dict(each.levels)} has {len(each.values)} values; allowed: {num_objectives}")
        for value in (*(each.values or ()), *each.violations):
            if not math.isfinite(value):
                raise ValueError(f"arm {dict(each.levels)} has the score {value}; allowed: a finite number")


def _record(search: Search, history: Iterable[Observed], space: Mapping[str, BaseDistribution]) -> Iterable[FrozenTrial]:
    generation_of = _Generations()
    for each in history:
        params = _params(search.parameters, _flat(each.levels))
        if params is None:
            continue
        if each.values is None:
            yield optuna.trial.create_trial(state=TrialState.RUNNING, params=params, distributions=dict(space))
            continue
        yield optuna.trial.create_trial(
            values=each.values, params=params, distributions=dict(space), system_attrs=generation_of.next(),
            constraints={f"constraint {i}": value for i, value in enumerate(each.violations)})


class _Generations:
    """Number finished arms by generations of NSGA-II, which Optuna would have kept in its own storage."""

    SIZE = 8
    """Arms of a generation: Optuna's 50 would make a search of tens of arms a random one."""

    def __init__(self) -> None:
        self._count = 0

    def next(self) -> dict[str, int]:
        """Return the system attribute of the next finished arm."""
        self._count += 1
        return {"NSGAIISampler:generation": (self._count - 1) // self.SIZE}


def _sampler(name: str, seed: int, length: int) -> BaseSampler:
    own = int.from_bytes(hashlib.sha256(f"{seed}:{length}".encode()).digest()[:4])
    if name == "gp":
        return optuna.samplers.GPSampler(seed=own, n_startup_trials=5)
    if name == "nsga2":
        return optuna.samplers.NSGAIISampler(seed=own, population_size=_Generations.SIZE)
    if name == "qmc":
        return optuna.samplers.QMCSampler(seed=seed, scramble=True, warn_independent_sampling=False)
    if name == "random":
        return optuna.samplers.RandomSampler(seed=own)
    return optuna.samplers.TPESampler(seed=own, n_startup_trials=5)


def _skip_points(study: optuna.Study, space: Mapping[str, BaseDistribution], number: int) -> None:
    """Advance a quasi-random sequence past the points of earlier arms.

    Optuna counts them in its storage, and learns the space from the first finished trial: both are made up here.
    """
    middle = {name: _middle(distribution) for name, distribution in space.items()}
    first = optuna.trial.create_trial(values=[0.0] * len(study.directions), params=middle, distributions=dict(space))
    study.add_trial(first)
    for _ in range(number):
        study.ask(fixed_distributions=dict(space))


def _middle(distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[0]
    return distribution.low


# ---- between levels and Optuna's parameters ------------------------------------------------------------------------


def _distributions(parameter: Parameter) -> dict[str, BaseDistribution]:
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


def _levels(parameters: Mapping[str, Parameter], params: Mapping[str, Any]) -> dict[str, Any]:
    levels: dict[str, Any] = {}
    for path, parameter in parameters.items():
        own = {name.partition("|")[2]: value for name, value in params.items() if name.partition("|")[0] == path}
        levels.update(_flat({path: _value(parameter, own)}))
    return levels


def _value(parameter: Parameter, own: Mapping[str, Any]) -> Any:
    bounds = parameter.uniform or parameter.log_float
    if bounds:
        return min(max(float(f"{own['value']:.3g}"), bounds[0]), bounds[1])
    if parameter.integer:
        return int(own["value"])
    if parameter.simplex:
        sticks = [own[f"stick {i}"] for i in range(len(parameter.simplex) - 1)]
        return dict(zip(parameter.simplex, _shares(sticks), strict=True))
    if parameter.grid_range:
        low, high = parameter.grid_range.n_min[0], min(parameter.grid_range.n_min[1], own["n_max"])
        return [min(high, low + int(own["place"] * (high - low + 1))), own["n_max"]]
    return (parameter.choice or ())[own["value"]]


def _shares(sticks: Sequence[float]) -> list[float]:
    """Break a stick of length 1: each variable takes a part of what is left, uniformly over the simplex."""
    shares, left = [], 1.0
    for i, u in enumerate(sticks):
        part = round(left * (1 - (1 - u) ** (1 / (len(sticks) - i))), SHARE_DIGITS)
        shares.append(part)
        left = max(0.0, round(left - part, SHARE_DIGITS))
    return [*shares, left]


def _params(parameters: Mapping[str, Parameter], levels: Levels) -> dict[str, Any] | None:
    """Read Optuna's parameters back from levels; None if they cannot be expressed."""
    params: dict[str, Any] = {}
    for path, parameter in parameters.items():
        own = _read(parameter, path, levels)
        if own is None:
            return None
        params.update({f"{path}|{name}": value for name, value in own.items()})
    return params


def _read(parameter: Parameter, path: str, levels: Levels) -> dict[str, Any] | None:
    if parameter.choice is not None:
        found = [i for i, value in enumerate(parameter.choice) if _is_within(_flat({path: value}), levels)]
        return {"value": found[0]} if found else None
    if parameter.simplex:
        return _sticks([levels.get(f"{path}.{name}") for name in parameter.simplex])
    value = levels.get(path)
    if parameter.grid_range:
        low, high = parameter.grid_range.n_min, parameter.grid_range.n_max
        if not isinstance(value, list | tuple) or not low[0] <= value[0] <= low[1] or not high[0] <= value[1] <= high[1]:
            return None
        width = min(low[1], value[1]) - low[0] + 1
        return {"n_max": value[1], "place": (value[0] - low[0] + 0.5) / width}
    bounds = parameter.uniform or parameter.log_float or parameter.integer or (0, 0)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return {"value": value} if is_number and bounds[0] <= value <= bounds[1] else None  # type: ignore[operator]


def _sticks(shares: Sequence[float | None]) -> dict[str, float] | None:
    sticks, left = {}, 1.0
    for i, share in enumerate(shares[:-1]):
        if share is None:
            return None
        part = min(1.0, share / left) if left > 0 else 0.0
        sticks[f"stick {i}"] = min(1.0, max(0.0, 1 - (1 - part) ** (len(shares) - 1 - i)))
        left -= share
    return sticks


def _flat(levels: Levels) -> dict[str, Any]:
    """Write a mapping as value as the paths below it."""
    flat: dict[str, Any] = {}
    for path, value in levels.items():
        if isinstance(value, Mapping):
            flat.update(_flat({f"{path}.{name}": item for name, item in value.items()}))
        else:
            flat[path] = list(value) if isinstance(value, tuple) else value
    return flat


def _is_within(part: Levels, levels: Levels) -> bool:
    return all(path in levels and levels[path] == value for path, value in part.items())


def _is_same(levels: Levels, other: Levels) -> bool:
    return levels.keys() == other.keys() and _is_within(levels, other)
