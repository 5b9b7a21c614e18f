"""Propose the next arm of a search with an Optuna sampler. Only this module and `space` import Optuna.

- Stateless: each call rebuilds an in-memory Optuna study from the history in the ledger, so no Optuna database can
  become stale.
- The same history and seed give the same proposal. The length of the history is mixed into the seed: a sampler is
  created anew for each arm and would otherwise repeat its first draw.
- Arms in flight are part of the history without values; samplers keep away from them.
- An arm that was stopped at a rung is a pruned optuna_trial with its score at that rung. TPE learns from it; other
  samplers only avoid it.
- An arm that violates a constraint before training is passed as measured and infeasible, so every sampler that knows
  constraints keeps away from similar arms. It has no scores, so the worst scores of the others stand in; feasible arms
  beat it in any case.
- The GP sampler learns how much scores vary from seed to seed: it gets one observation for each seed of an arm, less
  what that seed adds to all arms, instead of a mean that looks certain. So an arm that was lucky once does not draw the
  search to it, and one with more seeds weighs more.
- Of the samplers, only GP imports torch; `needs_torch` says which proposals must be computed in a worker.
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
"""The most draws to find an arm that is new; a small space may hold no new one any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedTrial:
    """One arm of the history, as a sampler sees it."""

    levels: Levels
    """Dotted path -> value."""
    values: tuple[float, ...] | None
    """One mean for each objective, in their order. None while the arm is in flight, or if it will never have scores."""
    violations: tuple[float, ...] = ()
    """By how many points each constraint is violated; 0 or less means that it is met."""
    stopped_at: int | None = None
    """The rung at which the arm was stopped; `values` are then those at that rung."""
    by_seed: Mapping[int, tuple[float, ...]] = field(default_factory=dict)
    """Seed -> the values of that seed alone, in the order of `values`; none where they are not known."""
    is_refused: bool = False
    """Whether the arm violated a constraint before training: it has `violations`, and will never have values."""


def observe(study: Study, levels: Levels, means: Mapping[str, float], baseline: Mapping[str, float],
            seeds: Mapping[int, Mapping[str, float]] | None = None) -> ObservedTrial:
    """Turn an arm's means into what a search learns from it.

    Args:
        study: a study with `search`.
        levels: the arm's levels.
        means: metric -> the arm's mean over its seeds.
        baseline: metric -> the baseline's mean. Relative constraints count as met while it has no scores.
        seeds: seed -> metric -> score, of the same arm; None where only the means are known.

    Returns:
        The observed arm; without values if any objective is missing.
    """
    goals = study.objectives
    known = all(name in means for name, _ in goals)
    by_seed = {seed: tuple(scores[name] for name, _ in goals) for seed, scores in (seeds or {}).items()
               if all(name in scores for name, _ in goals)}
    return ObservedTrial(levels=levels, values=tuple(means[name] for name, _ in goals) if known else None,
                         violations=violations(study, means, baseline) if known else (), by_seed=by_seed if known else {})


def violations(study: Study, means: Mapping[str, float], baseline: Mapping[str, float]) -> tuple[float, ...]:
    """Return by how much each constraint is violated; 0 or less means that it is met.

    A constraint that cannot be judged yet counts as met (0). It keeps its place, because samplers need equally many
    numbers of every arm.
    """
    return tuple(each.missed_by(means[each.metric], baseline) if each.is_known(means, baseline) else 0.0
                 for each in constraints(study))


def needs_torch(search: Search) -> bool:
    """Return whether the sampler imports torch, so that its proposals must be computed in a worker."""
    return search.sampler == "gp"


def propose_from(search: str, history: Sequence[ObservedTrial], seed: int) -> dict[str, Any] | None:
    """Call `propose` with a search given as JSON, for another process."""
    return propose(Search.model_validate_json(search), history, seed=seed)


def propose(search: Search, history: Sequence[ObservedTrial], *, seed: int) -> dict[str, Any] | None:
    """Return the levels of the next arm.

    Args:
        search: sampler, parameters and objectives.
        history: all arms so far in the order of their proposal, including the baseline. An arm that the parameters
            cannot express (a level outside its range) is only excluded from being proposed again.
        seed: the search's seed.

    Returns:
        Dotted path -> value; None if `DRAWS` draws gave nothing new.

    Raises:
        ValueError: a value is not finite (a sampler would follow it for ever), or an arm has the wrong number of
            values.
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


# ---- the history as optuna_trials ----------------------------------------------------------------------------------


def constraints(study: Study) -> tuple[Constraint, ...]:
    """Return the constraints that an arm must meet: the search's own, else those of `select`."""
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
    """Return a pruned optuna_trial. Optuna takes intermediate values only with a single objective."""
    known = {each.stopped_at or 0: each.values[0]} if each.values and len(each.values) == 1 else {}
    return optuna.trial.create_trial(state=TrialState.PRUNED, params=params, distributions=dict(space),
                                     intermediate_values=known, constraints=_constraints_of(each))


def _worst(search: Search, history: Iterable[ObservedTrial]) -> tuple[float, ...]:
    """Return the worst value of each objective so far, 0 if there are none."""
    ways = _directions(search.objectives)
    known = [each.values for each in history if each.values is not None] or [(0.0,) * len(ways)]
    return tuple(
        (min if way == "maximize" else max)(column) for way, column in zip(ways, zip(*known, strict=True), strict=True)
    )


def _constraints_of(each: ObservedTrial) -> dict[str, float]:
    return {f"constraint {i}": value for i, value in enumerate(each.violations)}


class _Generations:
    """Number the finished arms by generations of NSGA-II and NSGA-III, as Optuna would do in its own storage."""

    SIZE = 8
    """Arms a generation. With Optuna's 50, a search of some tens of arms would be random."""

    def __init__(self) -> None:
        self._count = 0

    def next(self) -> dict[str, int]:
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

    Optuna counts them in its storage, and takes the space from the first finished trial. Both are imitated here.
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
