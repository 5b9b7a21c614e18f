"""The name of a stage: a hash of all that determines its result, and of nothing else. Torch-free.

- Canonical JSON of typed values: 0 and 0.0 of a float field are one, the order of fields does not matter.
- A field at its default is left out, so that a new field with its old behaviour as default keeps old names valid.
- `identity=False` fields (micro-batch splits, checkpoint intervals) cannot change a result and are left out.
- The worker computes the name again from the spec it was sent and refuses to run if it differs.
- Model and data stand in full: a preset that changes names new stages, whatever it is called.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from model.config.fields import build
from model.config.stages import TRAINING, DataConfig, EvaluateConfig, ModelConfig

VERSIONS = {"pretrain": 1, "continual": 1, "sft": 1, "evaluate": 1}
"""Bumped by hand when the same configuration would give another result; hashing source would void every result."""

CONFIGS: dict[str, type[Any]] = {**TRAINING, "evaluate": EvaluateConfig}
"""Kind of stage -> its configuration."""
_TYPED: dict[str, type[Any]] = {"model": ModelConfig, "data": DataConfig}
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode
_PLAIN = ("kind", "version", "benchmark", "data_fingerprint", "seed", "parent_id")


def stage_identity(spec: Mapping[str, Any]) -> str:
    """Return the 64 hex digits that name a training or evaluate stage.

    An import stage is named by its content (`model.manifest.identity`), not by its spec.

    Args:
        spec: plain values, as in `Stage.spec` or read back from JSON.

    Raises:
        FieldError: model, configuration or data do not fit their types.
        KeyError: the kind is not one of a stage that is executed.
    """
    typed = _TYPED | {"config": CONFIGS[spec["kind"]]}
    return identity({name: build(typed[name], value, name) if name in typed else value for name, value in spec.items()})


def identity(parts: Mapping[str, Any]) -> str:
    """Return the name of a stage whose model, config and data are typed values."""
    unknown = parts.keys() - {*_PLAIN, *_TYPED, "config"}
    if unknown:
        raise ValueError(f"{', '.join(sorted(unknown))}: not part of a stage's spec")
    return digest({name: canonical(value) for name, value in parts.items()})


def digest(fragments: Mapping[str, str]) -> str:
    """Return the name of a stage whose parts are canonical JSON already."""
    return hashlib.sha256(f"{{{_members(fragments)}}}".encode()).hexdigest()


def digest_but(fragments: Mapping[str, str], name: str) -> Callable[[str], str]:
    """Return what takes the one part that is missing, as canonical JSON, and gives `digest` of all of them.

    The stages that differ in this part alone are many, so the rest is put together once.
    """
    before = _members({each: fragment for each, fragment in fragments.items() if each < name})
    after = _members({each: fragment for each, fragment in fragments.items() if each > name})
    begun = hashlib.sha256(f'{{{before}{"," if before else ""}"{name}":'.encode())
    end = f"{',' if after else ''}{after}}}"

    def finished(fragment: str) -> str:
        whole = begun.copy()
        whole.update(f"{fragment}{end}".encode())
        return whole.hexdigest()

    return finished


def _members(fragments: Mapping[str, str]) -> str:
    return ",".join(f'"{name}":{fragment}' for name, fragment in sorted(fragments.items()))


def canonical(value: object) -> str:
    """Return canonical JSON: sorted keys, no white space; of a dataclass only what differs from its defaults."""
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
    if not dataclasses.is_dataclass(value):
        return value
    named = ((field, getattr(value, field.name)) for field in dataclasses.fields(value))
    return {field.name: _reduced(item) for field, item in named
            if field.metadata.get("identity", True) and item != field.default}
