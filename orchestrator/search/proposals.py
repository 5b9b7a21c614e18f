"""Propose the next arm of a search. With `space`, the only door to Optuna.

- Stateless: each call rebuilds an in-memory study from the ledger's record; no Optuna database can go stale.
- The same record and seed give the same proposal. The record's length is mixed into the seed, since a sampler that is
  made anew for each arm would otherwise repeat its first draw.
- Arms in flight are part of the record without values: samplers keep away from them.
- An arm that a rung stopped is a pruned trial with its score at that rung: TPE learns from it, others only avoid it.
- An arm that misses a constraint before any training is one that was measured and is infeasible: every sampler that
  knows constraints keeps away from its like. It has no scores, so the worst that others have stand in; feasible arms
  beat it anyway.
- The GP sampler learns how much scores vary from seed to seed: it gets one observation for each seed of an arm, less
  what that seed adds to all arms, instead of a mean that looks certain. So an arm that was lucky once does not draw the
  search to it, and one with more seeds weighs more.
- Known samplers but GP import no torch; `needs_torch` says where a proposal must be made.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from orchestrator.search.space import Levels, distributions, flat, is_same, levels_of, params_of
from orchestrator.study.constraint import Constraint, parse_constraint
from orchestrator.study.study import Objective, Search, Study

DRAWS = 64
"""Draws until a proposal is new; a small space may hold nothing new any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedTrial:
    """One arm of the record."""

    levels: Levels
    """Dotted path -> value."""
    values: tuple[float, ...] | None
    """One mean a objective, in their order; None while the arm is in flight, or if it will never have scores."""
    violations: tuple[float, ...] = ()
    """Points by which each constraint is missed; 0 or less is met."""
    stopped_at: int | None = None
    """Rung at which the arm was given up; `values` are then those of that rung."""
    by_seed: Mapping[int, tuple[float, ...]] = field(default_factory=dict)
    """Seed -> the values of that seed alone, in the order of `values`; none where they are not known."""
    is_refused: bool = False
    """Whether it missed a constraint before anything was trained: it has `violations` and will never have values."""


def observe(study: Study, levels: Levels, means: Mapping[str, float], baseline: Mapping[str, float],
            seeds: Mapping[int, Mapping[str, float]] | None = None) -> ObservedTrial:
    """Turn an arm's means into what a search learns from it.

    Args:
        study: a study with `search`.
        levels: of the arm.
        means: metric -> mean of the arm over its seeds.
        baseline: metric -> mean of the baseline; relative constraints count as met while it has no scores.
        seeds: seed -> metric -> score, of the same arm; None where only the means are known.

    Returns:
        without values if any objective is missing.
    """
    goals = study.objectives
    known = all(name in means for name, _ in goals)
    by_seed = {seed: tuple(scores[name] for name, _ in goals) for seed, scores in (seeds or {}).items()
               if all(name in scores for name, _ in goals)}
    return ObservedTrial(levels=levels, values=tuple(means[name] for name, _ in goals) if known else None,
                         violations=violations(study, means, baseline) if known else (), by_seed=by_seed if known else {})


def violations(study: Study, means: Mapping[str, float], baseline: Mapping[str, float]) -> tuple[float, ...]:
    """Return by how much each constraint is missed, 0 or less if it is met.

    One that cannot be judged yet counts as met (0): it keeps its place, since samplers want as many numbers of every
    arm.
    """
    return tuple(each.missed_by(means[each.metric], baseline) if each.is_known(means, baseline) else 0.0
                 for each in constraints(study))


def needs_torch(search: Search) -> bool:
    """Whether the sampler imports torch: its proposals must be made in a worker."""
    return search.sampler == "gp"


def propose_from(search: str, history: Sequence[ObservedTrial], seed: int) -> dict[str, Any] | None:
    """Propose as `propose` does, from a search as JSON: what another process is asked."""
    return propose(Search.model_validate_json(search), history, seed=seed)


def propose(search: Search, history: Sequence[ObservedTrial], *, seed: int) -> dict[str, Any] | None:
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
             for name, distribution in distributions(parameter).items()}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = _sampler(search.sampler, seed, len(history))
        study = optuna.create_study(directions=directions, sampler=sampler)
        study.add_trials(list(_record(search, history, space)))
        if search.sampler == "qmc":
            _skip_points(study, space, len(history))
        known = [flat(each.levels) for each in history]
        for _ in range(DRAWS):
            levels = levels_of(search.parameters, study.ask(fixed_distributions=space).params)
            if not any(is_same(levels, other) for other in known):
                return levels
    return None


# ---- the record ----------------------------------------------------------------------------------------------------


def constraints(study: Study) -> tuple[Constraint, ...]:
    """Return what an arm must meet: the search's own constraints, else those of `select`."""
    own = study.search.constraints if study.search else ()
    return tuple(parse_constraint(text) for text in own or study.select.subject_to)


def _directions(objectives: Sequence[Objective]) -> list[str]:
    return ["maximize" if each.maximize else "minimize" for each in objectives] or ["maximize"]


def _check(history: Iterable[ObservedTrial], num_objectives: int) -> None:
    for each in history:
        if each.values is not None and len(each.values) != num_objectives:
            raise ValueError(f"arm {dict(each.levels)} has {len(each.values)} values; allowed: {num_objectives}")
        for value in (*(each.values or ()), *each.violations):
            if not math.isfinite(value):
                raise ValueError(f"arm {dict(each.levels)} has the score {value}; allowed: a finite number")


def _record(
    search: Search, history: Sequence[ObservedTrial], space: Mapping[str, BaseDistribution]
) -> Iterable[FrozenTrial]:
    generation_of, worst = _Generations(), _worst(search, history)
    repeats = _repeats(history) if search.sampler == "gp" else {}
    for each in history:
        params = params_of(search.parameters, flat(each.levels))
        if params is None:
            continue
        if each.stopped_at is not None:
            yield _stopped(each, params, space)
            continue
        if each.values is None and not each.is_refused:
            yield optuna.trial.create_trial(state=TrialState.RUNNING, params=params, distributions=dict(space))
            continue
        for values in repeats.get(id(each)) or [each.values or worst]:
            yield optuna.trial.create_trial(
                values=values, params=params, distributions=dict(space), system_attrs=generation_of.next(),
                constraints=_constraints_of(each))


def _repeats(history: Sequence[ObservedTrial]) -> dict[int, list[tuple[float, ...]]]:
    """Return the observations of each arm with two seeds or more, by the arm's place in memory: each seed's values, less its effect.

    All arms share their seeds, so a seed's effect is the mean of how far its values lie from their arms' means.
    """
    known = [each for each in history if each.values is not None and len(each.by_seed) > 1]
    off: dict[int, list[list[float]]] = {}
    for each in known:
        for seed, values in each.by_seed.items():
            off.setdefault(seed, []).append([a - b for a, b in zip(values, each.values or (), strict=True)])
    effect = {seed: [math.fsum(column) / len(column) for column in zip(*rows, strict=True)] for seed, rows in off.items()}
    return {id(each): [tuple(a - b for a, b in zip(values, effect[seed], strict=True)) for seed, values in each.by_seed.items()]
            for each in known}


def _stopped(each: ObservedTrial, params: dict[str, Any], space: Mapping[str, BaseDistribution]) -> FrozenTrial:
    """Return a pruned trial; Optuna knows intermediate values of one objective only."""
    known = {each.stopped_at or 0: each.values[0]} if each.values and len(each.values) == 1 else {}
    return optuna.trial.create_trial(state=TrialState.PRUNED, params=params, distributions=dict(space),
                                     intermediate_values=known, constraints=_constraints_of(each))


def _worst(search: Search, history: Iterable[ObservedTrial]) -> tuple[float, ...]:
    """Return the worst value of each objective so far, 0 if there is none."""
    ways = _directions(search.objectives)
    known = [each.values for each in history if each.values is not None] or [(0.0,) * len(ways)]
    return tuple(
        (min if way == "maximize" else max)(column) for way, column in zip(ways, zip(*known, strict=True), strict=True)
    )


def _constraints_of(each: ObservedTrial) -> dict[str, float]:
    return {f"constraint {i}": value for i, value in enumerate(each.violations)}


class _Generations:
    """Number finished arms by generations of NSGA-II and NSGA-III, which Optuna would have kept in its own storage."""

    SIZE = 8
    """Arms of a generation: Optuna's 50 would make a search of tens of arms a random one."""

    def __init__(self) -> None:
        self._count = 0

    def next(self) -> dict[str, int]:
        """Return the system attribute of the next finished arm."""
        self._count += 1
        generation = (self._count - 1) // self.SIZE
        return {"NSGAIISampler:generation": generation, "NSGAIIISampler:generation": generation}


def _sampler(name: str, seed: int, length: int) -> BaseSampler:
    own = int.from_bytes(hashlib.sha256(f"{seed}:{length}".encode()).digest()[:4])
    if name == "gp":
        return optuna.samplers.GPSampler(seed=own, n_startup_trials=5)
    if name == "nsga2":
        return optuna.samplers.NSGAIISampler(seed=own, population_size=_Generations.SIZE)
    if name == "nsga3":
        return optuna.samplers.NSGAIIISampler(seed=own, population_size=_Generations.SIZE)
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
