"""Compute the identity of a stage: a hash of everything that determines its result, and of nothing else.

- The hash is taken of canonical JSON of typed values: 0 and 0.0 in a float field are equal, and the order of fields
  does not matter.
- A field at its default is left out, so that a new field, with the old behaviour as its default, keeps old identities
  valid.
- Fields with `identity=False` (micro-batch splits, checkpoint intervals) cannot change a result and are left out.
- The worker computes the identity again from the spec that it received, and refuses to run if it differs.
- Model and data are included in full: if a preset changes, its stages get new identities under the same preset name.
- This module does not import torch.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Any

from model.config.fields import build
from model.config.stages import TRAINING, DataConfig, EvaluateConfig, ModelConfig

VERSIONS = {"pretrain": 1, "continual": 1, "sft": 1, "evaluate": 1}
"""Kind of stage -> version of its code. It is raised by hand when the same configuration would give another result.

A hash of the source instead would invalidate every result at every edit."""

CONFIGS: dict[str, type[Any]] = {**TRAINING, "evaluate": EvaluateConfig}
"""Kind of stage -> its configuration."""
_TYPED: dict[str, type[Any]] = {"model": ModelConfig, "data": DataConfig}
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode
_PLAIN = ("kind", "version", "benchmark", "data_fingerprint", "seed", "parent_id")


def stage_identity(spec: Mapping[str, Any]) -> str:
    """Return the identity of a training or evaluation stage, 64 hex digits.

    The identity of an import stage is a hash of its content (`model.manifest.identity`), not of its spec.

    Args:
        spec: the spec of the stage as plain values, as in `Stage.spec` or read from JSON.

    Raises:
        FieldError: model, configuration or data do not fit their types.
        KeyError: the kind of stage is unknown, or an import.
    """
    typed = _TYPED | {"config": CONFIGS[spec["kind"]]}
    return identity({name: build(typed[name], value, name) if name in typed else value for name, value in spec.items()})


def identity(parts: Mapping[str, Any]) -> str:
    """Return the identity of a stage whose model, config and data are typed values.

    Raises:
        ValueError: there is a part that no spec has.
    """
    unknown = parts.keys() - {*_PLAIN, *_TYPED, "config"}
    if unknown:
        raise ValueError(f"{', '.join(sorted(unknown))}: not part of a stage's spec")
    return digest({name: canonical(value) for name, value in parts.items()})


def digest(fragments: Mapping[str, str]) -> str:
    """Return the identity of a stage whose parts are canonical JSON already."""
    return hashlib.sha256(f"{{{_members(fragments)}}}".encode()).hexdigest()


def digest_but(fragments: Mapping[str, str], name: str) -> Callable[[str], str]:
    """Return a function that takes the missing part as canonical JSON and returns `digest` of all parts.

    Many stages differ in this part only, so the hash of the parts before it is computed once.

    Args:
        fragments: part -> canonical JSON, for all other parts.
        name: the name of the missing part.
    """
    before = _members({each: fragment for each, fragment in fragments.items() if each < name})
    after = _members({each: fragment for each, fragment in fragments.items() if each > name})
    begun = hashlib.sha256(f'{{{before}{"," if before else ""}"{name}":'.encode())
    end = f"{',' if after else ''}{after}}}"

    def finished(fragment: str) -> str:
        complete = begun.copy()
        complete.update(f"{fragment}{end}".encode())
        return complete.hexdigest()

    return finished


def _members(fragments: Mapping[str, str]) -> str:
    return ",".join(f'"{name}":{fragment}' for name, fragment in sorted(fragments.items()))


def canonical(value: object) -> str:
    """Return canonical JSON: sorted keys, no white space; fields of a dataclass at their default are left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _canonical(value)  # type: ignore[arg-type]
    return _encode(value)


@lru_cache(maxsize=65536)
def _canonical(config: Any) -> str:
    return _encode(_reduced(config))


def _reduced(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_reduced(item) for item in value]
    if isinstance(value, float):
        return value + 0.0
    if value is None or isinstance(value, str | int) or not dataclasses.is_dataclass(value):
        return value
    named = ((name, default, getattr(value, name)) for name, default in _hashed(type(value)))  # type: ignore[arg-type]
    return {name: _reduced(item) for name, default, item in named if item != default and _differs(item, default)}


def _differs(item: Any, default: Any) -> bool:
    """Say whether two values that are not equal differ in what an identity covers."""
    return not dataclasses.is_dataclass(item) or _reduced(item) != _reduced(default)


@cache
def _hashed(config: type[Any]) -> tuple[tuple[str, Any], ...]:
    """Return the fields that are part of an identity, each with its default."""
    return tuple((field.name, field.default) for field in dataclasses.fields(config) if field.metadata.get("identity", True))
