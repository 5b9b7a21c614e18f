"""The arms of a study: the product of its factors, named rows, or the proposals of a search.

An arm has a name for people and a key, which is a hash of its levels, for records.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from model.config.fields import did_you_mean
from orchestrator.study.strict_yaml import Location
from orchestrator.study.study import Parameter, Study


@dataclass(frozen=True, slots=True)
class Arm:
    """An arm: one condition of a study."""

    key: str
    """A hash of the levels; it depends neither on the arm's name nor on its place in the file."""
    name: str
    levels: dict[str, Any]
    """Dotted path -> value as written in the study (symbolic levels stay symbolic)."""
    locations: dict[str, Location] = field(default_factory=dict, compare=False)
    """Dotted path -> location of the level in the study's file."""


def designed_arms(study: Study) -> tuple[Arm, ...]:
    """Return the arms in the order of the file; for a search, its baseline if it has one.

    Raises:
        StudyError: two arms have the same levels, a level is a mapping, or an arm sets a path twice.
    """
    if study.vary is not None:
        arms = _product(study, study.vary)
    elif study.arms is not None:
        arms = [_row(study, name, changes) for name, changes in study.arms.items()]
    else:
        arms = [named_arm(study.select.baseline, "baseline")] if isinstance(study.select.baseline, Mapping) else []
    _check_different(study, arms)
    return tuple(arms)


def named_arm(levels: Mapping[str, Any], name: str = "") -> Arm:
    """Return the arm with these levels; without a name it is named after its levels."""
    leaves = dict(_leaves(levels))
    return Arm(arm_key(leaves), name or level_text(leaves), leaves)


def baseline_of(study: Study, arms: Iterable[Arm]) -> Arm | None:
    """Return the arm that `select.baseline` describes by its name or its levels.

    Without a baseline it is None, or the first arm where the study declares no rule.

    Raises:
        StudyError: no arm fits, or several do.
    """
    baseline = study.select.baseline
    arms = tuple(arms)
    if baseline is None:
        return arms[0] if arms and study.select.maximize is None else None
    location: Location = ("select", "baseline")
    if isinstance(baseline, str):
        matching = [arm for arm in arms if arm.name == baseline]
        if not matching:
            raise study.error(location, f"no arm {baseline!r}", did_you_mean(baseline, (arm.name for arm in arms)))
        return matching[0]
    same = {(path, _normal(value)) for path, value in _leaves(baseline)}
    matching = [arm for arm in arms if same <= {(path, _normal(value)) for path, value in arm.levels.items()}]
    if len(matching) != 1:
        names = ", ".join(arm.name for arm in matching) or "none"
        raise study.error(location, f"fits {len(matching)} arms ({names}); allowed: levels of exactly one arm",
                          f"arms: {', '.join(arm.name for arm in arms[:10])}{', ...' if len(arms) > 10 else ''}")
    return matching[0]


def probes(study: Study) -> tuple[Arm, ...]:
    """Return arms at the ends of each searched range.

    They show which stages a search can change, and that the ends of its ranges are valid configurations.
    """
    if study.search is None:
        return ()
    arms = []
    for path, parameter in study.search.parameters.items():
        for value in _ends(parameter):
            arm = named_arm({path: value})
            arms.append(Arm(arm.key, arm.name, arm.levels, dict.fromkeys(arm.levels, ("search", "parameters", path))))
    return tuple(arms)


def arm_key(levels: Mapping[str, Any]) -> str:
    """Return the key of an arm with these levels: 12 hex digits of a hash. 0 equals 0.0; the order does not matter."""
    return hashlib.sha256(_normal(dict(levels)).encode()).hexdigest()[:12]


def level_text(levels: Mapping[str, Any]) -> str:
    """Format levels as `science=0.1, tile=high`; each path is shortened to the end that makes it unique."""
    tails = {path: _tail(path, levels) for path in levels}
    return ", ".join(f"{tails[path]}={_shown(value)}" for path, value in levels.items()) or "unchanged"


def _product(study: Study, vary: Mapping[str, tuple[Any, ...]]) -> list[Arm]:
    for path, values in vary.items():
        for i, value in enumerate(values):
            if isinstance(value, dict) and "from_selection" not in value:
                raise study.error(("vary", path, i), "a level is one value", "use `arms` for rows that change several")
    tails = {path: _tail(path, vary) for path in vary}
    shown = {path: [f"{tails[path]}={_shown(value)}" for value in values] for path, values in vary.items()}
    arms = []
    for positions in itertools.product(*(range(len(values)) for values in vary.values())):
        places = tuple(zip(vary, positions, strict=True))
        levels = {path: vary[path][i] for path, i in places}
        name = ", ".join(shown[path][i] for path, i in places)
        arms.append(Arm(arm_key(levels), name, levels, {path: ("vary", path, i) for path, i in places}))
    return arms


def _row(study: Study, name: str, changes: Mapping[str, Any]) -> Arm:
    placed = [(path, value, location) for top, each in changes.items()
              for path, value, location in _placed(top, each, ("arms", name, top))]
    levels = {path: value for path, value, _ in placed}
    for i, (path, _, location) in enumerate(placed):
        if any(path == other for other, *_ in placed[:i]):
            raise study.error(location, f"arm {name!r} says {path} twice; allowed: once")
    return Arm(arm_key(levels), name, levels, {path: location for path, _, location in placed})


def _placed(path: str, value: Any, location: Location) -> Iterable[tuple[str, Any, Location]]:
    if not isinstance(value, dict) or "from_selection" in value:
        yield path, value, location
        return
    for name, item in value.items():
        yield from _placed(f"{path}.{name}", item, (*location, name))


def _leaves(levels: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    return ((path, value) for top, each in levels.items() for path, value, _ in _placed(top, each, ()))


def _check_different(study: Study, arms: list[Arm]) -> None:
    counts = Counter(arm.key for arm in arms)
    for arm in arms:
        if counts[arm.key] > 1:
            twins = [twin for twin in arms if twin.key == arm.key]
            location = next(iter(twins[1].locations.values()), ("arms", twins[1].name))
            raise study.error(location, f"arms {' and '.join(repr(twin.name) for twin in twins)} have the same levels")


def _ends(parameter: Parameter) -> list[Any]:
    if parameter.grid_range:
        lows, highs = parameter.grid_range.n_min, parameter.grid_range.n_max
        return [[lows[0], highs[0]], [min(lows[1], highs[1]), highs[1]]]
    if parameter.simplex:
        return [{name: float(name == full) for name in parameter.simplex} for full in parameter.simplex]
    return list(parameter.choice or parameter.uniform or parameter.log_float or parameter.integer or ())


def _normal(value: Any) -> str:
    """Return canonical JSON in which floats with a whole value are integers."""
    return json.dumps(_whole(value), sort_keys=True, separators=(",", ":"))


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list | tuple):
        return [_whole(item) for item in value]
    return {name: _whole(item) for name, item in value.items()} if isinstance(value, dict) else value


def _tail(path: str, among: Iterable[str]) -> str:
    parts = path.split(".")
    others = [other.split(".") for other in among if other != path]
    for length in range(1, len(parts)):
        if all(other[-length:] != parts[-length:] for other in others):
            return ".".join(parts[-length:])
    return path


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"({', '.join(map(_shown, value))})"
    if isinstance(value, dict):
        return f"chosen by {value.get('from_selection')}"
    if isinstance(value, float) and float(f"{value:g}") == value:
        return f"{value:g}"
    return str(value)  # all digits of a number that has many: arms of a narrow range are told apart by them
